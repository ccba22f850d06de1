"""`fenshen generate`: new pictures from a run, as files, as one picture, or as arrays; new texts from a run of words."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from fenshen.cli.console import Speaker
from fenshen.cli.options import Device, Json, RunName
from fenshen.errors import RecipeError
from fenshen.lang import tr

if TYPE_CHECKING:
    from fenshen.api import Run

HELP = tr(
    "Make new pictures with RUN: a folder of files, one picture with all of them (a grid), or an .npz; or new texts, on the terminal or in a "
    "file. The same seed makes the same."
)
PICTURES = (".png", ".webp")
STRANGE = (".npy", ".zip", ".tar", ".parquet")  # Files that somebody may expect, but that are not written.
Format = Literal["png", "webp", "npz"]
PATH = 8  # Texts on the way from one to another.


def generate(
    run: RunName,
    count: Annotated[
        int | None,
        typer.Option("--count", metavar="N", min=1, help=tr("how many; any number fits into memory; 64 pictures or 1 text otherwise"),
                     show_default=False),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", metavar="N", min=0, max=2**63 - 1, help=tr("another seed, other pictures"))] = 0,
    label: Annotated[
        str | None, typer.Option("--label", metavar="NAME", help=tr("only this label; all of them otherwise"), show_default=False)
    ] = None,
    truncation: Annotated[float, typer.Option("--truncation", help=tr("below 1: more typical, less various"))] = 1.0,
    by_class: Annotated[bool, typer.Option("--by-class", help=tr("one label after the other; in a grid, one per column"))] = False,
    keep: Annotated[float, typer.Option("--keep", help=tr("draw more, and keep the part that the critic finds most real: 0.3 keeps 3 of 10"))] = 1.0,
    code: Annotated[
        list[str] | None,
        typer.Option("--code", metavar="NAME=VALUE", help=tr("set an information code: categorical=3 or continuous1=-0.5; may be given often")),
    ] = None,
    by_code: Annotated[
        str | None,
        typer.Option("--by-code", metavar="NAME", help=tr("one value of this code after the other, all else alike; in a grid, one per column"),
                     show_default=False),
    ] = None,
    prior: Annotated[
        Literal["mixture", "normal"] | None,
        typer.Option("--prior", help=tr("of a run with an encoder: what latents are drawn from"), show_default=False),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(
            "--input", metavar="PICTURE|FOLDER", help=tr("what a run that enlarges or repairs is to restore, of any size"), show_default=False
        ),
    ] = None,
    mask: Annotated[
        str | None,
        typer.Option("--mask", metavar="PICTURE|FOLDER", help=tr("where to repair, white; of the size of the picture"), show_default=False),
    ] = None,
    grid: Annotated[bool, typer.Option("--grid", help=tr("all in one picture"))] = False,
    prompt: Annotated[str, typer.Option("--prompt", metavar="TEXT", help=tr("words: how each text begins"), show_default=False)] = "",
    tag: Annotated[
        list[str] | None, typer.Option("--tag", metavar="NAME", help=tr("words: a label or a speaker that the text begins with; may be given often"))
    ] = None,
    max_chars: Annotated[int, typer.Option("--max-chars", metavar="N", min=1, help=tr("words: characters of a text at most"))] = 1000,
    stop: Annotated[
        list[str] | None, typer.Option("--stop", metavar="TEXT", help=tr("words: what ends a text, and is left out; may be given often"))
    ] = None,
    temperature: Annotated[
        float | None,
        typer.Option("--temperature", show_default=False,
                     help=tr("words: below 1 more typical, 0 always the likeliest; 1 unless said, with --keep 0.8")),
    ] = None,
    top_p: Annotated[float, typer.Option("--top-p", help=tr("words: only of the likeliest tokens that make up this share"))] = 1.0,
    top_k: Annotated[int, typer.Option("--top-k", help=tr("words: only of so many likeliest tokens; 0: of all"))] = 0,
    min_p: Annotated[float, typer.Option("--min-p", help=tr("words: only of tokens at least so likely as this part of the likeliest"))] = 0.0,
    repetition: Annotated[
        float, typer.Option("--repetition", help=tr("words: above 1, tokens that came lately are less likely to come again"))
    ] = 1.0,
    form: Annotated[
        Literal["wuyan", "qiyan"] | None,
        typer.Option("--form", help=tr("words: a Chinese quatrain, four lines of five (wuyan) or of seven characters (qiyan)"), show_default=False),
    ] = None,
    rhyme: Annotated[bool, typer.Option("--rhyme", help=tr("with --form: the fourth line rhymes with the second"))] = False,
    tones: Annotated[bool, typer.Option("--tones", help=tr("with --form: level and oblique tones in their places"))] = False,
    lines: Annotated[int | None, typer.Option("--lines", metavar="N", min=1, help=tr("words: just so many lines"), show_default=False)] = None,
    schema: Annotated[
        str | None, typer.Option("--schema", metavar="FILE", help=tr("words: JSON that fits the JSON schema in FILE"), show_default=False)
    ] = None,
    no_copy: Annotated[
        int | None,
        typer.Option("--no-copy", metavar="N", help=tr("words: no run of more than N characters of the training text"), show_default=False),
    ] = None,
    show_copying: Annotated[
        bool, typer.Option("--show-copying", help=tr("words: mark what stands word for word in the training text, and say the longest run"))
    ] = False,
    chat: Annotated[bool, typer.Option("--chat", help=tr("words: a conversation with a run that was trained on some"))] = False,
    speaks_as: Annotated[
        str | None, typer.Option("--as", metavar="NAME", help=tr("with --chat: who the run speaks as"), show_default=False)
    ] = None,
    speaks_to: Annotated[
        str | None, typer.Option("--to", metavar="NAME", help=tr("with --chat: who you are to it"), show_default=False)
    ] = None,
    like: Annotated[
        list[str] | None,
        typer.Option("--like", metavar="TEXT", help=tr("words, of a run with latents: around this text; twice: from one to the other")),
    ] = None,
    far: Annotated[float, typer.Option("--far", help=tr("with --like: how far around it, from 0 (the text itself) to 1 (anywhere)"))] = 0.5,
    growing: Annotated[
        bool | None, typer.Option("--stream/--no-stream", help=tr("words: show the first text as it grows; on a terminal"), show_default=False)
    ] = None,
    out: Annotated[
        str | None,
        typer.Option("--out", metavar="PATH", help=tr("a folder, a picture (a grid), or FILE.npz; words: FILE.txt or FILE.jsonl; else in the run"),
                     show_default=False),
    ] = None,
    format: Annotated[Format | None, typer.Option("--format", help=tr("png, unless --out says another"), show_default=False)] = None,
    device: Device = None,
    json: Json = False,
) -> None:
    from fenshen import api, writing
    from fenshen.cli import words
    from fenshen.cli.words import refuse
    from fenshen.families.codes import steps
    from fenshen.recipe import Wording
    from fenshen.shaping import Shape, read_schema

    speaker, found = Speaker(json), api.load(run)
    controls = {"temperature": temperature, "top_p": top_p, "top_k": top_k, "min_p": min_p, "repetition": repetition}
    of_words = {"prompt": prompt, "tags": tag or [], "max_chars": max_chars, "stop": stop or [], "like": like or [], "far": far} | controls
    if isinstance(found.recipe.model, Wording):
        refuse("words", {"--label": label, "--truncation": truncation != 1, "--by-class": by_class, "--code": code,
                         "--by-code": by_code, "--prior": prior, "--input": source, "--mask": mask, "--grid": grid, "--format": format})  # fmt: skip
        where = {"seed": seed, "device": device or "auto"}
        if temperature is None:
            controls["temperature"] = of_words["temperature"] = found.usual_temperature(keep)
        count = count or (PATH if len(like or []) > 1 else 1)
        if chat:
            words.chat(speaker, found, {"me": speaks_as, "you": speaks_to} | where | controls)
            return
        shape = Shape(form, rhyme, tones, lines, None if schema is None else read_schema(Path(schema)), no_copy)
        words.write_words(speaker, found, {"count": count, "keep": keep} | where | of_words, shape, out, growing, show_copying)
        return
    usual = {"max_chars": 1000, "far": 0.5, "temperature": None, "top_p": 1.0, "repetition": 1.0}
    refuse("pictures", {f"--{name}".replace("_", "-").removesuffix("s"): value != usual[name] if name in usual else value
                        for name, value in of_words.items()}
           | {"--form": form, "--rhyme": rhyme, "--tones": tones, "--lines": lines, "--schema": schema, "--no-copy": no_copy,
              "--show-copying": show_copying, "--chat": chat, "--stream": growing})  # fmt: skip
    count = count or 64
    if source is not None or mask is not None:
        _restore(speaker, found, source, mask, out, format, device)
        return
    codes = read_codes(code or [])
    target = choose_target(found, out, format, grid, default_name(seed, label, truncation, by_class, keep, codes, by_code, prior))
    sampler, made, _ = found.folder.load_sampler()
    stream = found.stream(
        count, seed, label, truncation, by_class=by_class, keep=keep, codes=codes, by_code=by_code, prior=prior, device=device or "auto"
    )
    if made.grouped:  # Nobody gave these labels; they mean nothing outside of the run.
        stream = ((pictures, None) for pictures, _ in stream)
    stamp = writing.stamp_of(found.path.resolve().name, Seed=seed)
    match target.kind:
        case "npz":
            writing.write_npz(stream, target.path, count, stamp)
        case "grid":
            columns = len(steps(sampler.codes, by_code)) if by_code else len(made.classes) if by_class and made.classes else None
            writing.write_grid(stream, target.path, columns, count, stamp)
        case "folder":
            writing.write_folder(stream, target.path, target.suffix, made.classes, stamp, replace=target.ours)
    speaker.say(tr("{count} pictures: {path}", count=f"{count:,}", path=target.path))
    wishes = {"count": count, "seed": seed, "label": label, "truncation": truncation, "keep": keep, "codes": codes}
    wishes |= {"by_code": by_code, "prior": prior}
    speaker.answer({"out": str(target.path), "kind": target.kind} | wishes)


def _restore(
    speaker: Speaker, run: Run, source: str | None, mask: str | None, out: str | None, format: Format | None, device: str | None
) -> None:  # fmt: skip
    """Each picture under its own name into a folder, or one into a file."""
    from fenshen import writing

    if source is None:
        raise RecipeError("--mask says where to repair, and --input which picture: give both")
    target = choose_target(run, out, format, False, "restored")
    if target.kind == "npz" or (target.kind == "grid" and Path(source).is_dir()):
        raise RecipeError("--out {path}: name a folder for several pictures, a .png or .webp for one", path=target.path)
    stream = run.restore(source, mask, device=device or "auto")
    stamp = writing.stamp_of(run.path.resolve().name)
    if target.kind == "grid":
        writing.write_picture(next(iter(stream))[1], target.path, stamp)
        count = 1
    else:
        count = writing.write_named(stream, target.path, target.suffix, stamp, replace=target.ours)
    speaker.say(tr("{count} pictures: {path}", count=f"{count:,}", path=target.path))
    speaker.answer({"out": str(target.path), "kind": target.kind, "count": count, "input": source, "mask": mask})


@dataclass(frozen=True)
class Target:
    """Where the pictures go. `ours`: a place inside the run that may be written anew."""

    kind: Literal["folder", "grid", "npz"]
    path: Path
    suffix: str = ".png"
    ours: bool = False


def choose_target(run: Run, out: str | None, format: Format | None, grid: bool, name: str) -> Target:
    """What --out, --format and --grid mean together. RecipeError where they contradict each other."""
    from fenshen.media.image import is_picture_name

    suffix = f".{format}" if format else None
    if out is None:
        place = run.path / "generated" / name
        if not grid and suffix != ".npz":
            return Target("folder", place, suffix or ".png", ours=True)
        out = f"{place}{suffix or '.png'}"
    path = Path(out).expanduser()
    named = path.suffix.lower()
    if named in (*PICTURES, ".npz") and not path.is_dir():
        if (suffix and suffix != named) or (grid and named == ".npz"):
            raise RecipeError("--out {path} is a {named} file: leave --format and --grid out, or name another file", path=out, named=named)
        return Target("npz" if named == ".npz" else "grid", path)
    if is_picture_name(path) or named in STRANGE:
        raise RecipeError("cannot write {path}: name a .png, a .webp, an .npz or a folder", path=out)
    if suffix == ".npz":
        raise RecipeError("--format npz: name a file that ends in .npz with --out, or leave --out away", path=out)
    return Target("grid", path / f"grid{suffix or '.png'}") if grid else Target("folder", path, suffix or ".png")


def read_codes(pairs: list[str]) -> dict[str, float]:
    """`["categorical=3"]` -> name and value. RecipeError where a value is no number."""
    codes = {}
    for pair in pairs:
        name, _, value = pair.partition("=")
        try:
            codes[name.strip()] = float(value)
        except ValueError:
            raise RecipeError("--code {pair}: write name=number, for example --code categorical=3", pair=pair) from None
    return codes


def default_name(
    seed: int, label: str | None, truncation: float, by_class: bool, keep: float = 1.0,
    codes: dict[str, float] | None = None, by_code: str | None = None, prior: str | None = None,
) -> str:  # fmt: skip
    """A name in RUN/generated that says how the pictures were made."""
    from fenshen.writing import plain

    words = [f"seed-{seed}"] + ([f"label-{plain(label)}"] if label is not None else [])
    words += [f"truncation-{truncation:g}"] if truncation != 1 else []
    words += [f"keep-{keep:g}"] if keep != 1 else []
    words += [f"{plain(name)}-{value:g}" for name, value in (codes or {}).items()] + ([f"by-{plain(by_code)}"] if by_code else [])
    words += [prior] if prior else []
    return "-".join([*words, "by-class"] if by_class else words)
