"""The papers' experiments: cells that are trained and kept, and what is drawn from them.

A new experiment is one file with an `Experiment`, and one entry in `catalogue.EXPERIMENTS`.
"""
