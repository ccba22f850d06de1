"""What a person can get wrong. Each error says what is wrong, where, and what to do about it.

The command line prints these in one or two lines and exits with code 2. Anything else that escapes is a bug of ours and
shows its traceback.
"""

from __future__ import annotations

from fenshen.lang import tr


class FenshenError(Exception):
    """A person's mistake or a limit of the machine: `text` is English with {fields}, `values` fill them."""

    def __init__(self, text: str, /, **values: object):
        super().__init__(text)
        self.text, self.values = text, values

    def __str__(self) -> str:
        return tr(self.text, **self.values)


class DataError(FenshenError):
    """The data cannot be used: a path, an archive, a set of pictures, a label."""


class UnreadableError(DataError):
    """One file cannot be read; its run goes on without it."""


class RecipeError(FenshenError):
    """A recipe or a flag says something that cannot be done."""


class RunFolderError(FenshenError):
    """A run folder is missing, damaged, or of another version."""


class OutOfSpaceError(FenshenError):
    """The disk is full; the last good save still stands."""


class OutOfMemoryError(FenshenError):
    """The machine's or the device's memory is too small for the recipe."""


class DivergedError(FenshenError):
    """A loss became infinite or not a number; the last good save still stands."""
