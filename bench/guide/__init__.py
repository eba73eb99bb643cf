"""The tables in the pages of pipepita's folders: what their commands print, measured in one go."""
