"""Nodes as local files, and programs that are run over them."""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from subprocess import CalledProcessError, TimeoutExpired

import pytest


def test_the_local_path_of_a_local_node_is_the_real_one(storage, tmp_path):
    with storage.node("disk:new/f").local_path("w") as path:
        assert path == str(tmp_path / "disk/new/f")
    assert not (tmp_path / "disk/new").exists()


def test_the_local_path_of_another_node_is_a_temporary_file(storage):
    node = storage.node("ram:f.jpg")
    node.write_bytes(b"old")
    with node.local_path() as path:
        assert isinstance(path, str)
        assert path.endswith(".jpg")
        assert Path(path).read_bytes() == b"old"
    assert not Path(path).exists()
    with node.local_path("rw") as path:
        Path(path).write_bytes(Path(path).read_bytes() + b" and new")
    assert node.read_bytes() == b"old and new"
    with node.local_path("w") as path:
        Path(path).write_bytes(b"written")
    assert node.read_bytes() == b"written"


def test_a_body_that_raises_uploads_nothing(storage):
    node = storage.node("ram:f")
    node.write_bytes(b"old")
    with pytest.raises(ZeroDivisionError), node.local_path("w") as path:
        Path(path).write_bytes(b"half")
        raise ZeroDivisionError
    assert node.read_bytes() == b"old"


def test_writing_nothing_uploads_an_empty_file_and_reading_nothing_gives_one(storage):
    with storage.node("ram:new").local_path("w"):
        pass
    assert storage.node("ram:new").size == 0
    with storage.node("ram:missing").local_path("r") as path:
        assert Path(path).read_bytes() == b""


@pytest.mark.parametrize("mode", ["w", "rw"])
def test_a_local_path_for_writing_base64_is_refused_at_the_call(storage, mode):
    with pytest.raises(PermissionError, match="read-only"):
        storage.node("b64:YWJj").local_path(mode)


def test_call_runs_a_program_over_nodes(storage):
    source, target = storage.node("ram:in.txt"), storage.node("disk:out.txt")
    source.write_text("hello")
    target.write_text("")
    called = []
    script = "import sys, shutil; shutil.copyfile(sys.argv[1], sys.argv[2]); print('done')"
    output = source.call(
        *(sys.executable, "-c", script, source, target),
        callback=lambda: called.append(True),
        return_output=True,
    )
    assert output == "done\n"
    assert target.read() == "hello"
    assert called == [True]
    assert source.call(sys.executable, "-c", "pass") is None


def test_how_call_fails(storage):
    node = storage.node("ram:f")
    called = []
    with pytest.raises(CalledProcessError):
        node.call(sys.executable, "-c", "raise SystemExit(3)", callback=lambda: called.append(1))
    with pytest.raises(FileNotFoundError):
        node.call("no-such-command-anywhere")
    with pytest.raises(TimeoutExpired):
        node.call(sys.executable, "-c", "import time; time.sleep(30)", timeout=0.2)
    assert called == []


def test_call_in_the_background_returns_at_once(storage):
    done = threading.Event()
    result = storage.node("ram:f").call(
        sys.executable, "-c", "pass", callback=done.set, async_mode=True
    )
    assert result is None
    assert done.wait(30)
