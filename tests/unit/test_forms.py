"""Forms that a text is held to: lines, verse, JSON; and the rule that keeps copied runs short."""

from __future__ import annotations

import json
from dataclasses import replace
from pydoc_data.topics import topics
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fenshen.errors import DataError
from fenshen.measure.verbatim import Corpus, NoCopy, whole
from fenshen.media.forms import Form, Held, Lines, fits
from fenshen.media.schema import Json
from fenshen.media.text import END, Alphabet, learn_bytes, learn_characters
from fenshen.media.verse import Verse, rhymes_among, shares, sound

STILL = "床前明月光，疑是地上霜。举头望明月，低头思故乡。"
HERON = "两个黄鹂鸣翠柳，一行白鹭上青天。窗含西岭千秋雪，门泊东吴万里船。"
TOWER = "白日依山尽，黄河入海流。欲穷千里目，更上一层楼。"
EXERCISE = {
    "type": "object",
    "properties": {
        "question": {"type": "string", "minLength": 1, "maxLength": 12},
        "options": {"type": "array", "items": {"type": "string", "maxLength": 4}, "minItems": 2, "maxItems": 3},
        "answer": {"type": "integer", "minimum": 0, "maximum": 12},
        "level": {"enum": ["easy", "难"]},
        "weight": {"type": ["number", "null"]},
        "checked": {"type": "boolean"},
    },
    "required": ["question", "options", "answer"],
}


def written(form: Form, alphabet: Alphabet, seed: int, most: int = 2000, prompt: tuple[int, ...] = ()) -> str:
    """What somebody writes who chooses among the allowed tokens without a thought."""
    rng, rule, tokens = np.random.default_rng(seed), Held(form, alphabet), list(prompt)
    for _ in range(most):
        token = int(rng.choice(np.flatnonzero(rule(tokens))))
        if token == END:
            return alphabet.decode(tokens)
        tokens.append(token)
    raise AssertionError(f"no end in {most} tokens: {alphabet.decode(tokens)}")


def letters(*texts: str) -> Alphabet:
    return learn_characters(texts)


# ---- lines and verse


def test_lines() -> None:
    form = Lines(2)
    assert fits(form, "one\ntwo")
    assert not any(fits(form, text) for text in ("one", "one\n", "one\ntwo\n", "\ntwo", "one\n\ntwo", "a\nb\nc", "one\n "))
    assert written(form, letters("ab \n"), 0).count("\n") == 1


@pytest.mark.parametrize(("poem", "length"), [(STILL, 5), (TOWER, 5), (HERON, 7), (HERON.replace("，", "\n").replace("。", "\n").strip(), 7),
                                              (TOWER.replace("。", "。\n").strip(), 5)])  # fmt: skip
def test_a_quatrain_is_one(poem: str, length: int) -> None:
    assert fits(Verse(length), poem)
    assert not fits(Verse(12 - length), poem)


@pytest.mark.parametrize("broken", [HERON[:-1], HERON[:-2], HERON + "好", HERON.replace("，", ""), HERON.replace("鹂", ""), HERON + "\n",
                                    HERON.replace("，", "，，"), "", "，" + HERON])  # fmt: skip
def test_what_is_no_quatrain(broken: str) -> None:
    assert not fits(Verse(7), broken)


def test_rhyme_and_tones() -> None:
    """Heron and Tower rhyme (tiān, chuán; liú, lóu) and stand in tune, but for a tone of old here and there; Still is no regulated verse."""
    assert fits(Verse(7, rhyme=True), HERON)
    assert fits(Verse(5, rhyme=True), TOWER) and fits(Verse(5, tones=True), TOWER)
    assert fits(Verse(5, rhyme=True), STILL) and not fits(Verse(5, tones=True), STILL)
    assert not fits(Verse(5, rhyme=True), TOWER.replace("楼", "山"))
    assert not fits(Verse(5, rhyme=True), TOWER.replace("楼", "流")), "a word does not rhyme with itself"
    assert not fits(Verse(5, tones=True), TOWER.replace("千里", "千山"))


def test_sounds() -> None:
    assert sound("山").rhyme == sound("天").rhyme == sound("船").rhyme != sound("床").rhyme
    assert sound("诗").rhyme != sound("机").rhyme == sound("鱼").rhyme
    assert [sound(letter).level for letter in "妈麻马骂"] == [True, True, False, False]


@pytest.mark.parametrize("form", [Verse(5), Verse(7, rhyme=True), Verse(5, tones=True), Verse(7, rhyme=True, tones=True)])
def test_whatever_is_written_in_a_form_has_it(form: Verse) -> None:
    """In so few characters not every word has another that rhymes."""
    alphabet = letters(HERON, STILL, TOWER, "\nabc")
    form = replace(form, groups=rhymes_among(alphabet.characters, form.tones))
    for seed in range(8):
        assert fits(form, written(form, alphabet, seed))


def test_a_poem_begun_is_ended() -> None:
    alphabet = letters(HERON, STILL)
    poem = written(Verse(7, rhyme=True), alphabet, 1, prompt=tuple(alphabet.encode(HERON[:10])))
    assert poem.startswith(HERON[:10]) and fits(Verse(7, rhyme=True), poem)


def test_shares_of_poems() -> None:
    assert shares([STILL, TOWER, HERON, "x"], 5) == (0.5, 0.5, 0.25)


def test_what_cannot_be_written() -> None:
    with pytest.raises(DataError, match="too few different characters"):
        written(Verse(5), letters("abc"), 0)
    alphabet = letters("abc床")
    with pytest.raises(DataError, match="fails at 'a'"):
        Held(Verse(5), alphabet)(alphabet.encode("床a").tolist())
    assert Held(Lines(1), alphabet, prompt=2)(alphabet.encode("\n\n").tolist()).sum() == alphabet.size - alphabet.first


# ---- JSON

FORMS = Json(EXERCISE), Json(EXERCISE, as_bytes=True)


def valid(value: Any) -> bool:
    """Whether a value fits EXERCISE, checked by hand."""
    assert set(value) <= set(EXERCISE["properties"]) and {"question", "options", "answer"} <= set(value)  # type: ignore[arg-type]
    assert 1 <= len(value["question"]) <= 12
    assert 2 <= len(value["options"]) <= 3 and all(isinstance(option, str) and len(option) <= 4 for option in value["options"])
    assert type(value["answer"]) is int and 0 <= value["answer"] <= 12
    assert value.get("level", "easy") in ("easy", "难") and value.get("checked", True) in (True, False)
    return value.get("weight") is None or isinstance(value["weight"], (int, float))


@pytest.mark.parametrize("seed", range(8))
def test_characters_that_fit_a_schema(seed: int) -> None:
    alphabet = letters(json.dumps(EXERCISE, ensure_ascii=False), '0123456789\\{}[]".-\n\t问题')
    assert valid(json.loads(written(Json(EXERCISE), alphabet, seed)))


@pytest.mark.parametrize("seed", range(8))
def test_byte_pieces_that_fit_a_schema(seed: int) -> None:
    alphabet = learn_bytes([json.dumps({"question": "问题", "options": ["答案", "no"], "answer": 3}, ensure_ascii=False)] * 3, 300)
    assert valid(json.loads(written(Json(EXERCISE, as_bytes=True), alphabet, seed)))


@settings(max_examples=40, deadline=None)
@given(st.fixed_dictionaries({
    "question": st.text(st.characters(min_codepoint=32, exclude_categories=["Cs"]), min_size=1, max_size=12),
    "options": st.lists(st.text(st.characters(min_codepoint=32, exclude_categories=["Cs"]), max_size=4), min_size=2, max_size=3),
    "answer": st.integers(0, 12)}, optional={"level": st.sampled_from(["easy", "难"]), "weight": st.integers(-999, 999), "checked": st.booleans()}),
    st.booleans())  # fmt: skip
def test_all_that_fits_is_allowed(value: dict[str, Any], as_bytes: bool) -> None:
    ordered = {name: value[name] for name in EXERCISE["properties"] if name in value}  # type: ignore[attr-defined]
    for separators in ((",", ":"), (", ", ": ")):
        text = json.dumps(ordered, ensure_ascii=False, separators=separators)
        assert fits(FORMS[as_bytes], text.encode().decode("latin-1") if as_bytes else text)


@pytest.mark.parametrize("broken", [
    '{"question": "a", "options": ["a"], "answer": 1}', '{"question": "a", "options": ["a", "b"], "answer": 13}', '{"options": ["a"], "answer": 1}',
    '{"question": "", "options": ["a", "b"], "answer": 1}', '{"question": "a", "options": ["a", "b"], "answer": 1', '{"question": "a"',
    '{"question": "a", "options": ["a", "b"], "answer": 1, "level": "hard"}', '{"question": "a\nb", "options": ["a", "b"], "answer": 1}',
    '{"question": "a", "options": ["a", "b"], "answer": 01}', '{"question": "a", "options": ["a", "b"], "answer": 1,}', "[]", "",
])  # fmt: skip
def test_what_does_not_fit_a_schema(broken: str) -> None:
    assert not fits(Json(EXERCISE), broken)


def test_references_and_alternatives() -> None:
    form = Json({"$defs": {"n": {"type": "integer", "minimum": 0}}, "type": "array", "items": {"anyOf": [{"$ref": "#/$defs/n"}, {"const": "x"}]}})
    assert all(fits(form, text) for text in ("[]", '[1, "x",20]', "[0]"))
    assert not any(fits(form, text) for text in ("[-1]", '["y"]', "[1 ,2]", "[00]"))


@pytest.mark.parametrize(("schema", "said"), [
    ({"type": "string", "pattern": "a*"}, "pattern in a string"), ({"type": "date"}, "type date"), ({"$ref": "#/nowhere"}, "#/nowhere"),
    ({"type": "integer", "minimum": 3}, "give both"), ({"type": "integer", "minimum": 0, "maximum": 10**6}, "at most 1000"), (3, "has 3 where"),
    ({"$defs": {"a": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"}, "deeper than"),
])  # fmt: skip
def test_schemas_that_cannot_be_kept_to(schema: Any, said: str) -> None:
    with pytest.raises(DataError, match=said):
        Json(schema)


# ---- copies


def test_runs_are_found() -> None:
    corpus = Corpus(["the quick brown fox", "jumps over the lazy dog", "the lazy fox"])
    run = corpus.longest("I saw jumps over the quick brown cat")
    assert corpus.text[run.place : run.place + run.length] == "the quick brown " == "I saw jumps over the quick brown cat"[run.start :][: run.length]
    assert [(r.start, r.length) for r in corpus.runs("a lazy dog, a lazy fox", 9)] == [(1, 9), (13, 9)]
    assert corpus.longest("ßß").length == 0
    assert sorted(corpus.places("the").tolist()) == [i for i in range(len(corpus.text)) if corpus.text.startswith("the", i)]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text("ab你", max_size=12), min_size=1, max_size=4), st.text("ab你c", max_size=12))
def test_runs_are_those_of_looking_everywhere(texts: list[str], text: str) -> None:
    corpus = Corpus(texts)
    for start in range(len(text)):
        longest = max(n for n in range(len(text) - start + 1) if not n or any(text[start : start + n] in other for other in texts))
        assert corpus.at(text, start).length == longest
    assert corpus.longest(text).length == max([corpus.at(text, start).length for start in range(len(text))], default=0)


@pytest.mark.parametrize("kind", ["characters", "bytes"])
@pytest.mark.parametrize("most", [8, 20])
def test_no_copy_forbids_just_the_copies(kind: str, most: int) -> None:
    """After every beginning of a training text, the tokens that go on with it too long are forbidden, and no others."""
    texts = [*list(topics.values())[:3], "北风吹雁雪纷纷，莫愁前路无知己，天下谁人不识君。"]
    alphabet = letters(*texts) if kind == "characters" else learn_bytes(texts, 400)
    corpus, rng = Corpus(texts), np.random.default_rng(0)
    rule = NoCopy(corpus, alphabet, most)
    for text in texts:
        tokens = alphabet.encode(text)[:200].tolist()
        for stop in rng.integers(1, len(tokens), 8):
            allowed = rule(tokens[:stop])
            assert allowed[END]
            before, pending = whole(b"".join(alphabet.pieces[token] for token in tokens[:stop]))
            for token in {*rng.integers(alphabet.first, alphabet.size, 20).tolist(), tokens[stop]}:
                added = whole(pending + alphabet.pieces[token])[0]
                copied = any(len(corpus.places((before + added)[i : i + most + 1])) and i + most + 1 > len(before) and i < len(before)
                             for i in range(len(before + added) - most))  # fmt: skip
                assert allowed[token] == (not copied)


def test_a_character_that_has_begun() -> None:
    assert whole("月光".encode()) == ("月光", b"")
    assert whole("月光".encode()[:-1]) == ("月", "光".encode()[:-1])
    assert whole("月光".encode()[1:]) == ("光", b"")
