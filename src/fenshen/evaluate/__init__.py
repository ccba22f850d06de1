"""How good a run is: measured, and told on one page."""
