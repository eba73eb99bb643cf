"""The ray engine: one actor per stage, placed as asked, watched, and replaced if it is lost."""
