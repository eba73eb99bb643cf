"""Timelines: what each stage did when, recorded at little cost, and what can be read from it."""
