"""Searching a better recipe: many short trainings, of which the best go on."""
