"""One algorithm, one file: who plays, what each player minimises, how to sample."""
