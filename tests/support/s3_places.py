"""A node of an ``s3`` mount on a server that a test names, and what each ``fill`` of a writer said."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import pytest

from genro_storage import StorageManager
from genro_storage.handles import BinaryWriter
from tests.services.s3 import SECRET

if TYPE_CHECKING:
    from collections.abc import Iterator

    from genro_storage import StorageNode

__all__ = ["DATE", "MIB", "at", "begun", "filled", "mounted"]

MIB = 1024 * 1024
#: What scripted servers say that a file is from.
DATE = "Wed, 21 Oct 2015 07:28:00 GMT"


@contextlib.contextmanager
def mounted(config: dict[str, Any], **more: Any) -> Iterator[StorageNode]:
    """A node of a mount that tries once, and not for long."""
    with StorageManager() as storage:
        storage.configure([{"name": "store", "retries": 0, "timeout": 5, **config, **more}])
        yield storage.node("store:d/a.bin")


def begun(client: Any, config: dict[str, Any]) -> list[dict[str, Any]]:
    """The unfinished uploads in the place of a mount: other tests have the same bucket."""
    every = client.list_multipart_uploads(Bucket=config["bucket"]).get("Uploads", [])
    return [each for each in every if each["Key"].startswith(config["prefix"])]


def at(url: str, **more: Any) -> dict[str, Any]:
    """A mount of a scripted server."""
    place = {"type": "s3", "bucket": "scripted", "endpoint_url": url, "region": "eu-west-1"}
    return {**place, "key": "AK", "secret": SECRET, **more}


@pytest.fixture
def filled(monkeypatch: pytest.MonkeyPatch) -> list[int | None]:
    """What each ``fill`` of a writer has said."""
    found: list[int | None] = []
    fill = BinaryWriter.fill

    def filling(*arguments: Any) -> int | None:
        found.append(fill(*arguments))
        return found[-1]

    monkeypatch.setattr(BinaryWriter, "fill", filling)
    return found
