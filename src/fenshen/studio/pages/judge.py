"""The page Judge: the report of a run, another run beside it, what it gives away, and what somebody likes of what it makes."""

from __future__ import annotations

from typing import Any

import gradio as gr

from fenshen.errors import FenshenError
from fenshen.evaluate.charts import Markup, element, joined
from fenshen.lang import tr
from fenshen.studio import judging, listing
from fenshen.studio.desk import OVER, Job
from fenshen.studio.face import Face, asked

TILES = 48
LOOK_SECONDS = 1.5
DRESS = """
const dark = () => document.body.classList.contains('dark');
const dress = (page) => {
  for (const sheet of page.styleSheets) for (const rule of sheet.cssRules) {
    if (rule.media && (rule.own || rule.media.mediaText.includes('prefers-color-scheme'))) {
      rule.own = true;
      rule.media.mediaText = dark() ? 'all' : 'not all';
    }
  }
  page.documentElement.style.colorScheme = dark() ? 'dark' : 'light';
};
const fit = () => element.querySelectorAll('iframe').forEach((frame) => {
  const size = () => {
    const page = frame.contentDocument;
    if (!page || !page.body || page.URL !== 'about:srcdoc') return;
    dress(page);
    page.documentElement.style.overflow = 'hidden';
    const grow = () => { frame.style.height = `${page.body.scrollHeight + 2}px`; };
    new ResizeObserver(grow).observe(page.body);
    grow();
  };
  frame.addEventListener('load', size);
  size();
});
fit();
watch('value', fit);
new MutationObserver(() => element.querySelectorAll('iframe').forEach((frame) => frame.contentDocument && dress(frame.contentDocument)))
  .observe(document.body, { attributes: true, attributeFilter: ['class'] });
"""
TURN = """
const order = { none: 'like', like: 'dislike', dislike: 'none' };
const tiles = () => [...element.querySelectorAll('[data-mark]')];
element.addEventListener('click', (event) => {
  const tile = event.target.closest('[data-mark]');
  if (!tile) return;
  tile.dataset.mark = order[tile.dataset.mark];
  tile.setAttribute('aria-label', `${tile.dataset.name}: ${tile.parentElement.dataset[tile.dataset.mark]}`);
  const marks = tiles().filter((one) => one.dataset.mark !== 'none').map((one) => [Number(one.dataset.index), one.dataset.mark === 'like']);
  trigger('select', { marks, at: performance.now() });
});
element.addEventListener('keydown', (event) => {
  const all = tiles(), here = all.indexOf(event.target);
  const row = all.filter((tile) => tile.offsetTop === all[0].offsetTop).length;
  const way = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: row, ArrowUp: -row }[event.key];
  if (here < 0 || !way || !all[here + way]) return;
  event.preventDefault();
  all[here + way].focus();
});
"""
LIVE: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
WORK: dict[str, Any] = {"show_progress": "minimal", "api_visibility": "private"}


def build(face: Face) -> None:
    gr.HTML(element("h1", tr("Judge")))
    judge = Judge(face)
    judge.lay_out()
    judge.listen()


class Judge:
    """The parts of the page, and what happens when they are used."""

    def __init__(self, face: Face):
        self.face = face
        self.marks = gr.State({})  # (seed, index): liked
        self.marked = gr.State(0.0)  # When the browser said so, milliseconds since the page was opened.
        self.timer = gr.Timer(LOOK_SECONDS, active=False)

    def lay_out(self) -> None:
        self.empty = gr.HTML(visible=False)
        with gr.Column(visible=False, elem_id="judge-bench") as self.bench:
            self.run = gr.Dropdown([], label=tr("Run"), interactive=True, elem_id="judge-run")
            with gr.Tabs():
                with gr.Tab(tr("Report"), id="report"):
                    self.lay_measure()
                with gr.Tab(tr("Compare"), id="compare"):
                    self.lay_compare()
                with gr.Tab(tr("Leaks"), id="leaks"):
                    self.lay_leaks()
                with gr.Tab(tr("Likes"), id="likes") as self.likes_tab:
                    self.lay_likes()

    def lay_measure(self) -> None:
        self.measuring = gr.HTML(visible=False)
        with gr.Row(elem_classes="fs-actions"):
            self.measure = gr.Button(tr("Measure now"), variant="primary", elem_id="judge-measure", elem_classes="fs-do")
            self.stop = gr.Button(tr("Stop measuring"), visible=False, elem_id="judge-stop", elem_classes="fs-do")
        self.report = gr.HTML(js_on_load=DRESS, elem_id="judge-report")

    def lay_compare(self) -> None:
        with gr.Row():
            self.other = gr.Dropdown([], label=tr("Beside it"), interactive=True, elem_id="judge-other")
            self.seed = gr.Number(0, precision=0, minimum=0, maximum=2**31 - 1, label=tr("Seed"), info=tr("of both: the same seed, the same noise"))
        self.compare = gr.Button(tr("Compare"), variant="primary", elem_id="judge-compare", elem_classes="fs-do")
        self.samples = gr.HTML(elem_id="judge-samples")
        self.compared = gr.HTML(elem_id="judge-compared")

    def lay_leaks(self) -> None:
        self.auditing = gr.HTML(visible=False)
        with gr.Row(elem_classes="fs-actions"):
            self.audit = gr.Button(tr("Look for leaks"), variant="primary", elem_id="judge-audit", elem_classes="fs-do")
            self.halt = gr.Button(tr("Stop looking"), visible=False, elem_id="judge-halt", elem_classes="fs-do")
        self.leaks = gr.HTML(elem_id="judge-leaks")
        self.copies = gr.HTML(js_on_load=DRESS, elem_id="judge-copies")

    def lay_likes(self) -> None:
        self.refusal = gr.HTML(visible=False)
        with gr.Column(visible=False) as self.liking:
            text = tr("Click a picture that you like; click again for one that you do not, and once more for no opinion. With the keyboard: "
                      "arrows and Enter. What is taught makes a new run; this one stays as it is.")  # fmt: skip
            gr.HTML(element("p", text, class_="fs-soft"))
            self.tiles = gr.HTML(js_on_load=TURN, elem_id="judge-tiles")
            self.count = gr.HTML(elem_id="judge-count")
            with gr.Row(elem_classes="fs-actions"):
                self.more = gr.Button(tr("Other pictures"), elem_id="judge-more", elem_classes="fs-do")
                self.anew = gr.Button(tr("Begin anew"), elem_id="judge-anew", elem_classes="fs-do")
            self.strength = gr.Slider(0.5, 20, value=3, step=0.5, label=tr("Strength"), info=tr("1: just as the wishes say; more: sharper"))
            self.learn = gr.Button(tr("Teach it"), variant="primary", elem_id="judge-teach", elem_classes="fs-do")
            self.taught = gr.HTML(elem_id="judge-taught")
        self.sheet = gr.State(0)  # Seed of the pictures that are shown.
        self.judging = gr.State("")  # The run whose pictures they are; "" before anybody looks.

    def listen(self) -> None:
        answer, run = self.face.answer, self.run
        measured = [self.measuring, self.measure, self.stop, self.report, self.auditing, self.audit, self.halt, self.leaks, self.copies, self.timer]
        liked = [self.judging, self.refusal, self.liking, self.marks, self.sheet, self.tiles, self.count, self.taught]
        gr.on(None, answer(self.arrive), None, [self.empty, self.bench, run, self.other], **LIVE)
        run.change(answer(self.measured), run, measured, **LIVE)
        run.change(answer(self.likes_again), [run, self.judging], liked, **LIVE)
        self.likes_tab.select(answer(self.likes_at_first), [run, self.judging], liked, **LIVE)
        run.change(answer(self.others), run, [self.other, self.samples, self.compared], **LIVE)
        for verb, begin, stop in (("evaluate", self.measure, self.stop), ("audit", self.audit, self.halt)):
            begin.click(answer(self.begin(verb)), run, measured, **LIVE)
            stop.click(answer(self.end(verb)), run, measured, **LIVE)
        self.timer.tick(answer(self.look), run, measured, **LIVE)
        self.compare.click(answer(self.beside), [run, self.other, self.seed], [self.samples, self.compared], **WORK)
        known, told = [self.marks, self.sheet, self.marked], [self.marks, self.count, self.marked]
        self.tiles.select(answer(self.mark), known, told, trigger_mode="multiple", **LIVE)
        self.more.click(answer(self.show_more), [run, self.marks, self.sheet], [self.sheet, self.tiles], **WORK)
        self.anew.click(answer(self.likes), run, liked, **WORK)
        self.learn.click(answer(self.teach), [run, self.marks, self.strength], [self.taught, run, self.other], **WORK)

    def arrive(self, request: gr.Request) -> tuple[Any, ...]:
        names, wanted = names_of_runs(), asked(request, "run")
        if not names:
            return gr.HTML(nothing(self.face), visible=True), gr.Column(visible=False), gr.Dropdown(), gr.Dropdown()
        missing = bool(wanted) and wanted not in names
        note = element("p", tr("There is no run {name}; here is the newest one.", name=wanted), class_="fs-warning")
        chosen = names[0] if missing or not wanted else wanted
        return gr.HTML(note, visible=missing), gr.Column(visible=True), gr.Dropdown(names, value=chosen), gr.Dropdown()

    def others(self, name: str) -> tuple[Any, ...]:
        names = judging.others(listing.find(name))
        return gr.Dropdown(names, value=names[0] if names else None), "", ""

    def look(self, name: str) -> tuple[Any, ...]:
        """What has changed while something is measured; reports only when it has ended."""
        jobs = self.jobs(name)
        if any(under_way(job) for job in jobs.values()):
            note, button, stop, _, other_note, other_button, other_stop, *_ = self.parts(name, jobs)
            kept = gr.skip()
            return note, button, stop, kept, other_note, other_button, other_stop, kept, kept, kept
        return self.measured(name)

    def measured(self, name: str) -> tuple[Any, ...]:
        """The report, what an audit found, and how either is going."""
        return self.parts(name, self.jobs(name))

    def jobs(self, name: str) -> dict[str, Job | None]:
        return {verb: self.face.desk.measuring(name, verb) for verb in ("evaluate", "audit")}

    def parts(self, name: str, jobs: dict[str, Job | None]) -> tuple[Any, ...]:
        run, going = listing.find(name), {verb: under_way(job) for verb, job in jobs.items()}
        page, copies = judging.report_page(run), judging.report_page(run, "copying")
        shown = judging.frame(page, tr("Report of {run}", run=name)) if page else unmeasured(going["evaluate"])
        again = tr("Measure again") if page else tr("Measure now")
        note, looking = joined([judging.job_note(jobs["evaluate"]), other_language(page)]), judging.job_note(jobs["audit"])
        sheet = judging.frame(copies, tr("What it makes, beside what it was trained on")) if copies else unmeasured_copies()
        found = judging.leaks(run) or unaudited(going["audit"])
        return (
            gr.HTML(note, visible=bool(note)), gr.Button(again, visible=not going["evaluate"]), gr.Button(visible=going["evaluate"]), shown,
            gr.HTML(looking, visible=bool(looking)), gr.Button(visible=not going["audit"]), gr.Button(visible=going["audit"]), found, sheet,
            gr.Timer(active=any(going.values())),
        )  # fmt: skip

    def begin(self, verb: str) -> Any:
        def begun(name: str) -> tuple[Any, ...]:
            listing.find(name)
            if not under_way(self.face.desk.measuring(name, verb)):
                self.face.desk.add(verb, name=name)
            return self.measured(name)

        return begun

    def end(self, verb: str) -> Any:
        def ended(name: str) -> tuple[Any, ...]:
            job = self.face.desk.measuring(name, verb)
            if job is not None:
                self.face.desk.pause(job)
            return self.measured(name)

        return ended

    def beside(self, name: str, other: str | None, seed: float | None) -> tuple[Markup, Markup]:
        if not other:
            raise FenshenError("there is no second run to compare with: train or bring in another one")
        pair = listing.find(name), listing.find(other)
        return judging.beside(*pair, int(seed or 0)), judging.compared(*pair)

    def likes_at_first(self, name: str, shown: str) -> Any:
        """Nothing is made before somebody comes to look."""
        return gr.skip() if shown else self.likes(name)

    def likes_again(self, name: str, shown: str) -> Any:
        """Somebody who has looked, at another run too."""
        return self.likes(name) if shown and shown != name else gr.skip()

    def likes(self, name: str) -> tuple[Any, ...]:
        """A first sheet of pictures without any opinion, or why there is none."""
        run = listing.find(name)
        if not judging.can_be_taught(run):
            said = tr("Likes are for runs that make pictures from nothing and have saved something: choose another run.")
            return name, gr.HTML(element("p", said, class_="fs-note"), visible=True), gr.Column(visible=False), {}, 0, "", "", ""
        shown = judging.tiles(run.generate(TILES).images, {})
        return name, gr.HTML(visible=False), gr.Column(visible=True), {}, 0, shown, judging.counted({}), ""

    def mark(self, marks: dict[tuple[int, int], bool], seed: int, marked: float, event: gr.EventData) -> tuple[Any, Any, Any]:
        """All opinions of the pictures that are shown, in place of those before. Of quick clicks an earlier one may arrive later: nothing new."""
        if event.at < marked:
            return gr.skip(), gr.skip(), gr.skip()
        kept = {place: liked for place, liked in marks.items() if place[0] != seed}
        new = kept | {(seed, int(index)): bool(liked) for index, liked in event.marks if 0 <= int(index) < TILES}
        return new, judging.counted(new), event.at

    def show_more(self, name: str, marks: dict[tuple[int, int], bool], seed: int) -> tuple[int, Markup]:
        seen = {index: liked for (other, index), liked in marks.items() if other == seed + 1}
        return seed + 1, judging.tiles(listing.find(name).generate(TILES, seed + 1).images, seen)

    def teach(self, name: str, marks: dict[tuple[int, int], bool], strength: float) -> tuple[Any, ...]:
        run = listing.find(name)
        taught = judging.teach(run, marks, strength)
        new, names = taught.run.path.name, names_of_runs()
        ways = [element("a", said, href=self.face.address(page, run=new)) for said, page in ((tr("Make"), "make"), (tr("Manage"), "manage"))]
        head = element("h2", tr("The new run {run}", run=new))
        shown = joined([head, judging.before_and_after(run, taught), element("p", *ways, class_="fs-ways")])
        return shown, gr.Dropdown(names), gr.Dropdown(judging.others(run), value=new)


def under_way(job: Job | None) -> bool:
    return job is not None and job.state not in (*OVER, "paused")


def names_of_runs() -> list[str]:
    from fenshen import api

    return [run.path.name for run in api.runs()]


def nothing(face: Face) -> Markup:
    said = element("p", tr("There is nothing to judge yet. A run that was trained is measured here, compared, and taught what you like."))
    return element("div", said, element("a", tr("Train the first one"), href=face.address("start"), class_="fs-button"), class_="fs-empty")


def unmeasured(going: bool) -> Markup:
    """In place of a report that is not there yet."""
    said = tr("This run is not measured yet. What it makes is set beside real pictures or texts that it has never seen: how good it is, how "
              "various, and whether it copies. That takes a minute or a few.")  # fmt: skip
    return element("div", element("p", said), class_="fs-empty") if not going else Markup()


def unaudited(going: bool) -> Markup:
    said = tr("Nobody has looked yet what a stranger could learn from this run about the data it was trained on. It is tried with the run itself "
              "and with what it makes.")  # fmt: skip
    return element("div", element("p", said), class_="fs-empty") if not going else Markup()


def unmeasured_copies() -> Markup:
    said = tr("What it makes, each beside what it resembles most of its training data, comes with the report: measure it on the first tab.")
    return element("p", said, class_="fs-soft")


def other_language(page: str) -> Markup:
    if not page or not judging.in_another_language(page):
        return Markup()
    return element("p", tr("This report was written in the other language; measure again to have it in this one."), class_="fs-soft")
