"""Short measured runs, and what they predict: what layers and messages cost, and which split is the fastest."""
