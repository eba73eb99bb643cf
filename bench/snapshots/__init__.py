"""What it costs to be able to go back."""
