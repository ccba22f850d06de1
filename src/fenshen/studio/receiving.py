"""How files get from the browser into a parcel (`fenshen.uploads`): `POST /files` opens one, `POST /files/TOKEN?name=…` adds a file to it.

Answers are JSON with status 200; what is refused says so in words, so that the page can go on with the other files.
"""

from __future__ import annotations

import contextlib

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from fenshen.errors import DataError, FenshenError
from fenshen.lang import speaking
from fenshen.studio.face import LANGUAGES
from fenshen.uploads import LARGEST_PARCEL, MOST_FILES, Parcel

Answer = dict[str, str]


def receiving() -> APIRouter:
    """The routes, and what has come so far of every parcel: [files, bytes]."""
    router, come = APIRouter(prefix="/files"), dict[str, list[int]]()

    @router.post("")
    def begin() -> Answer:
        parcel = Parcel.new()
        come[parcel.token] = [0, 0]
        return {"token": parcel.token}

    @router.post("/{token}")
    async def take(request: Request, token: str, name: str, language: str = "en") -> Answer:
        with speaking(language if language in LANGUAGES else "en"):
            try:
                await _take(request, Parcel.find(token), name, come.setdefault(token, [MOST_FILES, 0]))
            except FenshenError as error:
                return {"refused": str(error)}
            except ClientDisconnect:
                return {}
        return {}

    @router.post("/{token}/remove")
    def remove(token: str) -> Answer:
        come.pop(token, None)
        with contextlib.suppress(DataError):
            Parcel.find(token).give_back()
        return {}

    return router


async def _take(request: Request, parcel: Parcel, name: str, come: list[int]) -> None:
    """Writes one file as it comes."""
    if come[0] >= MOST_FILES:
        raise DataError("more than {count} files: pack them into a .zip or .tar, or give the path of a folder on this computer", count=MOST_FILES)
    writing = await run_in_threadpool(parcel.write, name, LARGEST_PARCEL - come[1])
    try:
        async for data in request.stream():
            writing.add(data)
        come[0] += 1
        come[1] += writing.close()
    except BaseException:
        writing.give_up()
        raise
