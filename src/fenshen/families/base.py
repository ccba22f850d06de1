"""What every family says of itself to the loop: its players, and their losses."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor, nn


@dataclass(frozen=True)
class Player:
    """Modules whose weights move together; `reads_data`: its losses need real samples."""

    modules: tuple[nn.Module, ...]
    reads_data: bool = True

    def parameters(self) -> list[nn.Parameter]:
        return [p for module in self.modules for p in module.parameters()]


@dataclass(frozen=True)
class Losses:
    """`terms`: weighted, to be averaged and minimised, one value per sample each. `signals`: detached, for the log."""

    terms: dict[str, Tensor]
    signals: dict[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class At:
    """Where training stands: thousands of real samples shown, and the planned part in [0, 1]."""

    kimg: float
    fraction: float
