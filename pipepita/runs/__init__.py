"""One training run: begun, gone on with, evaluated, and everything that is written about it."""
