"""The pages of the studio: one file each, `build(face)` puts its parts into the page that is being made."""
