"""The studio as a program: one server with both languages, behind the guard."""

from __future__ import annotations

import os
import socket
import threading
import warnings
from collections.abc import Callable
from pathlib import Path

from fenshen.errors import FenshenError

os.environ |= {"GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}  # Before gradio is imported.
try:
    import gradio as gr
    import uvicorn
    from fastapi import FastAPI, Request
    from fastapi.responses import FileResponse, RedirectResponse
except ImportError as error:
    raise FenshenError("the studio needs a package that is not installed ({package}): pip install 'fenshen[studio]'", package=error.name) from None

from fenshen.lang import speaking
from fenshen.studio import estimate
from fenshen.studio.desk import Desk
from fenshen.studio.face import LANGUAGES, Face
from fenshen.studio.frame import studio
from fenshen.studio.guard import Guard
from fenshen.studio.receiving import receiving
from fenshen.studio.shelf import Shelf
from fenshen.studio.theme import STYLE, head, theme, words

ICON = Path(__file__).with_name("icon.svg")
LARGEST_FILE = "1gb"
LEAVE_SECONDS = 3


def application(desk: Desk, names: frozenset[str] | None, password: str | None = None) -> Guard:
    """The whole studio as an ASGI application; `names` and `password` as of `Guard`."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)

    @app.get("/")
    def front(request: Request) -> RedirectResponse:
        wanted = request.headers.get("accept-language", "").lower().startswith("zh")
        return RedirectResponse("/zh/" if wanted else "/en/")

    @app.get("/favicon.ico")
    def icon() -> FileResponse:
        return FileResponse(ICON, media_type="image/svg+xml")

    app.include_router(receiving())
    shelf = Shelf()
    for language in LANGUAGES:
        face = Face(language, desk, home=names is not None, shelf=shelf)
        with warnings.catch_warnings(), speaking(language):
            warnings.simplefilter("ignore", UserWarning)
            app = gr.mount_gradio_app(
                app, studio(face), path=f"/{language}", theme=theme(), css=STYLE, head=head(language), favicon_path=str(ICON), footer_links=[],
                run_history=False, i18n=words(), max_file_size=LARGEST_FILE, show_error=True, ssr_mode=False,
            )  # fmt: skip
    return Guard(app, names, password)


def serve(desk: Desk, listener: socket.socket, names: frozenset[str] | None, password: str | None, ready: Callable[[], None]) -> None:
    """Answers until Ctrl-C or SIGTERM; what trains then is asked to save and waited for. `ready` is called once it answers."""
    config = uvicorn.Config(application(desk, names, password), log_level="warning", access_log=False, server_header=False,
                            proxy_headers=False, timeout_graceful_shutdown=LEAVE_SECONDS)  # fmt: skip
    desk.open()
    threading.Thread(target=_warm, daemon=True).start()
    try:
        _Server(config, ready).run(sockets=[listener])
    finally:
        estimate.stop()
        desk.close()


class _Server(uvicorn.Server):
    """Says when it answers."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]):
        super().__init__(config)
        self.ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self.ready()


def _warm() -> None:
    """Loads what the first click would wait for."""
    import fenshen.api  # noqa: F401
