"""What a run leaves on the disk: its folder, checkpoints, status, curves and pictures; and how they are read again."""
