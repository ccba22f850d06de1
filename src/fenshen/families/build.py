"""A recipe's model becomes an algorithm, and what is kept of it, here and nowhere else."""

from __future__ import annotations

from fenshen.condition import Told
from fenshen.families.autoencoder import Autoencoder
from fenshen.families.autoregressive import LanguageModel, MaximumLikelihood
from fenshen.families.base import Family, Kept
from fenshen.families.counting import Counted
from fenshen.families.gan import GAN, Generator
from fenshen.families.overcodes import CodeWriter, MaximumLikelihoodOverCodes
from fenshen.families.quantized import Codec, QuantizedVAE
from fenshen.families.restore import AdversarialRestoration, Restoration, Restorer
from fenshen.families.textgan import TextGAN
from fenshen.families.textvae import TextAutoencoder, VariationalText
from fenshen.families.vae import VAE
from fenshen.families.vaegan import VAEGAN
from fenshen.recipe import Autoregressive, Gan, Model, Ngram, OverCodes, Pretrained, Restore, RestoreGan, TextGan, TextVae, Vae, VaeGan
from fenshen.space import Space, Tokens


def build(space: Space, told: Told, model: Model, burn_in: float = 0.0) -> Family:
    """New networks with fresh weights, and how they are trained. `model` is complete (`fenshen.training.plan`)."""
    if isinstance(space, Tokens):
        match model:
            case Autoregressive() | Pretrained():
                return MaximumLikelihood(space, model)
            case TextVae():
                return VariationalText(space, model)
            case TextGan():
                return TextGAN(space, model)
        raise AssertionError(model)
    match model:
        case Gan():
            return GAN(space, told, model, burn_in)
        case Vae(quantizer="none"):
            return VAE(space, told, model)
        case Vae():
            return QuantizedVAE(space, told, model)
        case VaeGan():
            return VAEGAN(space, told, model, burn_in)
        case OverCodes():
            return MaximumLikelihoodOverCodes(space, told, model)
        case Restore():
            return Restoration(space, told, model)
        case RestoreGan():
            return AdversarialRestoration(space, told, model, burn_in)
    raise AssertionError(model)


def build_sampler(space: Space, told: Told, model: Model) -> Kept:
    """The part of a family that makes samples."""
    if isinstance(space, Tokens):
        match model:
            case Autoregressive() | TextGan() | Pretrained():
                return LanguageModel(space, model)
            case Ngram():
                return Counted(space, model)
            case TextVae():
                return TextAutoencoder(space, model)
        raise AssertionError(model)
    match model:
        case Gan():
            return Generator(space, told, model)
        case Vae(quantizer="none"):
            return Autoencoder(space, told, model)
        case Vae():
            return Codec(space, told, model)
        case VaeGan():
            return Autoencoder(space, told, model)
        case OverCodes():
            return CodeWriter(space, told, model)
        case Restore() | RestoreGan():
            return Restorer(space, told, model)
    raise AssertionError(model)
