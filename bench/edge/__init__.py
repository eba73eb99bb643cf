"""What it costs to record a timeline."""
