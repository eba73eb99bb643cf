"""Benchmarks: a folder a claim, each with a README that holds the command, the environment and a measured table."""
