"""Runs as things that are kept: listed, renamed, deleted; packed, and brought in from elsewhere."""
