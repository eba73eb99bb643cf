"""How far a step is from what the machine could do, and where the time goes."""
