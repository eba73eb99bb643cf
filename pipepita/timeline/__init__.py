"""Timelines: what each stage did at what time, recorded at little cost, and what can be read from that."""
