"""What a run may be asked for: groups of options, the job that they make up, and how it is read and checked."""
