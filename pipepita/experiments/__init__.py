"""The papers' experiments: cells that are trained and kept, and the tables and pictures made of them.

A new experiment is one file with an `Experiment`, and one entry in `catalogue.EXPERIMENTS`.
"""
