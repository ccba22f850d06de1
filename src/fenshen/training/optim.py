"""Optimisers and what a recipe does to their steps."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from fenshen.families.base import At, Player
from fenshen.recipe import Train
from fenshen.schedules import annealed, burn_in


def make_optimizer(train: Train, player: Player, name: str) -> torch.optim.Optimizer:
    """Adam, AdamW or RMSprop over a player's weights; fused where there is a fused kernel."""
    assert train.lr and train.beta1 is not None and train.beta2 is not None
    parameters, decay = player.parameters(), train.weight_decay or 0.0
    lr = (train.lr_critic or train.lr) if name == "critic" else train.lr
    if train.optimizer == "rmsprop":
        return torch.optim.RMSprop(parameters, lr, weight_decay=decay)
    kind = torch.optim.AdamW if train.optimizer == "adamw" else torch.optim.Adam
    fused = all(p.device.type in ("cpu", "cuda") for p in parameters)
    return kind(parameters, lr, (train.beta1, train.beta2), eps=1e-8, weight_decay=decay, fused=fused)


def schedule(optimizer: torch.optim.Optimizer, train: Train, name: str, at: At) -> float:
    """Sets learning rate and β2 for this moment of the plan; returns the learning rate."""
    assert train.lr and train.beta1 is not None and train.beta2 is not None
    lr = (train.lr_critic or train.lr) if name == "critic" else train.lr
    lr *= burn_in(train.lr_burn_in, 1.0, at.fraction, train.burn_in) * annealed(at.fraction, train.anneal_from, train.lr_end)
    for group in optimizer.param_groups:
        group["lr"] = lr
        if "betas" in group and train.beta2_start is not None:
            group["betas"] = (train.beta1, burn_in(train.beta2_start, train.beta2, at.fraction, train.burn_in))
    return lr


def limit_gradients(train: Train, parameters: list[nn.Parameter]) -> Tensor:
    """Gradient clipping by value, then by norm, where asked for (Pascanu et al. 2013). Returns the norm before it was clipped."""
    if train.clip_value:
        nn.utils.clip_grad_value_(parameters, train.clip_value)
    norm = nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
    if train.clip_norm:
        nn.utils.clip_grads_with_norm_(parameters, train.clip_norm, norm)
    return norm
