"""What a hop between two processes costs."""
