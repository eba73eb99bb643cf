"""The pictures of the pages, each made by a command: `scripts/pictures`."""
