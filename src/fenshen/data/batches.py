"""The order in which pictures are drawn: endless, shuffled anew each epoch, a pure function of the seed and a position."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from fenshen.data.prepare import Dataset

if TYPE_CHECKING:
    import torch

MEMORY_LIMIT = 2 << 30  # Bytes of pictures held in memory or on the device.
MEMORY_PART = 0.25  # … and at most this part of what is free there.


class Batches:
    """Draws from `dataset.pictures[indices]`; a position counts samples since the start, so resuming needs one integer.

    Small sets are held on the device, larger ones are read from the memory map as they are drawn.
    """

    def __init__(self, dataset: Dataset, indices: np.ndarray, batch: int, seed: int, device: torch.device | str = "cpu"):
        import torch

        self.batch, self.seed, self.device, self.indices = batch, seed, torch.device(device), np.asarray(indices, np.int64)
        assert len(self.indices) > 0, "batches of nothing"
        self.dataset = dataset
        self.labels = None if dataset.labels is None else torch.from_numpy(dataset.labels[self.indices]).to(self.device)
        self.held: torch.Tensor | None = None
        size = len(self.indices) * int(np.prod(dataset.pictures.shape[1:]))
        if size <= min(MEMORY_LIMIT, MEMORY_PART * free_bytes(self.device)):
            self.held = torch.from_numpy(dataset.pictures[self.indices]).to(self.device)
        self.order = lru_cache(maxsize=2)(self._order)

    def __len__(self) -> int:
        """Pictures in one epoch."""
        return len(self.indices)

    def _order(self, epoch: int) -> np.ndarray:
        return np.random.default_rng((self.seed, epoch)).permutation(len(self.indices))

    def places(self, position: int, count: int) -> np.ndarray:
        """int64 (count): which of the indices are drawn from `position` on; epochs follow each other without a gap."""
        parts = []
        while count > 0:
            epoch, start = divmod(position, len(self.indices))
            part = self.order(epoch)[start : start + count]
            parts.append(part)
            position, count = position + len(part), count - len(part)
        return np.concatenate(parts) if parts else np.zeros(0, np.int64)

    def draw(self, position: int, count: int | None = None) -> tuple[torch.Tensor, torch.Tensor | None]:
        """uint8 x_BHWC and int64 labels (B) or None on the device; `count`: by default one batch."""
        places = self.places(position, self.batch if count is None else count)
        chosen = sent(places, self.device)
        labels = None if self.labels is None else self.labels[chosen]
        return sent(self.dataset.pictures[self.indices[places]], self.device) if self.held is None else self.held[chosen], labels


def sent(values: np.ndarray, device: torch.device) -> torch.Tensor:
    """A tensor on the device. On CUDA it is still on its way: only from pinned memory does a copy let the program, and the GPU, go on."""
    import torch

    tensor = torch.from_numpy(values)
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)


def free_bytes(device: torch.device) -> int:
    """Free memory of the device; of the machine for cpu and mps."""
    import torch

    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    try:
        with open("/proc/meminfo", encoding="ascii") as lines:
            values = dict(line.split(":") for line in lines)
        return int(values["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):  # Not Linux: assume an eighth of a small machine.
        return 1 << 30
