"""Who may ask for what: a wrapper around the whole application.

Refused: a page of another site that sends something or reads what is not a page (cross-site requests), a name that is not this machine's
(DNS rebinding), a body that is too large, and everything without the password where one is set. Every answer forbids the browser to fetch
anything from elsewhere.
"""

from __future__ import annotations

import hashlib
import hmac
import html
import re
import secrets
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

from fenshen.lang import speaking, tr

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

LARGEST_BODY = 2 * 1024**3  # Bytes of one request: all files that are dropped at once.
LARGEST_FORM = 10_000
COOKIE = "fenshen_studio"
READING = ("GET", "HEAD", "OPTIONS")
# Ways of gradio that lead elsewhere, or that nothing here uses.
CLOSED = re.compile(r"^/\w+/+(gradio_api/+)?(proxy=|file=\W*(https?|ftp):|mcp|deep_link|run-history|vibe|undo-vibe|dev/|monitoring|profiling)", re.I)
POLICY = (
    "default-src 'self' data: blob:; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
    "connect-src 'self' data: blob:; frame-ancestors 'self'; form-action 'self'; base-uri 'self'; object-src 'none'"
)
HEADERS = {
    "content-security-policy": POLICY, "x-content-type-options": "nosniff", "referrer-policy": "same-origin",
    "x-frame-options": "SAMEORIGIN", "cross-origin-opener-policy": "same-origin", "cross-origin-resource-policy": "same-origin",
}  # fmt: skip


class Guard:
    """`names`: host names under which this machine may be asked, None: any. `password`: asked of everybody, None: of nobody."""

    def __init__(self, app: Any, names: frozenset[str] | None, password: str | None = None):
        self.app, self.names = app, names
        self.password = password
        self.token = secrets.token_urlsafe(32)
        self.wrong_until = 0.0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":  # Nothing here speaks it.
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        guarded = _with_headers(send)
        status = self.refusal(scope["method"], scope["path"], headers)
        if status:
            await _answer(guarded, status, "refused\n")
        elif self.password is not None and not self._known(headers):
            await self._ask(scope, headers, receive, guarded)
        else:
            await self.app(scope, _limited(receive), guarded)

    def refusal(self, method: str, path: str, headers: dict[str, str]) -> int:
        """The status of what is refused outright, 0 for the rest."""
        host = headers.get("host", "")
        if self.names is not None and (urlsplit(f"//{host}").hostname or "") not in self.names:
            return 421
        if CLOSED.match(path):
            return 404
        origin, site = headers.get("origin"), headers.get("sec-fetch-site", "none")
        if origin is not None and urlsplit(origin).netloc != host:
            return 403
        if site not in ("same-origin", "none") and (method not in READING or headers.get("sec-fetch-mode") != "navigate"):
            return 403
        length = headers.get("content-length", "0")
        return 413 if not length.isdecimal() or int(length) > LARGEST_BODY else 0

    def _known(self, headers: dict[str, str]) -> bool:
        cookies = dict(part.strip().partition("=")[::2] for part in headers.get("cookie", "").split(";"))
        return hmac.compare_digest(cookies.get(COOKIE, "").encode(), self.token.encode())

    async def _ask(self, scope: Scope, headers: dict[str, str], receive: Receive, send: Send) -> None:
        """The page that asks for the password, and what it sends back."""
        language = "zh" if scope["path"].startswith("/zh") or headers.get("accept-language", "").lower().startswith("zh") else "en"
        if scope["method"] == "GET" and not headers.get("accept", "").startswith("text/html"):
            await _answer(send, 401, "password\n")
            return
        wrong = False
        if scope["method"] == "POST" and scope["path"] == "/enter":
            said = parse_qs((await _body(receive)).decode("utf-8", "replace")).get("password", [""])[0]
            if time.monotonic() >= self.wrong_until and self._right(said):
                place = f"/{language}/"
                cookie = f"{COOKIE}={self.token}; HttpOnly; SameSite=Strict; Path=/"
                await _answer(send, 303, "", {"location": place, "set-cookie": cookie})
                return
            wrong, self.wrong_until = True, time.monotonic() + 1.0  # A second between guesses, whoever makes them.
        with speaking(language):
            await _answer(send, 401, asking(language, wrong), {"content-type": "text/html; charset=utf-8"})

    def _right(self, said: str) -> bool:
        wanted, given = (hashlib.sha256(text.encode()).digest() for text in (self.password or "", said))
        return hmac.compare_digest(wanted, given)


def asking(language: str, wrong: bool) -> str:
    """The page that asks for the password."""
    from fenshen.studio.theme import STYLE

    problem = f'<p role="alert">{html.escape(tr("That is not the password. Wait a second and try again."))}</p>' if wrong else ""
    return (
        f'<!doctype html><html lang="{language}"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f'<title>fenshen</title><style>{STYLE}</style></head><body class="fs-door"><main><h1>fenshen <span>分身</span></h1>{problem}'
        f'<form method="post" action="/enter"><label for="p">{html.escape(tr("Password"))}</label>'
        f'<input id="p" name="password" type="password" autocomplete="current-password" autofocus required>'
        f"<button>{html.escape(tr('Enter'))}</button></form></main></body></html>"
    )


async def _body(receive: Receive) -> bytes:
    """A small form; nothing of a larger one."""
    body = b""
    while len(body) <= LARGEST_FORM:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            return body
    return b""


def _limited(receive: Receive) -> Receive:
    """The same body, cut off where it is larger than it may be, whatever its length was said to be."""
    seen = 0

    async def limited() -> MutableMapping[str, Any]:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        return {"type": "http.disconnect"} if seen > LARGEST_BODY else message

    return limited


def _with_headers(send: Send) -> Send:
    async def sending(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            kept = [pair for pair in message.get("headers", ()) if pair[0].lower().decode() not in HEADERS]
            message = {**message, "headers": [*kept, *((name.encode(), value.encode()) for name, value in HEADERS.items())]}
        await send(message)

    return sending


async def _answer(send: Send, status: int, text: str, headers: dict[str, str] | None = None) -> None:
    sent = {"content-type": "text/plain; charset=utf-8"} | (headers or {})
    pairs = [(name.encode(), value.encode()) for name, value in sent.items()]
    await send({"type": "http.response.start", "status": status, "headers": pairs})
    await send({"type": "http.response.body", "body": text.encode()})
