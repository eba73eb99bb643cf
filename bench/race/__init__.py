"""Time to accuracy."""
