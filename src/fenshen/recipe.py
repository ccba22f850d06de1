"""One run, completely described: typed, frozen, read from and written to TOML.

Fields that are None are derived from the data and the device when a run starts (`fenshen.training.plan`); the recipe saved
with a run has them filled in. Every name carries its unit.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

import tomli_w
from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, ValidationError, field_validator, model_validator

from fenshen.errors import RecipeError
from fenshen.lang import Said, said

Fraction = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Size = Literal["nano", "small", "base", "large"]


class Section(BaseModel):
    """A part of a recipe: unknown keys are refused, values cannot change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Augment(Section):
    """Classic augmentation of the real pictures, before the model sees them. It shows in what the model makes."""

    flip: Fraction = Field(0.0, description="probability of a left-right mirror image")
    crop: Annotated[float, Field(ge=0, le=0.5)] = Field(0.0, description="largest part of a side that a random crop removes")
    rotate_degrees: Annotated[float, Field(ge=0, le=180)] = Field(0.0, description="largest random rotation, either way")
    scale: Annotated[float, Field(ge=0, le=0.9)] = Field(0.0, description="largest relative change of scale, 0.1 = ±10 %")
    colour: Fraction = Field(0.0, description="strength of random brightness, contrast and saturation")


class Data(Section):
    """Where the pictures or the words come from and how they are made alike."""

    source: str = Field("digits", description="a file, folder, zip, tar, hf://NAME, or a built-in name (digits, topics)")
    kind: Literal["auto", "pictures", "words"] = Field("auto", description="what is in it; auto: what most of its files are")
    resolution: Annotated[int, Field(ge=8, le=256)] | None = Field(None, description="side in pixels, 8 to 256; derived from the pictures")
    channels: Literal["gray", "colour", "alpha"] | None = Field(None, description="gray, colour or alpha (colour with transparency); derived")
    fit: Literal["crop", "pad", "stretch"] = Field("crop", description="how a picture that is not square becomes square")
    held_out: Annotated[float, Field(ge=0, le=0.5)] = Field(0.1, description="part of the files never trained on, kept for measuring")
    augment: Augment = Augment()
    unit: Literal["document", "line", "poem"] | None = Field(
        None, description="words: what begins anew each time: a whole document, a line, or what stands between blank lines; derived"
    )
    encoding: str | None = Field(None, description="words: of plain text files, gb18030 for example; found by looking where not given")
    text_column: str | None = Field(None, description="words: column or key of the text in tables, a name or a number from 1; derived")
    label_column: str | None = Field(None, description="words: column or key of the label in tables; derived; none: no label")
    tokens: Literal["characters", "bytes", "pieces"] | None = Field(
        None, description="words: single characters, byte pieces learnt from the text, or pieces: byte pieces, but for Chinese characters; "
        "derived: pieces from 5 MB on"
    )
    vocabulary: Annotated[int, Field(ge=2, le=100_000)] | None = Field(
        None, description="words: most characters, or number of byte pieces (257 at least); derived"
    )
    canaries: Annotated[int, Field(ge=0, le=1000)] = Field(
        0, description="words: so many made-up sentences with random numbers are hidden in the training texts, for fenshen audit to ask for"
    )
    canary_copies: Annotated[int, Field(ge=1, le=1000)] = Field(1, description="words: how often each of them stands there")
    tokenizer: str | None = Field(None, description="words: a folder whose tokenizer.json has the tokens, in place of own ones; model.start")


class Penalty(Section):
    """Gradient penalties of the critic (`fenshen.penalties`)."""

    kind: Literal["none", "gp", "r1", "r2", "r1+r2"] | None = Field(None, description="derived from the objective")
    gamma: NotNegative | None = Field(None, description="weight at the start; derived from objective and resolution")
    gamma_end: NotNegative | None = Field(None, description="weight after the burn-in; as gamma if not given")
    method: Literal["exact", "finite"] = Field("exact", description="double backward, or finite differences")
    fraction: Annotated[float, Field(gt=0, le=1)] | None = Field(None, description="part of each batch that is penalised; derived from the batch")
    step: Positive = Field(0.1, description="size of the finite difference, in pixel values of [-1, 1]")


class Codes(Section):
    """Information codes: parts of the latent that a network can read back from what is made (`fenshen.families.codes`)."""

    categorical: tuple[Annotated[int, Field(ge=2, le=1000)], ...] = Field((), description="categories of a code, 10 or [10, 4]; 0: none")
    continuous: Annotated[int, Field(ge=0, le=64)] = Field(0, description="number of codes between -1 and 1")
    categorical_weight: NotNegative = Field(1.0, description="weight of reading back a category")
    continuous_weight: NotNegative = Field(0.1, description="weight of reading back a continuous code")
    agreement: NotNegative = Field(
        4.0, description="weight of sorting real pictures into the categories of the first code: evenly, surely, disturbed ones alike"
    )
    disturb: Augment = Field(Augment(rotate_degrees=25, scale=0.3, crop=0.2), description="how pictures are disturbed for that")

    @field_validator("categorical", mode="before")
    @classmethod
    def _one(cls, value: Any) -> Any:
        return ((value,) if value else ()) if isinstance(value, int) else value

    @property
    def length(self) -> int:
        """Entries of the latent that carry a code."""
        return sum(self.categorical) + self.continuous


class Model(Section):
    """What the recipe says of every family."""

    family: str
    size: Size | None = Field(None, description="nano, small, base, large: derives every width; derived from device and resolution")
    condition: Literal["auto", "label", "none"] = Field("auto", description="which labels the model is told; auto: the classes where there are any")
    groups: Annotated[int, Field(ge=0, le=1000)] | None = Field(
        None, description="without labels: told which of so many found groups; 0: nothing; derived"
    )
    label_head: NotNegative = Field(0.0, description="weight of saying the label from the critic's features, or from what an encoder found; 0: off")


class Adversary(Model):
    """A critic, what it minimises, and what holds it back."""

    objective: Literal["minimax", "nonsaturating", "lsgan", "wgan", "wgan-gp", "hinge", "relativistic"] = Field(
        "relativistic", description="what critic and generator minimise"
    )
    penalty: Penalty = Penalty()
    critic_steps: Annotated[int, Field(ge=1, le=20)] | None = Field(
        None, description="critic updates per generator update; derived from the objective"
    )
    clip_weights: NotNegative | None = Field(None, description="largest absolute critic weight; 0.01 for wgan, else none (0)")
    label_smoothing: Annotated[float, Field(ge=0, le=0.5)] = Field(0.0, description="real targets 1 - this (minimax, nonsaturating, lsgan)")
    dropout: Annotated[float, Field(ge=0, lt=1)] = Field(0.0, description="in the critic")
    instance_noise: NotNegative = Field(0.0, description="σ of the noise added to every picture the critic sees, faded out over the run")
    l1: NotNegative = Field(0.0, description="weight of the mean absolute weight, each player")
    l2: NotNegative = Field(0.0, description="weight of the mean squared weight, each player")


class Autoencoding(Model):
    """An encoder and a decoder, with a small latent between them."""

    network: Literal["conv", "residual", "mlp"] | None = Field(
        None, description="plain 3×3 convolutions, residual blocks, or mlp (dense layers); derived: mlp for small pictures on a CPU, else conv"
    )
    latent: Annotated[int, Field(ge=1, le=1024)] | None = Field(None, description="length of the latent vector z; derived from the resolution")
    likelihood: Literal["gaussian", "bernoulli", "fixed"] = Field(
        "gaussian", description="of a pixel: gaussian (σ learned), bernoulli (black or white), fixed (σ given)"
    )
    sigma: Positive = Field(0.1, description="σ of the fixed likelihood, in pixel values of [-1, 1]")
    beta: NotNegative = Field(1.0, description="weight of the KL divergence")
    kl_warm_up: Fraction = Field(0.1, description="part of the plan over which that weight rises from near 0")
    free_bits: NotNegative = Field(0.0, description="nats of KL per latent dimension that cost nothing")
    prior: Literal["mixture", "normal"] = Field("mixture", description="what is sampled: a Gaussian mixture fitted to the latents, or N(0, I)")


class Gan(Adversary):
    """Adversarial family: a generator against a critic."""

    family: Literal["gan"] = "gan"
    network: Literal["conv", "residual", "dcgan", "mlp"] = Field("conv", description="conv, residual (R3GAN's block), dcgan or mlp (the articles')")
    latent: Annotated[int, Field(ge=1, le=1024)] = Field(64, description="length of the latent vector z")
    codes: Codes = Codes()


class Vae(Autoencoding):
    """Variational family: an encoder and a decoder under one bound of the likelihood, or with a grid of codes between them."""

    family: Literal["vae"] = "vae"
    quantizer: Literal["none", "vq", "fsq"] = Field("none", description="vq, fsq: a grid of codes in place of the latent vector")
    codebook: Literal[256, 1024, 4096] = Field(256, description="about how many different codes")
    halvings: Annotated[int, Field(ge=0, le=6)] | None = Field(None, description="how often a side is halved on the way to the codes; derived")


class VaeGan(Autoencoding, Adversary):
    """Both: a variational autoencoder whose decoder also plays against a critic."""

    family: Literal["vaegan"] = "vaegan"
    network: Literal["conv", "residual"] = Field("conv", description="plain 3×3 convolutions, or residual blocks")
    features: Fraction = Field(1.0, description="part of the reconstruction that is judged in the critic's features, the rest in pixels")
    adversarial: NotNegative = Field(0.8, description="pull of the critic on what is made, as a multiple of that of the reconstruction")
    adversarial_from: Fraction = Field(0.1, description="part of the plan in which the decoder hears the reconstruction alone")


class Restoring(Model):
    """A network that makes a whole sample of a small or a damaged one."""

    task: Literal["upscale", "inpaint"] = Field("upscale", description="what is to be undone: being small, or missing a part")
    factor: Literal[2, 3, 4, 8] = Field(4, description="how many times as large each side becomes (upscale)")
    network: Literal["conv"] = Field("conv", description="residual convolutions at the small size (upscale), a U-Net (inpaint)")
    depth: Annotated[int, Field(ge=1, le=64)] | None = Field(None, description="residual blocks; derived from the size")
    distance: Literal["l1", "l2", "charbonnier"] = Field("l1", description="between what is made and what it should be: |e|, e² or √(e² + ε²)")
    condition: Literal["none"] = Field("none", description="labels have nothing to say here")


class Restore(Restoring):
    """Restoring family: the distance to what it should be, alone."""

    family: Literal["restore"] = "restore"


class RestoreGan(Restoring, Adversary):
    """Restoring family with a critic, for what looks right where nobody can know."""

    family: Literal["restoregan"] = "restoregan"
    adversarial: NotNegative = Field(0.01, description="weight of what the critic says beside the distance")


class Wording(Model):
    """A model of words: it says how likely each token is to come next."""

    condition: Literal["none"] = Field("none", description="labels of words are tags in front of them")


class Ngram(Wording):
    """Counting: how often each token followed those before it (`fenshen.measure.ngram`). Nothing is learnt; what a network has to beat."""

    family: Literal["ngram"] = "ngram"
    order: Annotated[int, Field(ge=1, le=12)] | None = Field(
        None, description="tokens that are counted together, the foretold one among them; derived: what suits held-out text best"
    )


class Writing(Wording):
    """A network of words."""

    context: Annotated[int, Field(ge=8, le=4096)] | None = Field(None, description="tokens that it reads at most before the next; derived")
    width: Annotated[int, Field(ge=8, le=4096, multiple_of=2)] | None = Field(None, description="entries of a token's vector; derived from the size")
    depth: Annotated[int, Field(ge=1, le=64)] | None = Field(None, description="layers; derived from the size")
    dropout: Annotated[float, Field(ge=0, lt=1)] | None = Field(None, description="of what passes between layers; derived from the amount of text")
    rows: Literal["windows", "documents"] | None = Field(
        None, description="windows anywhere in the text, or one whole document each; derived from how long they are"
    )


class Autoregressive(Writing):
    """Autoregressive family: the likelihood of each token given those before it, alone."""

    family: Literal["autoregressive"] = "autoregressive"
    net: Literal["lstm", "transformer"] = Field("transformer", description="recurrent layers, or attention")


class Pretrained(Writing):
    """Autoregressive family, begun by somebody else: a folder of Hugging Face's `transformers`. Width and depth are that model's."""

    family: Literal["pretrained"] = "pretrained"
    start: str = Field("", description="the folder, with config.json, tokenizer.json and weights as .safetensors; nothing is downloaded")
    rank: Annotated[int, Field(ge=0, le=1024)] = Field(
        8, description="of what is learnt beside each of its matrices (LoRA), and kept without them; 0: all of its weights are learnt and kept"
    )
    architecture: str = Field("", description="its config.json; taken from it")
    sha256: str = Field("", description="of its weights and tokens; taken from it")


class TextVae(Writing):
    """Variational family of words: an encoder and a recurrent decoder that hears the latent before every token."""

    family: Literal["textvae"] = "textvae"
    latent: Annotated[int, Field(ge=1, le=1024)] = Field(32, description="length of the latent vector z")
    beta: NotNegative = Field(1.0, description="weight of the KL divergence")
    pretraining: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.2, description="part of the plan in which it only learns to say again what it has read"
    )
    annealing: Literal["threshold", "cyclical"] = Field(
        "threshold", description="how the KL's weight rises then: once, with nats that cost nothing, or four times from zero"
    )
    kl_warm_up: Fraction = Field(0.3, description="part of what is left of the plan over which it rises (threshold)")
    free_nats: NotNegative = Field(8.0, description="nats of KL that cost nothing, shared by all units (threshold)")
    word_dropout: Annotated[float, Field(ge=0, lt=1)] = Field(0.2, description="part of the tokens that the decoder is not shown in training")
    prior: Literal["mixture", "normal"] = Field("mixture", description="what is sampled: a Gaussian mixture fitted to the latents, or N(0, I)")


class OverCodes(Model):
    """Autoregressive family on codes: the likelihood of each code of a picture given those before it."""

    family: Literal["codec"] = "codec"
    codec: str = Field("", description="the run, trained with model.quantizer, whose codes are learnt; its weights are copied into the new run")
    coding: Vae | None = Field(None, description="what that run's model is; taken from it")
    coding_told: bool = Field(False, description="whether that run is told labels; taken from it")
    width: Annotated[int, Field(ge=8, le=4096, multiple_of=2)] | None = Field(None, description="entries of a code's vector; derived from the size")
    depth: Annotated[int, Field(ge=1, le=64)] | None = Field(None, description="layers; derived from the size")
    dropout: Annotated[float, Field(ge=0, lt=1)] | None = Field(None, description="of what passes between layers; derived: more for few pictures")


class TextGan(Writing):
    """Adversarial family of words: a recurrent writer, first by likelihood alone, then also against a critic of whole texts."""

    family: Literal["textgan"] = "textgan"
    net: Literal["lstm"] = "lstm"
    pretraining: Annotated[float, Field(ge=0, lt=1)] = Field(0.6, description="part of the plan in which the likelihood alone counts")
    adversarial: NotNegative = Field(0.02, description="weight of what the critic says beside the likelihood")
    likelihood: NotNegative = Field(1.0, description="weight of the likelihood beside what the critic says")
    sharpness: Annotated[float, Field(ge=1)] = Field(4.0, description="inverse temperature that gradients go through, at the end; 1 at first")
    critic_steps: Annotated[int, Field(ge=1, le=20)] = Field(1, description="critic updates per update of the writer")
    judged_at: Annotated[float, Field(gt=0, le=2)] = Field(
        0.8, description="temperature of the texts from which the critic learns to judge when training is over, and of those that --keep draws"
    )
    tolerance: NotNegative = Field(0.05, description="nats per token by which held-out text may become less likely, before training ends")


def _family_of(model: Any) -> str:
    """Which kind of model a part of a recipe describes; `gan` where it does not say."""
    return str(model.get("family", "gan")) if isinstance(model, dict) else model.family


AnyModel = Annotated[
    Annotated[Gan, Tag("gan")] | Annotated[Vae, Tag("vae")] | Annotated[VaeGan, Tag("vaegan")]
    | Annotated[Restore, Tag("restore")] | Annotated[RestoreGan, Tag("restoregan")] | Annotated[Autoregressive, Tag("autoregressive")]
    | Annotated[Ngram, Tag("ngram")] | Annotated[TextVae, Tag("textvae")] | Annotated[TextGan, Tag("textgan")]
    | Annotated[OverCodes, Tag("codec")] | Annotated[Pretrained, Tag("pretrained")],
    Discriminator(_family_of),
]  # fmt: skip
FAMILIES: dict[str, type[Model]] = {
    "gan": Gan, "vae": Vae, "vaegan": VaeGan, "restore": Restore, "restoregan": RestoreGan, "autoregressive": Autoregressive, "ngram": Ngram,
    "textvae": TextVae, "textgan": TextGan, "codec": OverCodes, "pretrained": Pretrained,
}  # fmt: skip


class Train(Section):
    """How long, how fast, on what."""

    seed: Annotated[int, Field(ge=0, lt=2**31)] = Field(0, description="everything random follows from it")
    minutes: Positive | None = Field(None, description="stop after this time")
    kimg: Positive | None = Field(None, description="stop after this many thousand real pictures")
    batch: Annotated[int, Field(ge=1, le=4096)] | None = Field(None, description="pictures per step; derived from the data")
    start_from: str | None = Field(None, description="a run whose weights this one begins with, as far as name and shape fit")
    optimizer: Literal["adam", "adamw", "rmsprop"] | None = Field(None, description="derived from the objective")
    lr: Positive | None = Field(None, description="learning rate; derived from objective and network")
    lr_critic: Positive | None = Field(None, description="the critic's, where it differs")
    lr_burn_in: Positive = Field(1.0, description="learning rate starts at this multiple and comes down to 1 by cosine")
    lr_end: Fraction = Field(0.1, description="part of the learning rate left at the end")
    anneal_from: Fraction = Field(0.5, description="part of the plan after which the learning rate falls")
    beta1: Annotated[float, Field(ge=0, lt=1)] | None = Field(None, description="Adam's; derived: 0 against a critic, else 0.9")
    beta2: Annotated[float, Field(gt=0, lt=1)] | None = Field(None, description="Adam's; derived: 0.99 against a critic, else 0.999")
    beta2_start: Annotated[float, Field(gt=0, lt=1)] | None = Field(None, description="β2 at the start of the burn-in")
    burn_in: Fraction = Field(0.2, description="part of the plan over which γ, β2, learning rate and augmentation move by cosine")
    weight_decay: NotNegative | None = Field(None, description="derived: 0; of a transformer of words more, the more weights it has for its text")
    clip_norm: NotNegative = Field(0.0, description="largest gradient norm per player; 0: off")
    clip_value: NotNegative = Field(0.0, description="largest gradient value; 0: off")
    ema_half_life_kimg: NotNegative | None = Field(None, description="half-life of the averaged weights; derived from the plan")
    augmentation: Literal["auto", "off", "adaptive", "fixed"] = Field(
        "auto", description="of what the critic sees; auto: adaptive where the set is small"
    )
    augmentation_strength: Fraction = Field(0.0, description="where it starts (adaptive) or ends after the burn-in (fixed)")
    augmentation_target: Fraction = Field(0.6, description="r_t at which the adaptive strength settles")
    augmentation_cap: Fraction = Field(0.85, description="largest adaptive strength")
    device: str = Field("auto", description="auto, cpu, cuda, cuda:N or mps")
    precision: Literal["auto", "fp32", "bf16"] = Field("auto", description="of what is computed; auto: the probe chooses")
    channels_last: bool | None = Field(None, description="memory format; the probe chooses")
    threads: Annotated[int, Field(ge=1)] | None = Field(None, description="CPU threads; the probe chooses")
    parts: Annotated[int, Field(ge=1, le=64)] | None = Field(
        None, description="parts of a batch computed side by side, which share the threads; the probe chooses"
    )
    compile: bool | None = Field(None, description="torch.compile; the probe chooses on CUDA, off elsewhere")
    ticks: Annotated[int, Field(ge=1, le=1000)] | None = Field(
        None, description="how many times per run samples and a save are written; derived: 20, in a short training fewer"
    )


class Autopilot(Section):
    """Watches the training and rescues it (`fenshen.training.autopilot`). `autopilot = "off"` is short for on = false."""

    on: bool = Field(True, description="watch the training, and change the recipe or go back where it goes wrong")
    until: Positive | None = Field(None, description="stop when the Fréchet distance is so many times that of real pictures")

    @model_validator(mode="before")
    @classmethod
    def _in_short(cls, value: Any) -> Any:
        return {"on": value == "on"} if value in ("on", "off") else value


class Adapt(Section):
    """A trained run as the beginning of this one (`fenshen adapt`). Without a parent nothing here has any effect."""

    parent: str | None = Field(None, description="the run folder that this run begins from; its data and weights stay as they are")
    freeze: Annotated[int, Field(ge=0)] | None = Field(
        None, description="how many of the critic's resolutions, from the picture on, keep the parent's weights; derived: half of them"
    )
    replay: Annotated[float, Field(ge=0, lt=1)] = Field(0.0, description="part of each batch drawn from the parent's own training pictures")
    anchor: NotNegative = Field(0.0, description="weight of the squared distance of the generator's weights from the parent's")


class Evaluate(Section):
    """What is measured when training is over (`fenshen evaluate`)."""

    report: bool = Field(True, description="write report.html at the end of training")
    count: Annotated[int, Field(ge=16)] | None = Field(None, description="pictures made and measured; derived: as many as are trained on")
    encoder: Literal["own", "inception", "dinov2"] = Field(
        "own", description="whose features are compared: our own, trained on these pictures, or published ones; training always uses its own"
    )
    encoder_weights: str | None = Field(None, description="file with the weights of inception or dinov2, .pth or .safetensors; or download")


class Recipe(Section):
    """One run. Sections as in the TOML file."""

    data: Data = Data()
    model: AnyModel = Gan()
    train: Train = Train()
    autopilot: Autopilot = Autopilot()
    adapt: Adapt = Adapt()
    evaluate: Evaluate = Evaluate()

    @property
    def pictures_per_step(self) -> int:
        """Real pictures that count as shown in one step: what the critic sees, or the model where there is none."""
        assert self.train.batch
        return self.train.batch * ((self.model.critic_steps or 1) if isinstance(self.model, Adversary) else 1)

    def toml(self) -> str:
        """The recipe as TOML, without the fields that are still to be derived."""
        return tomli_w.dumps(self.model_dump(exclude_none=True))

    def set(self, changes: dict[str, Any]) -> Recipe:
        """A new recipe with dotted keys changed, checked as a whole: `recipe.set({"train.lr": 1e-3})`.

        Another `model.family` begins with that family's own defaults.
        """
        values = self.model_dump(exclude_none=True)
        if changes.get("model.family", self.model.family) != self.model.family:
            values["model"] = {}
        for key, value in changes.items():
            *parents, last = key.split(".")
            place = values
            for name in parents:
                place = place.setdefault(name, {})
                if not isinstance(place, dict):
                    raise RecipeError("the recipe has no key {key}", key=key)
            if value is None:
                place.pop(last, None)
            else:
                place[last] = value
        return parse(values, "--set")


def parse(values: dict[str, Any], where: str) -> Recipe:
    """Checks nested values; `where` names the file or flag in the error."""
    try:
        return Recipe.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        if first["type"] == "union_tag_invalid":
            raise RecipeError("{where}: model.family = {value}: known are {known}", where=where, value=_family_of(first["input"]),
                              known=", ".join(FAMILIES)) from None  # fmt: skip
        # The place of what is wrong in a model has the family's name in it: model, gan, latent.
        key = ".".join(str(part) for i, part in enumerate(first["loc"]) if not (i == 1 and first["loc"][0] == "model"))
        if first["type"] == "extra_forbidden":
            known = ", ".join(_siblings(first["loc"]))
            raise RecipeError("{where}: there is no key {key}; known here: {known}", where=where, key=key, known=known) from None
        raise RecipeError("{where}: {key} = {value}: {problem}", where=where, key=key, value=first["input"], problem=_problem(first)) from None


def _problem(error: Any) -> Said | str:
    """What is wrong with a value, in the reader's language where it is one of the usual mistakes."""
    limits = error.get("ctx") or {}
    match error["type"]:
        case "greater_than_equal":
            return said("at least {limit}", limit=f"{limits['ge']:g}")
        case "greater_than":
            return said("more than {limit}", limit=f"{limits['gt']:g}")
        case "less_than_equal":
            return said("at most {limit}", limit=f"{limits['le']:g}")
        case "less_than":
            return said("less than {limit}", limit=f"{limits['lt']:g}")
        case "literal_error":
            return said("one of {known}", known=limits["expected"])
        case "int_parsing" | "int_type" | "int_from_float":
            return said("a whole number is needed")
        case "float_parsing" | "float_type":
            return said("a number is needed")
        case "bool_parsing" | "bool_type":
            return said("true or false is needed")
    return str(error["msg"])


def _siblings(loc: tuple[int | str, ...]) -> Iterable[str]:
    section: Any = Recipe
    for name in loc[:-1]:
        section = FAMILIES if name == "model" else section[str(name)] if section is FAMILIES else section.model_fields[name].annotation
    return section.model_fields


def set_from_text(pairs: Iterable[str]) -> dict[str, Any]:
    """`["train.lr=1e-3", "model.condition=none"]` -> dotted keys with values read as TOML, else as plain words."""
    changes: dict[str, Any] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals or not key:
            raise RecipeError("--set {pair}: write key=value, for example --set train.lr=0.001", pair=pair)
        try:
            changes[key.strip()] = tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            changes[key.strip()] = text.strip()
    return changes


def ready_recipes() -> dict[str, Path]:
    """Name -> file of the recipes that come with the package."""
    folder = Path(str(resources.files("fenshen") / "recipes"))
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}


def load_recipe(name: str | Path) -> Recipe:
    """A ready recipe by name, or a TOML file."""
    path = ready_recipes().get(str(name), Path(name))
    try:
        values = tomllib.loads(path.read_text("utf-8"))
    except (FileNotFoundError, IsADirectoryError):
        known = ", ".join(ready_recipes())
        raise RecipeError("no recipe {name}: neither a file nor one of {known}", name=name, known=known) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError("{where} is not valid TOML: {problem}", where=path, problem=error) from None
    return parse(values, str(path))
