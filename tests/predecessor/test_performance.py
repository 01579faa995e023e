"""Faults of speed and memory that can be counted, rather than timed."""

from __future__ import annotations

import tracemalloc

import pytest

SIZE = 48 * 1024 * 1024


@pytest.mark.parametrize("target", ["other", "fsspec-local"])
@pytest.mark.parametrize("source", ["local", "fsspec-local"])
def test_a_large_file_is_copied_in_blocks(manager, tmp_path, source, target):
    """W23: copying 64 MiB took 256 MiB of memory."""
    with (tmp_path / source / "big").open("wb") as file:
        file.truncate(SIZE)
    tracemalloc.start()
    try:
        manager.node(f"{source}:big").copy_to(f"{target}:big2")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert manager.node(f"{target}:big2").size == SIZE
    assert peak < SIZE / 3


def test_hashing_comparing_and_zipping_read_in_blocks(manager, tmp_path):
    """W23: and so do the other readers of whole files."""
    for name in ("one", "two"):
        with (tmp_path / "local" / name).open("wb") as file:
            file.truncate(SIZE)
    one, two = manager.node("local:one"), manager.node("local:two")
    tracemalloc.start()
    try:
        assert one.md5hash == two.md5hash
        assert one == two
        assert sum(len(chunk) for chunk in one.iter_zip()) > 0
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < SIZE / 3
