"""The ray engine: one actor per stage, placed as asked, watched, and replaced when it is lost."""
