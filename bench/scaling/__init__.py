"""How the cost of a sample grows with depth, width, batch and stages."""
