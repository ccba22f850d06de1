"""Pictures or words in: any source -> prepared, memory-mapped, split; and the order in which training draws them."""

from fenshen.data.batches import Batches
from fenshen.data.glance import Glanced, glance
from fenshen.data.libraries import kind_of
from fenshen.data.look import Report, look
from fenshen.data.look_words import WordsReport, look_words
from fenshen.data.prepare import Dataset, prepare
from fenshen.data.sources import open_source
from fenshen.data.texts import Texts, prepare_texts

__all__ = [
    "Batches", "Dataset", "Glanced", "Report", "Texts", "WordsReport", "glance", "kind_of", "look", "look_words", "open_source", "prepare",
    "prepare_texts",
]  # fmt: skip
