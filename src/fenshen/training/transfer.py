"""A new training that begins with another run's weights, as far as they fit (`train.start_from`).

Pan & Yang 2010, "A survey on transfer learning". Unlike an adaptation (`fenshen.training.adapting`) it may have other networks, labels and
data: whatever has the same name and shape is taken, and the rest begins anew.
"""

from __future__ import annotations

from pathlib import Path

from fenshen.errors import RunFolderError
from fenshen.families.autoregressive import LanguageModel
from fenshen.families.overcodes import CodeWriter
from fenshen.lang import tr
from fenshen.media.folder import ModelFolder
from fenshen.nets.borrowed import Borrowed, read_body
from fenshen.recipe import OverCodes, Pretrained
from fenshen.run import RunFolder, Written, read_tensors
from fenshen.training.loop import Trainer

NAMED = 5  # Tensors that are named in the sentence.


def start_from(trainer: Trainer, run: RunFolder) -> str:
    """Gives `trainer` the raw weights of `run` that fit, and says which did not. RunFolderError where none does."""
    saved, own = read_tensors(run.state)[0], trainer.family.state_dict()
    theirs = {name.removeprefix("family."): value for name, value in saved.items() if name.startswith("family.")}
    taken = {name: value for name, value in theirs.items() if name in own and own[name].shape == value.shape}
    left = sorted(set(own) - set(taken))
    if not taken:
        raise RunFolderError("train.start_from: none of the weights of {run} fits these networks; leave it out", run=run.path.name)
    trainer.family.load_state_dict(own | taken)
    trainer.averaged.load_state_dict(trainer.family.sampler.state_dict())
    part = sum(own[name].numel() for name in taken) / sum(value.numel() for value in own.values())
    said = tr("began with {percent} % of the weights from {run}", percent=f"{100 * part:.0f}", run=run.path.name)
    if not left:
        return said
    named = ", ".join(left[:NAMED]) + (", …" if len(left) > NAMED else "")
    return f"{said}; " + tr("begun anew, being of another name or shape: {names}", names=named)


def take_weights(trainer: Trainer) -> None:
    """Copies into a new run what it has from elsewhere: the codec of a model over codes, all weights of a folder that are to be learnt."""
    model = trainer.recipe.model
    if isinstance(model, Pretrained) and isinstance(trainer.made, Written) and not model.rank:
        body = read_body(ModelFolder(Path(model.start)), trainer.made.vocab).state_dict()
        for writer in (trainer.averaged, *(family.sampler for family in trainer.parts.copies)):
            assert isinstance(writer, LanguageModel) and isinstance(writer.net, Borrowed)
            writer.net.body.load_state_dict(body)
    if isinstance(model, OverCodes):
        weights = RunFolder.find(model.codec).load_sampler()[0].state_dict()
        for sampler in (trainer.averaged, *(family.sampler for family in trainer.parts.copies)):
            assert isinstance(sampler, CodeWriter)
            sampler.codec.load_state_dict(weights)
