"""A hand on the latent space of a trained run: paths, knobs, directions, inversion, and what each knob does."""
