"""How many items per second `pipepita online` learns from on standard input, and what takes the time."""
