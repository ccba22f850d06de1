"""What can be trained on what: the ready recipes that fit the data, each with a sentence for people."""

from __future__ import annotations

from fenshen.lang import tr
from fenshen.recipe import Ngram, Wording, load_recipe, ready_recipes

MINUTES = {"pictures": 10, "words": 10, "digits": 3, "topics": 5}  # What a first try is worth.
LONGEST_MINUTES = 240


def choices(words: bool) -> list[str]:
    """Names of the ready recipes for words or for pictures, the default first."""
    fitting = [name for name in ready_recipes() if isinstance(load_recipe(name).model, Wording) == words]
    order = list(explanations())
    return sorted(fitting, key=lambda name: (order.index(name) if name in order else len(order), name))


def explanations() -> dict[str, str]:
    """What each ready recipe is good for, in a sentence."""
    return {
        "gan": tr("Sharp new pictures. The best choice for most."),
        "vaegan": tr("New pictures, and your own ones can be edited: in between in sharpness."),
        "vae": tr("Quick and steady, a little soft; your own pictures can be edited."),
        "restore": tr("Learns to enlarge pictures or to repair them: faithful, a little soft."),
        "restoregan": tr("The same, sharper and less faithful."),
        "article": tr("The first article's network as it was: to compare with."),
        "codec": tr("Learns the codes of a run: name that run at model.codec below."),
        "transformer": tr("Reads the words before and writes the next one. The best choice for most."),
        "lstm": tr("Recurrent: often ahead with little text and little time."),
        "ngram": tr("Only counts which words follow which: a preview in seconds."),
        "textvae": tr("Short texts with a latent: can write around a sentence, or between two."),
        "textgan": tr("Short texts against a critic. An experiment: not better than likelihood so far."),
        "pretrained": tr("Goes on from a language model that you have: name its folder at model.start below."),
    }


def explained(name: str) -> str:
    """`gan · Sharp new pictures. …`; a recipe that nobody explained says its name alone."""
    said = explanations().get(name)
    return f"{name} · {said}" if said else name


def counts_only(name: str) -> bool:
    """Whether it takes seconds, whatever the minutes."""
    return isinstance(load_recipe(name).model, Ngram)


def sensible_minutes(source: str, words: bool) -> int:
    return MINUTES.get(source, MINUTES["words" if words else "pictures"])
