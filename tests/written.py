"""Makers of test words: sentences and files of every kind, from numbers alone."""

from __future__ import annotations

import random
import re

CHINESE = """清晨的时候，我在河边走了很久，看着水里的云慢慢地过去。
有一个老人坐在桥上，他说这里从前没有路，只有风和山。
后来人多了，大家开始在这里生活，学会了种地，也学会了说自己的故事。
我想，一个地方要有人记得，才会有它的时间。"""
TRADITIONAL = """清晨的時候，我在河邊走了很久，看著水裡的雲慢慢地過去。
有一個老人坐在橋上，他說這裡從前沒有路，只有風和山。
後來人多了，大家開始在這裡生活，學會了種地，也學會了說自己的故事。"""
ENGLISH = """In the morning I walked along the river for a long time and watched the clouds in the water.
An old man sat on the bridge. He said that there had been no road here, only the wind and the hills.
Later more people came, and they began to live here, to work the fields and to tell stories of their own."""
WORDS = sorted(set(re.findall("[a-z]+", ENGLISH.lower())))


def sentence(seed: int, words: int = 12) -> str:
    """A line of words that means nothing; different seeds make different ones."""
    chosen = random.Random(seed).choices(WORDS, k=words)
    return " ".join(chosen).capitalize() + "."


def story(seed: int, sentences: int = 8) -> str:
    """A paragraph, as long as `sentences` lines."""
    return " ".join(sentence(1000 * seed + number) for number in range(sentences))


def verse(seed: int) -> str:
    """A line of four times seven characters out of a few hundred."""
    letters = random.Random(seed).choices([chr(0x4E00 + 7 * number) for number in range(300)], k=28)
    parts = ["".join(letters[at : at + 7]) for at in range(0, 28, 7)]
    return f"{parts[0]}，{parts[1]}。{parts[2]}，{parts[3]}。"
