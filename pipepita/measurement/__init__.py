"""What relaxed update locking is worth: schedules measured side by side, next to their ceilings."""
