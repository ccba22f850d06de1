"""What the report of a run of words says and shows in other words than that of pictures: texts, copies with their sources, measures."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from fenshen.evaluate.charts import Markup, Points, element, joined, short, square
from fenshen.lang import tr

Part = tuple[str, bool]  # A piece of text, and whether it is marked.
Parts = Sequence[Part]
LONGEST_SHOWN = 1200  # Characters of one text.


def shown(parts: Parts, **attributes: object) -> Markup:
    """A text with its lines as they are; marked parts stand out, by more than their color. What is too long is cut off."""
    left, inside = LONGEST_SHOWN, []
    for text, marked in parts:
        inside.append(element("mark", text[:left]) if marked else text[:left])
        left -= len(text)
        if left <= 0:
            inside.append("…")
            break
    return element("blockquote", joined(inside), **attributes)


def samples(texts: Sequence[Parts]) -> Markup:
    """Texts side by side, under one caption."""
    said = tr("Texts that the run wrote: as they came, none picked by hand.")
    if any(marked for parts in texts for _, marked in parts):
        said += " " + tr("Marked: longer runs of the training text than new text has.")
    return joined([element("div", *(shown(parts) for parts in texts), class_="texts"), element("p", said, class_="intro")])


def copies(pairs: Sequence[tuple[Parts, Parts]]) -> Markup:
    """What was written, beside the training text that it has in common."""
    heads = element("tr", *(element("th", name, scope="col") for name in (tr("What the run wrote"), tr("The training text"))))
    rows = [element("tr", *(element("td", shown(parts)) for parts in pair)) for pair in pairs]
    warning = tr("These are parts of your training text: think before you pass this page on.")
    caption = element("p", tr("The texts with the longest runs in common with the training text. Marked is what stands in both."), class_="intro")
    table = element("table", element("thead", heads), element("tbody", *rows), class_="copies")
    return joined([caption, table, element("p", warning, class_="warning")])


def frontier(lines: dict[str, Points]) -> Markup:
    """What MAUVE is the area of: one line of what was made, one of real texts, both against held-out texts."""
    keys = [element("span", f"{name} {short(area(points))}", class_=f"key series-{index % 4}") for index, (name, points) in enumerate(lines.items())]
    title = tr("MAUVE: what is said against what is left out")
    caption = element("figcaption", element("span", title, class_="name"), element("span", joined(keys), class_="keys"))
    told = tr("To the right: how much of what is written is what is written by people. Upward: how much of what people write is written. A line that "
              "goes to the upper right corner loses neither.")  # fmt: skip
    drawn = element("figure", caption, square(title, lines, tr("said")), class_="panel")
    return joined([element("div", drawn, class_="panels"), element("p", told, class_="intro")])


def area(points: Points) -> float:
    """Under a line from the left to the right."""
    return sum((right[0] - left[0]) * (right[1] + left[1]) / 2 for left, right in pairwise(points))


def scores_intro() -> str:
    """What the columns of the scores mean."""
    return tr("A number alone says little, so each stands between two others, measured in the same way. The floor: real training texts "
              "against texts held out, the best that can be expected. The ceiling: letters in any order. Below a number is the range in which "
              "it may lie.")  # fmt: skip


def meaning(key: str) -> tuple[str, str] | None:
    """As `fenshen.evaluate.page.meaning`, of letters and digits alone; None where it is no measure of words."""
    n = key[-1:]
    match key.rstrip("0123456789"):
        case "bitsperbyte" | "heldoutbitsperbyte":
            return tr("Bits per byte"), tr("How well it would compress new text of this kind: the same for characters and for byte pieces.")
        case "natspertoken" | "heldoutnats":
            return tr("Nats per token"), tr("How surprised it is by each token of new text, in the mean.")
        case "bleu":
            return f"BLEU-{n}", tr("How usual the made texts are: how many of their runs of up to {n} words stand in real ones.", n=n)
        case "selfbleu":
            return f"self-BLEU-{n}", tr("How alike the made texts are: how many runs of up to {n} words each shares with the others.", n=n)
        case "distinct":
            return f"distinct-{n}", tr("The share of runs of {n} words that are different, among all that are made.", n=n)
        case "mauve":
            return "MAUVE", tr("How close made and real texts are, both in what is never said and in what is left out; 1 is the same.")
        case "frechet":
            return tr("Fréchet distance"), tr(
                "How far the made texts, taken together, are from real ones, in the sequences of letters that they have."
            )
        case "precision":
            return tr("Precision"), tr("The share of made texts that are like real ones: how true to life.")
        case "recall":
            return tr("Recall"), tr("The share of real texts that have their like among the made ones: how much of the variety is covered.")
        case "verseform":
            return tr("Form of the verse"), tr("The share of texts that are quatrains: four lines, each as long as it should be.")
        case "verserhyme":
            return tr("Rhyme"), tr("The share of texts that are quatrains and rhyme, as they are spoken today.")
        case "versetones":
            return tr("Tones"), tr("The share of texts that are quatrains with level and oblique tones in their places, as they are spoken today.")
        case "writernats":
            return tr("Nats per token, in training"), ""
        case "writerlikelihood":
            return tr("Loss, nats per place in a row"), ""
    return None
