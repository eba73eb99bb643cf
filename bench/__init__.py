"""Benchmarks: one folder per claim, each with a README that holds the command, the environment and a measured table."""
