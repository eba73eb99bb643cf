"""Choosing a job's settings by trials, through Ray Tune."""
