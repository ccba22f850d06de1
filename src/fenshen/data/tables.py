"""Pictures in Parquet files, as Hugging Face lays them out: read in small batches of rows."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fenshen.data.items import FILE_LIMIT, Item, Split, digest, file_key
from fenshen.errors import DataError, UnreadableError
from fenshen.lang import Said

if TYPE_CHECKING:
    import pyarrow as pa

ROWS = 32
IMAGE_COLUMNS, LABEL_COLUMNS = ("image", "img", "picture", "images"), ("label", "labels", "fine_label", "class", "target")
CAPTION_COLUMNS = ("text", "caption", "captions", "title")


class ParquetSource:
    """An `image` column (struct of bytes and path, or binary), `label` (number or name), `text` or `caption`; one or more shards.

    Shards named train-… and test-… (or validation-…) give the split. Raises DataError naming the columns found.
    """

    def __init__(self, paths: list[Path], where: str):
        self.paths, self.where = sorted(paths), where

    def key(self) -> str:
        return digest("parquet", [file_key(path) for path in self.paths])

    @cached_property
    def schema(self) -> pa.Schema:
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            return pq.read_schema(self.paths[0])
        except (pa.ArrowException, OSError) as error:
            raise DataError("{path} cannot be read as Parquet ({problem})", path=self.paths[0], problem=_short(error)) from None

    @cached_property
    def columns(self) -> tuple[str, str | None, str | None]:
        """Names of the columns of pictures, labels and captions."""
        import pyarrow as pa

        def holds_pictures(name: str) -> bool:
            kind = self.schema.field(name).type
            inner = [kind.field(i).name for i in range(kind.num_fields)] if pa.types.is_struct(kind) else []
            return pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or "bytes" in inner

        names = self.schema.names
        pictures = [name for name in names if holds_pictures(name)]
        image = next((name for name in IMAGE_COLUMNS if name in pictures), pictures[0] if pictures else None)
        if image is None:
            text = "no pictures in {path}: it needs a column `image` of bytes; found: {found}"
            raise DataError(text, path=self.where, found=", ".join(names) or "-")
        label = next((name for name in LABEL_COLUMNS if name in names), None)
        return image, label, next((name for name in CAPTION_COLUMNS if name in names), None)

    def _shard(self, path: Path) -> str:
        """Name of a shard, below the folder that holds them all."""
        return path.relative_to(os.path.commonpath([path.parent for path in self.paths])).with_suffix("").as_posix()

    def _splits(self) -> dict[Path, Split | None]:
        held = re.compile(r"(^|[^a-z])(test|val|valid|validation)([^a-z]|$)")
        splits: dict[Path, Split | None] = {path: "held_out" if held.search(self._shard(path).lower()) else "train" for path in self.paths}
        return splits if len(set(splits.values())) == 2 else dict.fromkeys(self.paths)

    def items(self) -> Iterator[Item]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        wanted = [name for name in self.columns if name]
        for path, split in self._splits().items():
            row, shard = 0, self._shard(path)
            try:
                with pq.ParquetFile(path) as file:
                    for batch in file.iter_batches(ROWS, columns=wanted):
                        for values in batch.to_pylist():
                            yield self._item(f"{shard}/{row:06d}", values, split)
                            row += 1
            except (pa.ArrowException, OSError, KeyError) as error:
                raise DataError("{path} cannot be read as Parquet ({problem})", path=path, problem=_short(error)) from None

    def _item(self, name: str, values: dict[str, Any], split: Split | None) -> Item:
        image, label, caption = self.columns
        cell = values[image]
        data = cell.get("bytes") if isinstance(cell, dict) else cell

        def read() -> bytes:
            if not data:
                raise UnreadableError("the row holds no picture")
            if len(data) > FILE_LIMIT:
                raise UnreadableError("{size} MB are more than the limit of {limit} MB", size=len(data) >> 20, limit=FILE_LIMIT >> 20)
            return data

        known = values.get(label) if label else None
        said = values.get(caption) if caption else None
        said = said[0] if isinstance(said, list) and said else said
        return Item(name, read, known if isinstance(known, int | str) else None, str(said) if said else None, split)

    def ignored(self) -> list[str]:
        return []

    def classes(self) -> list[str] | None:
        """Class names from the Hugging Face description in the file."""
        label = self.columns[1]
        try:
            described = json.loads((self.schema.metadata or {})[b"huggingface"])["info"]["features"][label]
            return [str(name) for name in described["names"]]
        except (KeyError, TypeError, ValueError):
            return None

    def notes(self) -> list[Said]:
        return []


def _short(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:200]
