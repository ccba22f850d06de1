"""Words on the page Make: texts that grow as they are written, what of them is copied, and a conversation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import gradio as gr

from fenshen.errors import FenshenError
from fenshen.evaluate.charts import element
from fenshen.lang import tr
from fenshen.studio import parcel
from fenshen.studio.face import Face
from fenshen.studio.pages.make_bench import FETCH
from fenshen.studio.pages.make_pictures import next_seed

if TYPE_CHECKING:
    from fenshen.studio.dictation import Dictation
    from fenshen.studio.opened import Opened

SCHEMA = '{"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}'
WORK: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}


def build(face: Face, run: Opened) -> None:
    """All parts for a run of words; where it has learnt from conversations, talking comes first."""
    if len(run.speakers) < 2:
        _writing(face, run)
        return
    with gr.Tabs():
        with gr.Tab(tr("Talk")):
            _talking(face, run)
        with gr.Tab(tr("Write")):
            _writing(face, run)


def _writing(face: Face, run: Opened) -> None:
    going, written = gr.State(None), gr.State(None)
    with gr.Column(elem_classes="fs-card"):
        wishes = wishes_for(run)
        with gr.Row(elem_classes="fs-actions"):
            make = gr.Button(tr("Make"), variant="primary", elem_id="make")
            others = gr.Button(tr("Others"), elem_id="make-others")
            stop = gr.Button(tr("Stop"), interactive=False, elem_id="make-stop")
    paper = gr.HTML(elem_id="make-paper", visible=False)
    with gr.Row(visible=False, elem_classes="fs-actions") as saving:
        endings = {".txt": tr("Save as text (.txt)"), ".jsonl": tr("Save as rows (.jsonl)")}
        files = {ending: gr.Button(text, size="sm") for ending, text in endings.items()}
    file = gr.DownloadButton(visible="hidden", elem_id="make-file")

    @face.answer
    def write(*values: Any) -> Iterator[tuple[Any, ...]]:
        from fenshen.studio import dictation

        wanted = dict(zip(wishes, values, strict=True))
        show_copies, prompt = wanted.pop("show_copies"), wanted["prompt"]
        opened = face.shelf.open(run.path.name)
        dictated = dictation.Dictation(lambda spoken: opened.write(spoken=spoken, **read(wanted)))
        busy = gr.Button(interactive=False), gr.Button(interactive=True)
        idle = busy[::-1]
        yield dictated, gr.skip(), gr.HTML(dictation.texts_markup(prompt, [""], growing=True), visible=True), *busy, gr.Row(visible=False)
        try:
            for texts in dictated.texts():
                yield gr.skip(), gr.skip(), dictation.texts_markup(prompt, texts, growing=True), gr.skip(), gr.skip(), gr.skip()
        except BaseException:
            yield None, None, gr.HTML(visible=False), *idle, gr.Row(visible=False)
            raise
        texts = list(dictated.result.texts if dictated.result is not None else dictated.so_far())
        yield None, (prompt, texts), dictation.texts_markup(prompt, texts), *idle, gr.Row(visible=True)
        if show_copies and any(texts):
            yield None, (prompt, texts), copies(opened, prompt, texts), *idle, gr.Row(visible=True)

    def saved(ending: str) -> Any:
        @face.answer
        def packed(written: tuple[str, list[str]]) -> str:
            from fenshen.api import Words

            prompt, texts = written
            return str(Words(tuple(texts), prompt, run.path.name).save(parcel.fresh(file.GRADIO_CACHE) / f"{run.path.name}{ending}"))

        return packed

    outputs = [going, written, paper, make, stop, saving]
    gr.on([make.click, wishes["prompt"].submit], write, list(wishes.values()), outputs, **WORK)
    others.click(next_seed, wishes["seed"], wishes["seed"], queue=False, **WORK).then(write, list(wishes.values()), outputs, **WORK)
    stop.click(stopped, going, None, queue=False, **WORK)
    for ending, button in files.items():
        button.click(saved(ending), written, file, **WORK).success(None, js=FETCH, **WORK)


def stopped(going: Dictation | None) -> None:
    """Lets the text that is being written end here."""
    if going is not None:
        going.stop()


def copies(run: Opened, prompt: str, texts: list[str]) -> str:
    """The texts with copies marked; where the training text is gone, the texts and why."""
    from fenshen.studio import dictation

    try:
        return dictation.copied_markup(run.corpus(), prompt, texts)
    except FenshenError as error:
        said = tr("What is copied cannot be shown: {problem}", problem=error)
        return dictation.texts_markup(prompt, texts) + element("p", said, class_="fs-warning")


def wishes_for(run: Opened) -> dict[str, Any]:
    """Parts for what may be wished, by the name of the argument of `Run.write`; those of a `Shape` and `show_copies` among them."""
    alphabet = run.author().alphabet
    wishes: dict[str, Any] = {
        "prompt": gr.Textbox(label=tr("Beginning"), info=tr("the text goes on from here; leave it empty for a new one"), lines=2, max_lines=8,
                             elem_id="make-prompt"),
    }  # fmt: skip
    if run.latents:
        wishes["like"] = gr.Textbox(label=tr("Like these texts"), info=tr("a line each: around one, or on the way from one to the next"), lines=2)
    with gr.Row():
        wishes["count"] = gr.Slider(1, 16, value=1, step=1, label=tr("How many"))
        wishes["max_chars"] = gr.Slider(20, 4000, value=500, step=20, label=tr("Characters at most"))
        info = tr("below 1 more typical, 0 always the likeliest")
        wishes["temperature"] = gr.Slider(0, 2, value=0.8, step=0.05, label=tr("Temperature"), info=info)
    if alphabet.tags:
        named = [(tag[1:-1].partition(":")[2], tag) for tag in alphabet.tags]
        info = tr("a label or a speaker that the text begins with")
        wishes["tags"] = gr.Dropdown(named, value=[], multiselect=True, label=tr("Said to be"), info=info)
    with gr.Accordion(tr("More wishes"), open=False):
        _drawing(run, wishes)
        _forms(run, wishes)
    wishes["show_copies"] = gr.Checkbox(True, label=tr("mark what stands word for word in the training text"))
    for part in wishes.values():
        part.interactive = True
    return wishes


def _drawing(run: Opened, wishes: dict[str, Any]) -> None:
    with gr.Row():
        wishes["seed"] = gr.Number(0, precision=0, minimum=0, maximum=2**53, label=tr("Seed"), info=tr("another seed, other texts"))
        wishes["top_k"] = gr.Number(0, precision=0, minimum=0, label="Top-k", info=tr("only of so many likeliest tokens; 0: of all"))
        wishes["top_p"] = gr.Slider(0.05, 1, value=1, step=0.05, label="Top-p", info=tr("only of the likeliest that make up this share"))
    with gr.Row():
        info = tr("only of those at least so likely as this part of the likeliest")
        wishes["min_p"] = gr.Slider(0, 1, value=0, step=0.01, label="Min-p", info=info)
        wishes["repetition"] = gr.Slider(1, 2, value=1, step=0.05, label=tr("Against repetition"), info=tr("above 1, what came lately comes less"))
        wishes["stop"] = gr.Textbox(label=tr("Ends at"), info=tr("where this would come, the text is over"))
    with gr.Row():
        info = tr("characters of the training text; 0: no limit")
        wishes["no_copy"] = gr.Number(0, precision=0, minimum=0, label=tr("No copy longer than"), info=info)
        if run.latents:
            wishes["far"] = gr.Slider(0, 1, value=0.5, step=0.05, label=tr("How far around it"), info=tr("0: the text itself, 1: anywhere"))
        if run.judged:
            wishes["keep"] = gr.Slider(0.1, 1, value=1, step=0.05, label=tr("Part that is kept"),
                                       info=tr("below 1: more are written, and those kept that the critic finds most real"))  # fmt: skip


def _forms(run: Opened, wishes: dict[str, Any]) -> None:
    """Free, a quatrain where the run knows Chinese characters, so many lines, JSON."""
    from fenshen.media.verse import is_ideograph

    forms = [(tr("free"), "free"), (tr("so many lines"), "lines"), ("JSON", "json")]
    alphabet = run.author().alphabet
    verse = alphabet.kind == "characters" and any(map(is_ideograph, alphabet.characters))
    if verse:
        forms[1:1] = [(tr("quatrain of five characters"), "wuyan"), (tr("quatrain of seven characters"), "qiyan")]
    form = wishes["form"] = gr.Radio(forms, value="free", label=tr("Form"), elem_id="make-form")
    with gr.Row(visible=False) as rules:
        wishes["rhyme"] = gr.Checkbox(True, label=tr("the fourth line rhymes with the second"))
        wishes["tones"] = gr.Checkbox(False, label=tr("level and oblique tones in their places"))
    lines = wishes["lines"] = gr.Slider(1, 40, value=4, step=1, label=tr("Lines"), visible=False)
    schema = wishes["schema"] = gr.Textbox(SCHEMA, lines=4, label=tr("JSON schema"), visible=False)

    def asks(chosen: str) -> tuple[gr.Row, gr.Slider, gr.Textbox]:
        """What the form that is chosen has to ask."""
        return gr.Row(visible=chosen in ("wuyan", "qiyan")), gr.Slider(visible=chosen == "lines"), gr.Textbox(visible=chosen == "json")

    form.change(asks, form, [rules, lines, schema], queue=False, **WORK)


def read(values: dict[str, Any]) -> dict[str, Any]:
    """What the parts say, as `Run.write` takes it. RecipeError for a schema that is none."""
    from fenshen.studio.dictation import shape_of

    shape = shape_of(*(values.pop(name) for name in ("form", "rhyme", "tones", "lines", "schema", "no_copy")))
    whole = {name: int(values[name] or 0) for name in ("count", "seed", "max_chars", "top_k")}
    like = {"like": [line for line in values["like"].splitlines() if line.strip()]} if "like" in values else {}
    stop = {"stop": [values["stop"].replace("\\n", "\n")] if values["stop"] else []}
    return values | whole | like | stop | {"shape": shape}


def _talking(face: Face, run: Opened) -> None:
    talk = gr.State(None)
    names = run.speakers
    with gr.Column(elem_classes="fs-card"):
        page = gr.HTML(element("p", tr("Say something, and it answers."), class_="fs-soft"), elem_id="make-talk")
        with gr.Row(elem_classes="fs-say"):
            text = gr.Textbox(label=tr("You say"), scale=5, interactive=True, elem_id="make-say")
            say = gr.Button(tr("Say it"), variant="primary", scale=0, elem_classes="fs-do")
        with gr.Accordion(tr("Who talks"), open=False):
            with gr.Row():
                me = gr.Dropdown(names, value=names[1], label=tr("It speaks as"), interactive=True)
                you = gr.Dropdown(names, value=names[0], label=tr("You are"), interactive=True)
                temperature = gr.Slider(0, 2, value=0.8, step=0.05, label=tr("Temperature"), interactive=True)
            anew = gr.Button(tr("Begin anew"), size="sm", elem_classes="fs-do")

    @face.answer
    def said(text: str, talk: Any, me: str, you: str, temperature: float) -> Iterator[tuple[Any, str, str]]:
        from fenshen.studio import dictation

        if not text.strip():
            yield talk, gr.skip(), ""
            return
        talking, turns = talk or (face.shelf.open(run.path.name).talk(me, you, temperature=temperature), [])
        turns = [*turns, (talking.you, text)]
        yield gr.skip(), dictation.transcript(turns, talking.me), ""
        dictated = dictation.Dictation(lambda spoken: talking.say(text, spoken))
        for parts in dictated.texts():
            yield gr.skip(), dictation.transcript([*turns, (talking.me, parts[0])], talking.me), ""
        turns = [*turns, (talking.me, dictated.result or "…")]
        yield (talking, turns), dictation.transcript(turns, talking.me), ""

    gr.on([say.click, text.submit], said, [text, talk, me, you, temperature], [talk, page, text], **WORK)
    for part, event in ((anew, "click"), (me, "input"), (you, "input")):
        getattr(part, event)(lambda: (None, ""), None, [talk, page], queue=False, **WORK)
