"""How well a partition found without labels agrees with the labels."""

from __future__ import annotations

import numpy as np


def purity(found_N: np.ndarray, label_N: np.ndarray) -> float:
    """In (0, 1]: the part of the samples that have the commonest label of the cluster they are in. Both are class indices ≥ 0.

    1 for as many clusters as samples: compare only equal numbers of clusters. Manning et al. 2008, chapter 16.3.
    """
    table = np.zeros((int(found_N.max()) + 1, int(label_N.max()) + 1), np.int64)
    np.add.at(table, (found_N, label_N), 1)
    return float(table.max(1).sum() / len(label_N))
