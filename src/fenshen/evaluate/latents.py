"""What goes through a latent: how probable held-out pictures are, which units say anything, which codes are used, what comes back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fenshen.condition import Given
from fenshen.evaluate.critic import told_labels
from fenshen.evaluate.subject import Subject
from fenshen.families.autoencoder import Autoencoder, Encoding, active_units, bound
from fenshen.families.quantized import Codec
from fenshen.families.vae import COLLAPSED
from fenshen.lang import tr
from fenshen.likelihoods import Gaussian, bits_per_dimension
from fenshen.media.image import grid, to_pictures, to_tensor

MOST, DRAWS, BATCH = 200, 50, 50  # Held-out pictures that the bound is taken of; draws for each.
SHOWN = 12
LEVEL = 2 / 255  # Between two gray levels, in [-1, 1].


@dataclass(frozen=True, eq=False)
class Latents:
    """`numbers` for report.json; `sentences` for the page; `warning` for the verdict, where something is wrong; `sheet` uint8 (H, W, C)."""

    numbers: dict[str, Any]
    sentences: tuple[str, ...]
    warning: str | None
    sheet: np.ndarray


def latents(subject: Subject) -> Latents | None:
    """Of a run that has an encoder; None for others."""
    sampler = subject.sampler
    if not isinstance(sampler, Encoding):
        return None
    originals = subject.dataset.pictures[subject.held_out_indices[:SHOWN]]
    again = np.concatenate([to_pictures(sampler.reconstruct(x, given)) for x, given in _held_out(subject, SHOWN)])
    sheet = grid(np.concatenate([originals, again]), len(originals), flatten=True)
    if isinstance(sampler, Codec):
        return _codes(sampler, sheet)
    assert isinstance(sampler, Autoencoder)
    return _units(subject, sampler, sheet)


def _held_out(subject: Subject, most: int) -> Iterator[tuple[Tensor, Given]]:
    """Held-out pictures x_BCHW with what the model is told of them."""
    indices = subject.held_out_indices[:most]
    labels = told_labels(subject, indices)
    for start in range(0, len(indices), BATCH):
        part = slice(start, start + BATCH)
        given: Given = {} if labels is None else {"label": torch.from_numpy(labels[part]).to(subject.device)}
        yield to_tensor(np.ascontiguousarray(subject.dataset.pictures[indices[part]])).to(subject.device), given


@torch.no_grad()
def _units(subject: Subject, model: Autoencoder, sheet: np.ndarray) -> Latents:
    noise = torch.Generator(subject.device).manual_seed(subject.seed)
    prior = "mixture" if model.wanted == "mixture" and bool(model.prior.fitted) else "normal"
    elbos, bounds, means, kls = [], [], [], []
    for x_BCHW, given in _held_out(subject, MOST):
        x_BCHW = _seen(model, x_BCHW, noise)
        elbos.append(bound(model, x_BCHW, given, 1, noise))
        bounds.append(bound(model, x_BCHW, given, DRAWS, noise, prior))
        posterior = model.encode(x_BCHW, given)
        means.append(posterior.mean_BD)
        kls.append(posterior.kl_BD)
    kl_D, active = torch.cat(kls).mean(0).sort(descending=True).values, int(active_units(torch.cat(means)))
    best_N = torch.cat(bounds)
    numbers = {
        "elbo_nats": float(torch.cat(elbos).mean()), "bound_nats": float(best_N.mean()), "draws": DRAWS, "prior": prior, "pictures": len(best_N),
        "kl_nats": float(kl_D.sum()), "active_units": active, "units": model.latent, "kl_of_units": [round(float(kl), 3) for kl in kl_D],
    }  # fmt: skip
    if isinstance(model.likelihood, Gaussian):
        values = int(np.prod(subject.dataset.pictures.shape[1:]))
        numbers["bits_per_dimension"] = float(bits_per_dimension(best_N, values).mean())
    warning = tr("The latent has collapsed: {active} of {latent} units say anything about a picture.", active=active, latent=model.latent)
    return Latents(numbers, tuple(_told(numbers)), warning if active <= COLLAPSED * model.latent else None, sheet)


def _seen(model: Autoencoder, x_BCHW: Tensor, noise: torch.Generator) -> Tensor:
    """What the likelihood is of; a density is of values spread within their level (Theis et al. 2016, section 3.1)."""
    if isinstance(model.likelihood, Gaussian):
        return x_BCHW + LEVEL * (torch.rand(x_BCHW.shape, generator=noise, device=x_BCHW.device) - 0.5)
    return model.likelihood.observed(x_BCHW, noise)


def _told(numbers: dict[str, Any]) -> Iterator[str]:
    text = "log p of a held-out picture is at least {bound} nats (importance-weighted, {draws} draws each, {pictures} pictures); the ELBO is {elbo}."
    bounds = {"bound": f"{numbers['bound_nats']:.2f}", "elbo": f"{numbers['elbo_nats']:.2f}"}
    yield tr(text, draws=numbers["draws"], pictures=numbers["pictures"], **bounds)
    if "bits_per_dimension" in numbers:
        yield tr("That is {bits} bits for each of its values.", bits=f"{numbers['bits_per_dimension']:.3f}")
    yield tr("{kl} nats go through the latent; {active} of its {units} units are active. Nats of each: {list}.", kl=f"{numbers['kl_nats']:.1f}",
             active=numbers["active_units"], units=numbers["units"], list=", ".join(f"{kl:.2g}" for kl in numbers["kl_of_units"]))  # fmt: skip


def _codes(codec: Codec, sheet: np.ndarray) -> Latents:
    used, perplexity = codec.used()
    numbers = {"codes": codec.quantizer.size, "positions": codec.latent, "codes_used": used, "perplexity": perplexity}
    text = "A picture is {positions} codes out of {codes}. Training pictures use {percent} % of the codes, as many as {perplexity} used alike."
    said = tr(text, positions=codec.latent, codes=codec.quantizer.size, percent=f"{100 * used:.0f}", perplexity=f"{perplexity:.0f}")
    why = tr("What is sampled draws each position by itself: it shows the codes, not good pictures. Those take a model of the codes.")
    return Latents(numbers, (said, why), None, sheet)
