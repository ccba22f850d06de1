"""Pictures in: any source -> prepared, memory-mapped, split; and the order in which training draws them."""

from fenshen.data.batches import Batches
from fenshen.data.look import Report, look
from fenshen.data.prepare import Dataset, prepare
from fenshen.data.sources import open_source

__all__ = ["Batches", "Dataset", "Report", "look", "open_source", "prepare"]
