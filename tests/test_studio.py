"""The studio as a process: how it starts and ends, and what a stranger at its door gets."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("gradio", reason="the extra 'studio' is not installed")
PROGRAM = (sys.executable, "-m", "fenshen", "studio", "--no-browser")


def started(root: Path, *words: str) -> tuple[subprocess.Popen[str], str]:
    """A studio that answers, and its address."""
    process = subprocess.Popen(
        (*PROGRAM, *words), cwd=root, env=os.environ | {"FENSHEN_RUNS": str(root / "runs")}, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    for line in process.stdout:
        if found := re.search(r"http://\S+", line):
            return process, found.group()
    raise AssertionError("the studio ended before it answered")


def ended(process: subprocess.Popen[str]) -> int:
    process.send_signal(signal.SIGINT)
    return process.wait(20)


def status(address: str, method: str = "GET", **headers: str) -> int:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    try:
        with urllib.request.urlopen(urllib.request.Request(address, method=method, headers=named), timeout=20) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    root = tmp_path_factory.mktemp("studio")
    began = time.monotonic()
    process, address = started(root)
    assert time.monotonic() - began < 30  # 4 seconds on two free cores; tests run on crowded ones.
    yield address, root
    assert ended(process) in (0, -signal.SIGINT, 130)
    assert not (root / "runs" / ".studio" / "passing").exists()  # Nothing that passed through stays behind.


def test_both_languages_and_every_page_answer(studio: tuple[str, Path]) -> None:
    for path in ("/", "/en/", "/zh/", "/en/train", "/zh/make", "/en/judge", "/zh/manage", "/favicon.ico"):
        assert status(studio[0] + path) == 200, path


def test_files_of_the_machine_are_not_given_away(studio: tuple[str, Path]) -> None:
    address, root = studio
    (root / "secret.txt").write_text("secret")
    (root / "runs" / ".studio" / "passing").chmod(0o700)
    for path in ("/etc/passwd", "../../etc/passwd", str(root / "secret.txt"), "secret.txt", f"{root}/runs/.studio/lock", "%2e%2e/secret.txt"):
        assert status(f"{address}/en/gradio_api/file={path}") in (403, 404), path
    for path in ("/en/static/..%2f..%2f..%2f..%2fetc/passwd", "/en/assets/../../../../etc/passwd"):
        assert status(address + path) in (403, 404), path


def test_other_sites_and_other_names_are_refused(studio: tuple[str, Path]) -> None:
    address = studio[0]
    assert status(f"{address}/en/", Host="evil.example") == 421
    assert status(f"{address}/en/gradio_api/queue/join", "POST", Origin="http://evil.example") == 403
    assert status(f"{address}/en/config", Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="cors") == 403


def test_a_second_studio_for_the_same_runs_is_refused(studio: tuple[str, Path]) -> None:
    address, root = studio
    second = subprocess.run(PROGRAM, cwd=root, env=os.environ | {"FENSHEN_RUNS": str(root / "runs")}, capture_output=True, text=True, timeout=60)
    assert second.returncode == 2 and address in second.stderr


def test_a_taken_port_and_an_open_address_are_explained(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        told = subprocess.run((*PROGRAM, "--port", port), cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert told.returncode == 2 and "--port" in told.stderr
    told = subprocess.run((*PROGRAM, "--host", "0.0.0.0"), cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert told.returncode == 2 and "FENSHEN_PASSWORD" in told.stderr


def test_with_a_password_nobody_sees_anything_without_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FENSHEN_PASSWORD", "sesame")
    process, address = started(tmp_path, "--host", "0.0.0.0")
    try:
        door = address.replace("0.0.0.0", "127.0.0.1")
        for path in ("/", "/en/", "/en/config", "/en/gradio_api/info", "/en/theme.css"):
            assert status(door + path) == 401, path
    finally:
        ended(process)
