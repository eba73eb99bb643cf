"""One pipeline, the same for every engine: stages, their loop, the coordinator, and the channels between them."""
