"""Directions that the network itself suggests, without a single example: from its first weights, and from its activations.

Closed form, Shen & Zhou 2021 (SeFa): the unit directions n that change the first layer most, max ‖Aᵀn‖², are eigenvectors of A Aᵀ.
Principal components, Härkönen et al. 2020 (GANSpace): PCA of early activations h of many samples; the direction in z that goes with
a component is the least-squares solution of z ≈ U x, x the samples' coordinates in the components.

Shape letters: B places, D latent, F outputs of a layer, N directions, K classes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from fenshen.control.hand import Hand, Places, slices

SAMPLES = 2000
OVERSAMPLED = 8  # Components looked for beyond those that are wanted.


class Seen(Exception):
    """Carries an activation out of a forward pass that need go no further."""

    def __init__(self, h_BF: Tensor):
        super().__init__()
        self.h_BF = h_BF


def closed_form(hand: Hand) -> tuple[Tensor, Tensor]:
    """All D directions (rows, orthonormal, the strongest first) and their eigenvalues (D)."""
    return eigen_directions(first_weights(hand))


def eigen_directions(a_DF: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvectors (rows) and eigenvalues of A Aᵀ, columns of A normalised, in descending order; the largest entry of each is positive."""
    a_DF = a_DF.cpu().double()  # Not every device knows double precision.
    a_DF = a_DF / a_DF.norm(dim=0, keepdim=True).clamp_min(1e-12)
    values_D, vectors_DD = torch.linalg.eigh(a_DF @ a_DF.T)
    return upright(vectors_DD.flip(1).T).float(), values_D.flip(0).float()


def upright(directions_ND: Tensor) -> Tensor:
    """Each with the sign that makes its largest entry positive, so that the same weights give the same directions everywhere."""
    largest_N = directions_ND.abs().argmax(1, keepdim=True)
    return directions_ND * directions_ND.gather(1, largest_N).sign()


@torch.no_grad()
def first_weights(hand: Hand) -> Tensor:
    """A (D, F) of the first layer that reads z, whatever network it stands in: what it says of each unit vector less what it says of 0.

    Rows of information codes are 0: codes are knobs already.
    """
    length = hand.sampler.latent
    z_BD = torch.cat([torch.zeros(1, length), torch.eye(length)]).to(hand.device)
    label_BK = None
    if hand.made.classes:
        label_BK = torch.full((len(z_BD), len(hand.made.classes)), 1 / len(hand.made.classes), device=hand.device)
    h_BF = activations(hand, Places(z_BD, label_BK), layer=0)
    a_DF = h_BF[1:] - h_BF[:1]
    a_DF[: hand.sampler.codes.length] = 0
    return a_DF


@torch.no_grad()
def principal_components(hand: Hand, count: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """`count` unit directions (rows) and the part of the variance of the activations that each component explains.

    The activations are those that the second layer reads, so that they have gone through one non-linearity. Where the run knows
    classes, each class is centered on its own: what differs between classes is the label's business.
    """
    places = hand.random(SAMPLES, seed)
    h_BF = activations(hand, places, layer=1)
    return components(h_BF, places.z_BD, count, None if places.label_BK is None else places.label_BK.argmax(1).cpu())


def components(h_BF: Tensor, z_BD: Tensor, count: int, class_B: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """As `principal_components`, of activations and latents that are there."""
    h_BF, z_BD = centered(h_BF.cpu().double(), class_B), centered(z_BD.cpu().double(), class_B)
    count = min(count, *h_BF.shape, z_BD.shape[1])
    with torch.random.fork_rng(devices=[]):  # A few components of thousands of activations: found by random projections.
        torch.manual_seed(0)
        _, s_N, v_FN = torch.svd_lowrank(h_BF, min(count + OVERSAMPLED, *h_BF.shape), niter=4)
    x_BN = h_BF @ v_FN[:, :count]
    u_ND = torch.linalg.lstsq(x_BN, z_BD).solution
    u_ND = u_ND / u_ND.norm(dim=1, keepdim=True).clamp_min(1e-12)
    return upright(u_ND).float(), (s_N.square() / h_BF.square().sum().clamp_min(1e-300))[:count].float()


def centered(x_BD: Tensor, class_B: Tensor | None) -> Tensor:
    """Less the mean, of its class where there are classes."""
    if class_B is None:
        return x_BD - x_BD.mean(0)
    x_BD = x_BD.clone()
    for label in class_B.unique():
        x_BD[class_B == label] -= x_BD[class_B == label].mean(0)
    return x_BD


def activations(hand: Hand, places: Places, layer: int) -> Tensor:
    """What the first layer with weights says (layer 0), or what the second one reads (layer 1): (B, F), flattened."""
    with _watched(hand.sampler, layer):
        found = []
        for rows in slices(len(places)):
            try:
                hand.samples(places[rows])
            except Seen as seen:
                found.append(seen.h_BF)
    return torch.cat(found)


@contextmanager
def _watched(sampler: nn.Module, layer: int) -> Iterator[None]:
    """While it lasts, a forward pass ends in `Seen` at that layer. Embeddings, which read labels, do not count."""
    weighted = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
    count = 0

    def after(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal count
        if layer == 0:
            raise Seen(output.flatten(1))
        count += 1

    def before(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        nonlocal count
        if layer == 1 and count == 1:
            count = 0
            raise Seen(inputs[0].flatten(1))

    layers = [module for module in sampler.modules() if isinstance(module, weighted)]
    handles = [handle for module in layers for handle in (module.register_forward_pre_hook(before), module.register_forward_hook(after))]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
