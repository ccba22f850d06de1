"""A trained run for others: a network that other programs run, weights, and a card that says what they are."""
