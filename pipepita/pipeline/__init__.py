"""One pipeline, whoever runs it: stages, their loop, the coordinator, and what is wired to what."""
