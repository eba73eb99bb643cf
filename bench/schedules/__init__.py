"""What each schedule gains, by depth, width, batch and stages."""
