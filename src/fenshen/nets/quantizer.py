"""Vectors to the nearest of a finite set, and the number of each: what makes a picture a grid of codes.

`vq`: a codebook that follows the running means of the vectors it stands for, begun by k-means; codes that nobody uses are put where
vectors are (van den Oord et al. 2017, VQ-VAE, appendix A.1). `fsq`: each of a few entries rounded to one of a few levels, nothing to
learn (Mentzer et al. 2023, "Finite scalar quantization"). Both from vector-quantize-pytorch. Gradients pass straight through.

Shape letters: B batch, P positions, D entries of a vector.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

DIMENSION = 16  # Of a learned codebook's vectors.
LEVELS = {256: (8, 6, 5), 1024: (8, 5, 5, 5), 4096: (7, 5, 5, 5, 5)}  # Mentzer et al. 2023, table 1: about as many codes.
DECAY, FEWEST_USES = 0.99, 1.0


class Quantized(NamedTuple):
    """Vectors in place of those that came, the number of each, and how far they were moved, squared, on average over their entries (B,)."""

    vector_BPD: Tensor
    code_BP: Tensor
    moved_B: Tensor


class Quantizer(nn.Module):
    """`kind`: vq or fsq; `codes`: about how many. `size` says how many there are, `dimension` how long a vector is."""

    def __init__(self, kind: str, codes: int):
        super().__init__()
        from vector_quantize_pytorch import FSQ, VectorQuantize  # Takes a second, which others need not wait.

        self.learned = kind == "vq"
        self.size, self.dimension = codes, DIMENSION
        if self.learned:
            self.codebook = VectorQuantize(
                DIMENSION, codebook_size=codes, decay=DECAY, commitment_weight=0.0, kmeans_init=True, threshold_ema_dead_code=FEWEST_USES
            )
        else:
            self.codebook = FSQ(list(LEVELS[codes]))
            self.size, self.dimension = self.codebook.codebook_size, len(LEVELS[codes])

    def forward(self, h_BPD: Tensor) -> Quantized:
        """In training, a learned codebook moves a little with every call."""
        with torch.autocast(h_BPD.device.type, enabled=False):
            vector_BPD, code_BP = self.codebook(h_BPD.float())[:2]
        moved_B = (h_BPD.float() - vector_BPD.detach()).square().flatten(1).mean(1)
        return Quantized(vector_BPD, code_BP.long(), moved_B)

    def vectors(self, code_BP: Tensor) -> Tensor:
        """What codes stand for, vector_BPD."""
        if self.learned:
            return self.codebook.get_codes_from_indices(code_BP)
        return self.codebook.indices_to_codes(code_BP)


def usage(counts_K: Tensor) -> tuple[float, float]:
    """Part of the codes that are used at all, and the perplexity exp(entropy): how many are used as if all of these alike."""
    shares_K = counts_K.double() / counts_K.sum().clamp_min(1)
    used_K = shares_K[shares_K > 0]
    return float((counts_K > 0).double().mean()), float(torch.exp(-(used_K * used_K.log()).sum()))
