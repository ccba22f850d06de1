"""`fenshen evaluate` and `fenshen audit`: how good a run is, and what it gives away."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from fenshen.cli.console import Speaker
from fenshen.cli.options import Device, Json, RunName
from fenshen.lang import tr

if TYPE_CHECKING:
    from fenshen.api import Watcher

HELP = tr("Say how good RUN is: quality, variety, copying, between real pictures and noise; writes report.html.")
AUDIT_HELP = tr("Say what a stranger who has RUN could learn about the pictures it was trained on.")


def evaluate(
    run: RunName,
    count: Annotated[
        int | None, typer.Option("--count", metavar="N", min=16, help=tr("pictures made to be measured; as many as are trained on, at most 10,000"),
                                 show_default=False)
    ] = None,
    seed: Annotated[int, typer.Option("--seed", metavar="N", min=0, max=2**31 - 1, help=tr("everything random follows from it"))] = 0,
    keep: Annotated[float, typer.Option("--keep", min=0.01, max=1.0, help=tr("also measure the part that the critic finds most real"))] = 1.0,
    encoder: Annotated[
        str | None, typer.Option("--encoder", metavar="NAME", help=tr("whose features are compared: own, inception or dinov2"), show_default=False)
    ] = None,
    encoder_weights: Annotated[
        str | None, typer.Option("--encoder-weights", metavar="FILE", show_default=False,
                                 help=tr("weights of inception or dinov2 (.pth, .safetensors); download: fetch the published ones"))
    ] = None,
    device: Device = None,
    json: Json = False,
) -> None:  # fmt: skip
    from fenshen import api
    from fenshen.cli.words import refuse
    from fenshen.evaluate.report import columns, critic_in_words, table
    from fenshen.recipe import Wording

    speaker, found = Speaker(json), api.load(run)
    if isinstance(found.recipe.model, Wording):
        refuse("words", {"--keep": keep != 1, "--encoder": encoder, "--encoder-weights": encoder_weights})
    result = found.evaluate(
        count, seed, keep=keep, encoder=encoder, encoder_weights=encoder_weights, device=device or "auto", watcher=saying(speaker)
    )
    if not json:
        speaker.table(tr("Scores"), table(result), columns())
        for name, said in critic_in_words(result.critic).items():
            speaker.say(f"{name}: {said}")
        for sentence in result.verdict:
            speaker.say(sentence, "bold")
        speaker.say(tr("Report: {path}", path=result.path))
    speaker.answer(result.json())


def audit(
    run: RunName,
    seed: Annotated[int, typer.Option("--seed", metavar="N", min=0, max=2**31 - 1, help=tr("everything random follows from it"))] = 0,
    device: Device = None,
    json: Json = False,
) -> None:
    from fenshen import api

    speaker = Speaker(json)
    result = api.load(run).audit(seed, device=device or "auto", watcher=saying(speaker))
    for sentence in result.verdict:
        speaker.say(sentence)
    for attack in result.attacks:
        if attack.true_positives is not None:
            percent = f"{100 * attack.true_positives.value:.1f}"
            speaker.say(tr("{name}: {percent} % of the members found at 1 % false alarms", name=attack.name, percent=percent))
    speaker.say(tr("Written: {path}", path=result.path))
    speaker.answer(result.json())


def saying(speaker: Speaker) -> Watcher:
    from fenshen.api import Watcher

    class Saying(Watcher):
        def said(self, text: str) -> None:
            speaker.say(text)

    return Saying()
