"""Files ↔ tensors, one file per medium: read, write, preview."""
