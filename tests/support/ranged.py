"""A scripted server of one large object, and what is seen of the connections that bring it."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.services.answers import Answer, AnswerServer
from tests.support.s3_places import DATE, MIB, at, mounted

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

    from genro_storage import StorageNode
    from genro_storage.backends.object_stores.engine import Engine
    from genro_storage.backends.object_stores.ranged import RangedGet
    from tests.services.answers import Request

__all__ = [
    "DATA",
    "KEY",
    "SIGNED",
    "SIZE",
    "Scripted",
    "engine_of",
    "eventually",
    "fetched",
    "inside",
    "is_fit",
    "is_signed",
    "no_proxies",
    "ranged_of",
    "read",
    "scripted",
    "signed",
    "small_windows",
    "windows",
]

#: Of an object that is copied as a large one.
SIZE = 9 * MIB
DATA = os.urandom(SIZE)
KEY = "TESTACCESSKEY"
SIGNED = "X-Amz-Signature"


class Scripted:
    """What a server says that has one object; ``instead`` may answer otherwise."""

    def __init__(self, data: bytes = DATA, *headers: tuple[str, str]) -> None:
        self.data = data
        self.headers = headers
        self.etag = '"1"'
        self.knows_conditions = True
        self.instead: Callable[[Request], Answer | None] = lambda _: None

    def __call__(self, request: Request) -> Answer:
        """The answer, and ``instead`` first."""
        return self.instead(request) or self.answer(request)

    def answer(self, request: Request) -> Answer:
        """What an honest server says."""
        told = (("ETag", self.etag), ("Last-Modified", DATE), *self.headers)
        if self.knows_conditions and request.headers.get("If-Match", self.etag) != self.etag:
            return Answer(412)
        found = re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("Range", ""))
        if found is None:
            return Answer(200, self.data, told)
        start = int(found[1])
        if start >= len(self.data):
            return Answer(416)
        data = self.data[start : int(found[2] or len(self.data)) + 1]
        told += (("Content-Range", f"bytes {start}-{start + len(data) - 1}/{len(self.data)}"),)
        return Answer(206, data, told)

    def once(self, number: int, act: Callable[[Request], Answer | None]) -> None:
        """The signed request of this number, from 1 on, is answered by ``act``."""
        seen: list[Request] = []

        def instead(request: Request) -> Answer | None:
            seen.extend([request] * is_signed(request))
            return act(request) if is_signed(request) and len(seen) == number else None

        self.instead = instead


def is_signed(request: Request) -> bool:
    """Whether it came by a signed URL."""
    return SIGNED in request.path


def signed(server: AnswerServer) -> list[str | None]:
    """The ranges that were asked for by signed URLs."""
    return [each.headers.get("Range") for each in server.requests if is_signed(each)]


def windows(*edges: float) -> list[str]:
    """Ranges from edge to edge, in MiB."""
    numbers = [int(each * MIB) for each in edges]
    return [f"bytes={a}-{b - 1}" for a, b in itertools.pairwise(numbers)]


def inside(node: StorageNode) -> Any:
    """The backend of its mount."""
    return node._mount.backend


def engine_of(node: StorageNode) -> Engine:
    """What makes its single requests."""
    found: Engine = inside(node)._store.engine
    return found


def ranged_of(node: StorageNode) -> RangedGet | None:
    """What gets its large contents, if there is one."""
    return engine_of(node)._patient.get().ranged


def is_fit(node: StorageNode) -> bool:
    """Whether they come by connections of our own."""
    ranged = ranged_of(node)
    return ranged is not None and ranged.is_fit


def read(node: StorageNode) -> bytes:
    """As a copy does it, without a look before."""
    with node._mount.open_whole(node.path) as stream:
        return b"".join(iter(lambda: stream.read(MIB), b""))


def fetched(node: StorageNode, directory: Path) -> bytes:
    """By windows, one after the other."""
    node._mount.download(node.path, directory / "got")
    return (directory / "got").read_bytes()


def eventually(holds: Callable[[], bool]) -> bool:
    """Whether it comes to hold."""
    until = time.monotonic() + 10
    while not holds() and time.monotonic() < until:
        time.sleep(0.01)
    return holds()


@pytest.fixture
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """What this machine says of proxies is nothing to the test."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def small_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows of two MiB."""
    from genro_storage.backends.object_stores import downloads, onward, resuming
    from genro_storage.backends.s3 import fast, fast_stream

    for module in (downloads, onward, resuming, fast, fast_stream):
        monkeypatch.setattr(module, "WINDOW", 2 * MIB)


@contextlib.contextmanager
def scripted(server: AnswerServer, **more: Any) -> Generator[StorageNode]:
    """A node of a mount of a scripted server."""
    with mounted(at(server.url, key=KEY, **more)) as node:
        yield node


@pytest.fixture
def scripted_store() -> Scripted:
    """What a server of one large object does, as long as a test says nothing else."""
    return Scripted()


@pytest.fixture
def scripted_server(scripted_store: Scripted) -> Generator[AnswerServer]:
    """The server that does it."""
    with AnswerServer(scripted_store) as server:
        yield server
