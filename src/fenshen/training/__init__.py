"""Training: what is derived before it starts, the loop, and what hangs on the loop from outside."""
