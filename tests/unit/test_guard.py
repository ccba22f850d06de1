"""The guard in front of the studio: what it refuses, what it lets through, and the password."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest

from fenshen.studio.guard import COOKIE, HEADERS, LARGEST_BODY, Guard

HERE = frozenset({"127.0.0.1", "localhost", "::1"})


async def inner(scope: Any, receive: Any, send: Any) -> None:
    """An application that reads all that it is sent, and says how much that was."""
    size, message = 0, {"type": "http.request", "more_body": True}
    while message["type"] == "http.request" and message.get("more_body"):
        message = await receive()
        size += len(message.get("body", b""))
    await send({"type": "http.response.start", "status": 200, "headers": [(b"x-frame-options", b"ALLOWALL")]})
    await send({"type": "http.response.body", "body": f"{message['type']} {size}".encode()})


def ask(guard: Guard, path: str = "/en/", method: str = "GET", body: bytes = b"", **headers: str) -> tuple[int, dict[str, str], str]:
    """Status, headers and body of an answer; header names with _ for -."""
    sent: list[Any] = []
    told = {"host": "127.0.0.1:7860"} | {name.replace("_", "-"): value for name, value in headers.items()}
    scope = {"type": "http", "method": method, "path": path, "headers": [(k.encode(), v.encode()) for k, v in told.items()]}

    async def receive() -> Any:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    with contextlib.suppress(StopIteration):
        guard(scope, receive, send).send(None)  # Nothing here waits for anything, so no loop is needed, and it ends at once.
    return sent[0]["status"], {k.decode(): v.decode() for k, v in sent[0]["headers"]}, sent[1]["body"].decode()


def test_a_page_of_this_machine_is_let_through_with_its_headers() -> None:
    status, headers, body = ask(Guard(inner, HERE))
    assert (status, body) == (200, "http.request 0")
    assert {name: headers[name] for name in HEADERS} == HEADERS  # The application's own weaker one is gone.
    assert "http:" not in HEADERS["content-security-policy"] and "https:" not in HEADERS["content-security-policy"]


@pytest.mark.parametrize(("status", "headers"), [
    (421, {"host": "evil.example"}), (421, {"host": "evil.example:7860"}), (421, {"host": ""}), (421, {"host": "127.0.0.1.evil.example"}),
    (200, {"host": "localhost:7860"}), (200, {"host": "[::1]:7860"}),
    (403, {"origin": "http://evil.example"}), (403, {"origin": "null"}), (403, {"origin": "http://127.0.0.1:9999"}),
    (200, {"origin": "http://127.0.0.1:7860"}),
    (403, {"sec_fetch_site": "cross-site", "sec_fetch_mode": "no-cors"}), (403, {"sec_fetch_site": "same-site", "sec_fetch_mode": "cors"}),
    (200, {"sec_fetch_site": "cross-site", "sec_fetch_mode": "navigate"}), (200, {"sec_fetch_site": "same-origin", "sec_fetch_mode": "cors"}),
    (413, {"content_length": str(LARGEST_BODY + 1)}), (413, {"content_length": "-1"}), (413, {"content_length": "many"}),
])  # fmt: skip
def test_who_may_ask(status: int, headers: dict[str, str]) -> None:
    assert ask(Guard(inner, HERE), **headers)[0] == status


def test_a_form_of_another_site_is_refused_even_where_it_only_navigates() -> None:
    assert ask(Guard(inner, HERE), method="POST", sec_fetch_site="cross-site", sec_fetch_mode="navigate")[0] == 403


@pytest.mark.parametrize("path", [
    "/en/gradio_api/proxy=https://evil.example/", "/zh/proxy=x", "/en/gradio_api/file=https://evil.example", "/en/gradio_api/file=//HTTP://x",
    "/en/gradio_api/mcp/", "/en/gradio_api/run-history/records", "/en//monitoring", "/en/gradio_api/vibe-edit/",
])  # fmt: skip
def test_ways_to_elsewhere_are_closed(path: str) -> None:
    assert ask(Guard(inner, HERE), path)[0] == 404


def test_a_file_may_be_called_like_one() -> None:
    assert ask(Guard(inner, HERE), "/en/gradio_api/file=/tmp/1/mcp.png")[0] == 200


def test_a_body_that_lies_about_its_length_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fenshen.studio.guard.LARGEST_BODY", 10)
    assert ask(Guard(inner, HERE), method="POST", body=b"x" * 11)[2] == "http.disconnect 0"
    assert ask(Guard(inner, HERE), method="POST", body=b"x" * 10)[2] == "http.request 10"


def test_the_password() -> None:
    guard = Guard(inner, None, "sesame")
    status, headers, body = ask(guard, host="192.168.1.7:7860", accept="text/html")
    assert status == 401 and 'type="password"' in body and "set-cookie" not in headers
    assert ask(guard, "/en/config", accept="*/*")[::2] == (401, "password\n")
    assert ask(guard, "/enter", "POST", b"password=wrong", accept="text/html")[0] == 401
    assert ask(guard, "/enter", "POST", b"password=sesame", accept="text/html")[0] == 401  # Too soon after a wrong one.
    guard.wrong_until = 0.0
    status, headers, _ = ask(guard, "/enter", "POST", b"password=sesame", accept_language="zh-CN,zh")
    assert (status, headers["location"]) == (303, "/zh/")
    assert "HttpOnly" in headers["set-cookie"] and "SameSite=Strict" in headers["set-cookie"]
    cookie = headers["set-cookie"].split(";")[0]
    assert ask(guard, cookie=f"other=1; {cookie}")[0] == 200
    assert ask(guard, cookie=f"{COOKIE}=x{guard.token}")[0] == 401
    assert ask(guard, "/en/run/1", "POST", cookie=cookie, origin="http://evil.example")[0] == 403


def test_the_password_is_asked_in_the_readers_language() -> None:
    assert "密码" in ask(Guard(inner, None, "x"), "/zh/", accept="text/html")[2]
    assert "Password" in ask(Guard(inner, None, "x"), "/en/", accept="text/html")[2]
