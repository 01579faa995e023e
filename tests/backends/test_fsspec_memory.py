"""fsspec's memory: honest times, and mounts apart from each other."""

from __future__ import annotations

import time

import fsspec

from genro_storage.backends.context import BuildContext
from genro_storage.backends.fsspec import FsspecOptions, backend_for, build
from tests.support.fsspec_backends import names


def test_memory_tells_the_time_of_writing_and_not_of_asking(tmp_path):
    backend = backend_for(fsspec.filesystem("memory"), f"/{tmp_path.name}-mtime")
    before = time.time()
    backend.write_bytes("f", b"")
    after = time.time()
    time.sleep(0.02)
    mtime = backend.stat("f").mtime
    assert before <= mtime <= after
    assert next(backend.scan("")).mtime == mtime
    backend.remove_tree("f")


def test_memory_mounts_of_different_names_do_not_share_files(tmp_path):
    options = FsspecOptions(filesystem="memory")
    one = build(options, BuildContext(mount=f"{tmp_path.name}-one"))
    two = build(options, BuildContext(mount=f"{tmp_path.name}-two"))
    one.write_bytes("f", b"1")
    assert names(two) == []
    assert two.stat("").type == "directory"
    one.remove("f")
