"""Networks for one, two and three axes. No file here knows a modality or a loss."""
