"""The address that the studio listens at, and the lock that keeps a second one away. Nothing here loads gradio: a mistake is said at once."""

from __future__ import annotations

import contextlib
import fcntl
import ipaddress
import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

from fenshen.errors import FenshenError

PORTS = 20  # Tried one after the other where none was asked for.


def loopback(host: str) -> bool:
    """Whether only this machine can reach an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def address_of(host: str, listener: socket.socket) -> str:
    """What to type into a browser."""
    return f"http://{f'[{host}]' if ':' in host else host}:{listener.getsockname()[1]}"


def listening(host: str, port: int | None, password: str | None = None) -> socket.socket:
    """A socket at `port`, else at the first free one from 7860. FenshenError where there is none, or where others could come in unasked."""
    if not loopback(host) and not password:
        raise FenshenError("--host {host}: others can reach that address, so a password is needed: set FENSHEN_PASSWORD, or --password", host=host)
    first = 7860 if port is None else port
    for wanted in range(first, first + (PORTS if port is None else 1)):
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        server = socket.socket(family, socket.SOCK_STREAM)
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            server.bind((host, wanted))
            server.listen(128)  # At once: until then another program could bind the same.
            return server
        except OverflowError:
            raise FenshenError("--port {port}: between 1 and 65535", port=wanted) from None
        except OSError as error:
            server.close()
            problem = error.strerror
    raise FenshenError("{host}, port {port} cannot be listened at: {problem}; name another with --port", host=host, port=first, problem=problem)


@contextlib.contextmanager
def alone(place: Path, address: str) -> Iterator[None]:
    """While a studio uses this folder: no second one may, and what passes through on its way to a page lies in it, for this user alone."""
    place.mkdir(parents=True, exist_ok=True, mode=0o700)
    with open(place / "lock", "a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise FenshenError("a studio is open for these runs already: {address}", address=lock.read() or place) from None
        lock.truncate(0)
        lock.write(address)
        lock.flush()
        passing = place / "passing"
        shutil.rmtree(passing, ignore_errors=True)
        passing.mkdir(mode=0o700)
        os.environ["GRADIO_TEMP_DIR"] = str(passing.resolve())
        try:
            yield
        finally:
            shutil.rmtree(passing, ignore_errors=True)
