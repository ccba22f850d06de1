"""Features of texts that need no trained network: which sequences of letters they have, in the directions in which real ones differ most.

Latent semantic analysis (Deerwester et al. 1990) of sequences of one to four characters, hashed, weighted by how rare they are. Good enough
to tell texts that were scrambled, shortened or repeated from real ones; what a text means, they do not see.
Shapes: N texts, D features.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from threadpoolctl import threadpool_limits

from fenshen.errors import DataError
from fenshen.measure.distances import Array

BUCKETS = 1 << 14
LONGEST = 4
FEATURES, PER_FEATURE = 32, 8
LEAST = 16


class TextEncoder:
    """Fitted to real texts, at most `FEATURES` features, fewer where there are few texts. DataError with fewer than 16."""

    def __init__(self, texts: Sequence[str], seed: int = 0):
        if len(texts) < LEAST:
            raise DataError("too few texts to compare features: {count}; it takes {needed} or more", count=len(texts), needed=LEAST)
        from sklearn.decomposition import TruncatedSVD  # Loaded where they are needed: it takes seconds.
        from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer

        self.count = HashingVectorizer(
            analyzer="char", ngram_range=(1, LONGEST), n_features=BUCKETS, alternate_sign=False, norm=None, lowercase=False
        )
        self.weigh = TfidfTransformer(sublinear_tf=True)
        self.turn = TruncatedSVD(min(FEATURES, len(texts) // PER_FEATURE), random_state=seed)
        with threadpool_limits(1):
            self.turn.fit(self.weigh.fit_transform(self.count.transform(texts)))
        self.digest = hashlib.sha256(np.ascontiguousarray(self.turn.components_.round(4)).tobytes()).hexdigest()

    def read(self, texts: Sequence[str]) -> Array:
        """Features (N, D)."""
        with threadpool_limits(1):
            return np.asarray(self.turn.transform(self.weigh.transform(self.count.transform(texts))), np.float64)
