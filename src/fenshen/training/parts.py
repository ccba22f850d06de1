"""One batch on several cores: each part of it is computed by a thread of its own, and the gradients add up.

Small networks do little between two operations, and threads inside an operation wait for each other after every one. A thread
per part waits twice a step. Every part has a copy of the family that shares its weights, and noise of its own, so that the
result does not depend on which thread is faster.
"""

from __future__ import annotations

import copy
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor, nn

from fenshen.condition import Given
from fenshen.families.base import At, Family, Losses


class Parts:
    """`count` copies of `family`; `threads`: how many the parts share."""

    def __init__(self, family: Family, count: int, threads: int, precision: str, device: torch.device):
        self.family, self.precision, self.device = family, precision, device
        self.copies = [family, *(_sharing(family) for _ in range(count - 1))]
        self.weights = [{name: player.parameters() for name, player in each.players().items()} for each in self.copies]
        self.pool = ThreadPoolExecutor(count, "part", torch.set_num_threads, (max(1, threads // count),)) if count > 1 else None

    def backward(self, player: str, x_BCS: Tensor, given: Given, at: At, noise: list[torch.Generator]) -> Losses:
        """Leaves the gradient of `player`'s mean loss in its weights; returns the losses of the whole batch, detached."""
        for family, weights in zip(self.copies, self.weights, strict=True):
            family.augment = self.family.augment
            _play(weights, player)
        if self.pool is None:
            return self._backward(self.family, player, x_BCS, given, at, noise[0], 1.0)
        xs, count = x_BCS.tensor_split(len(self.copies)), len(x_BCS)
        told = [{name: value.tensor_split(len(self.copies))[i] for name, value in given.items()} for i in range(len(self.copies))]
        shares = [len(x) / count for x in xs]
        work = [
            self.pool.submit(self._backward, family, player, xs[i], told[i], at, noise[i], shares[i])
            for i, family in enumerate(self.copies) if shares[i]
        ]  # fmt: skip
        losses = [part.result() for part in work]
        self._add_up(player)
        return Losses(_joined([part.terms for part in losses]), _joined([part.signals for part in losses]))

    def _backward(self, family: Family, player: str, x_BCS: Tensor, given: Given, at: At, noise: torch.Generator, share: float) -> Losses:
        # The cache of autocast is common to all threads: with it, sums would be rounded in the order in which they finish.
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16", cache_enabled=self.pool is None):
            losses = family.losses(player, x_BCS, given, at, noise)
        (torch.stack([term.mean() for term in losses.terms.values()]).sum() * share).backward()
        return Losses({name: term.detach() for name, term in losses.terms.items()}, losses.signals)

    def _add_up(self, player: str) -> None:
        """The gradients of all copies into those of the family, always in the same order."""
        sums, *others = [[p.grad for p in weights[player]] for weights in self.weights]
        for other in others:
            pairs = [(a, b) for a, b in zip(sums, other, strict=True) if a is not None and b is not None]
            if pairs:  # An empty part has no gradients.
                torch._foreach_add_([a for a, _ in pairs], [b for _, b in pairs])


def _sharing(family: Family) -> Family:
    """A copy whose weights and buffers are the family's own memory."""
    other = copy.deepcopy(family)
    for mine, its in zip((*other.parameters(), *other.buffers()), (*family.parameters(), *family.buffers()), strict=True):
        mine.data = its.data
    return other


def _play(weights: dict[str, list[nn.Parameter]], player: str) -> None:
    """Forgets all gradients; only the player's weights will have new ones."""
    for name, parameters in weights.items():
        for p in parameters:
            p.grad = None
            p.requires_grad_(name == player)


def _joined(parts: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
