"""The simulator against real time, and what it costs."""
