"""A listing that is complete before it is used."""

from __future__ import annotations

import errno
import gc
import warnings

import pytest

from genro_storage import Checksum
from genro_storage.info import FileInfo
from genro_storage.transfer.planning import listings
from genro_storage.transfer.planning.listings import complete


def entries(count: int) -> list[FileInfo]:
    return [
        FileInfo(
            f"d/ü\n{number:05}", "file", number, 1.5, checksum=Checksum("md5", f"{number:032x}")
        )
        for number in range(count)
    ]


@pytest.mark.parametrize("count", [0, 1, 9, 10, 11, 14, 15, 16, 100])
def test_it_is_the_same_and_has_ended_before(count, monkeypatch):
    monkeypatch.setattr(listings, "_IN_MEMORY", 10)
    monkeypatch.setattr(listings, "_PORTION", 5)
    left = entries(count)
    found = complete(left.pop(0) for _ in range(count))
    assert not left
    assert list(found) == entries(count)


def test_what_fails_leaves_no_file_open(monkeypatch):
    monkeypatch.setattr(listings, "_IN_MEMORY", 10)

    def failing():
        yield from entries(50)
        raise OSError(errno.EIO, "the listing broke off")

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(OSError, match="broke off"):
            complete(failing())
        found = iter(complete(entries(50)))
        assert next(found).path == "d/ü\n00000"
        del found
        gc.collect()
