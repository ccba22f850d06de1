"""Data sets of the Hugging Face hub, downloaded into the hub's own cache by its own client (an optional extra)."""

from __future__ import annotations

from pathlib import Path

from fenshen.data.listing import TABLES
from fenshen.errors import DataError
from fenshen.media.image import is_picture_name


def download(name: str) -> Path:
    """`user/dataset` or `user/dataset@revision` -> a local folder of its Parquet files, or else of its pictures.

    Raises DataError: huggingface_hub is not installed, the data set does not exist or holds neither, or there is no network.
    """
    try:
        from huggingface_hub import HfApi, snapshot_download
    except ImportError:
        raise DataError("hf://{name} needs the Hugging Face client: pip install 'fenshen[hub]'", name=name) from None
    repository, _, revision = name.partition("@")
    try:
        files = HfApi().list_repo_files(repository, repo_type="dataset", revision=revision or None)
        wanted = [file for file in files if file.lower().endswith(".parquet")]
        wanted = wanted or [file for file in files if is_picture_name(file) or file.rsplit("/", 1)[-1].lower() in TABLES]
        if not wanted:
            raise DataError("hf://{name} holds neither Parquet files nor pictures", name=name)
        return Path(snapshot_download(repository, repo_type="dataset", revision=revision or None, allow_patterns=wanted))
    except DataError:
        raise
    except Exception as error:  # The client raises its own and its HTTP library's exceptions.
        problem = (str(error) or type(error).__name__).splitlines()[0]
        raise DataError("hf://{name} cannot be downloaded ({problem}); check the name and the network", name=name, problem=problem) from None
