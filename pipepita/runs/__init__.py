"""One training run: how it begins, is resumed and is evaluated, and everything that is written about it."""
