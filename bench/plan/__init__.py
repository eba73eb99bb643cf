"""Whether the number of stages that is predicted to be the fastest is the fastest."""
