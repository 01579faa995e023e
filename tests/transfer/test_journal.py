"""The notes of interrupted transfers: what outlives a process, and what a damaged file is worth."""

from __future__ import annotations

import logging
import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from genro_storage.transfer.execution import journal
from genro_storage.transfer.execution.journal import open_entry, state_directory
from genro_storage.transfer.execution.ranges import Ranges

ABOUT = {"source": "disk:a", "target": "far:a", "size": 5}


@pytest.fixture(autouse=True)
def directory(tmp_path, monkeypatch):
    monkeypatch.setenv("GENRO_STORAGE_STATE", str(tmp_path / "state"))
    return tmp_path / "state" / "transfers"


def entry(source="a", target="b"):
    found = open_entry(source, target, ABOUT)
    assert found is not None
    return found


def noted(source="a", target="b"):
    with entry(source, target) as found:
        return list(found.lines())


def write_three():
    with entry() as here:
        here.begin(upload="1")
        here.add(ranges=[[0, 4]])
        here.add(ranges=[[0, 8]])


THREE = [{"upload": "1"}, {"ranges": [[0, 4]]}, {"ranges": [[0, 8]]}]


def test_what_is_noted_is_there_for_the_next_one_and_for_no_other_pair():
    write_three()
    assert noted() == THREE
    assert noted("a", "c") == noted("b", "a") == []


def test_beginning_forgets_what_was_noted_before():
    write_three()
    with entry() as here:
        here.begin(upload="2")
    assert noted() == [{"upload": "2"}]


@pytest.mark.parametrize("step", ["forget", "nothing"])
def test_an_entry_without_notes_leaves_no_file(directory, step):
    with entry() as here:
        if step == "forget":
            here.begin(upload="1")
            here.forget()
    assert list(directory.iterdir()) == []


def test_only_its_owner_can_look_into_it(directory):
    write_three()
    (file,) = directory.iterdir()
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("damage", "left"),
    [
        (lambda data: data[:-1], 2),
        (lambda data: data[:-20], 2),
        (lambda data: data + b"00000000 {}", 3),
        (lambda data: data.replace(b"[0,4]", b"[0,5]"), 1),
        (lambda data: b"x" + data, 0),
        (lambda data: data.replace(b'"version":1', b'"version":2'), 0),
        (lambda data: os.urandom(len(data)), 0),
        (lambda data: b"", 0),
    ],
    ids=[
        "a torn end",
        "half a line",
        "an addition",
        "a digit",
        "a head",
        "another version",
        "noise",
        "empty",
    ],
)
def test_of_a_damaged_file_the_lines_before_the_damage_count(directory, damage, left):
    write_three()
    (file,) = directory.iterdir()
    file.write_bytes(damage(file.read_bytes()))
    with entry() as here:
        assert list(here.lines()) == THREE[:left]
        if left:
            here.add(more=1)
        else:
            here.begin(more=1)
    assert noted() == [*THREE[:left], {"more": 1}]


def test_an_entry_in_use_is_given_to_nobody_else_until_it_is_closed_or_its_process_is_dead():
    script = (
        "import sys; from genro_storage.transfer.execution.journal import open_entry\n"
        "here = open_entry('a', 'b', {})\n"
        "print(here is not None, flush=True)\n"
        "if here: here.begin(upload='theirs'); print('noted', flush=True); sys.stdin.read()"
    )
    with entry():
        assert open_entry("a", "b", ABOUT) is None
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
        assert done.stdout == b"False\n"
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout.readline() == b"True\n"
        assert other.stdout.readline() == b"noted\n"
        assert open_entry("a", "b", ABOUT) is None
        other.kill()
    assert noted() == [{"upload": "theirs"}]


def test_entries_that_nobody_came_back_for_are_removed(directory, monkeypatch):
    write_three()
    with entry("c", "d") as here:
        here.begin(upload="young")
    (file,) = (path for path in directory.iterdir() if b'"1"' in path.read_bytes())
    then = time.time() - 31 * 24 * 3600
    os.utime(file, (then, then))
    monkeypatch.setattr(journal, "_swept", set())
    assert noted("c", "d") == [{"upload": "young"}]
    assert not file.exists()


@pytest.mark.parametrize("what", ["a file in the way", "a link in the way"])
def test_where_nothing_can_be_noted_it_is_said_once_and_nothing_fails(
    tmp_path, monkeypatch, caplog, what
):
    monkeypatch.setattr(journal, "_told", set())
    if what == "a file in the way":
        (tmp_path / "state").write_bytes(b"")
    else:
        write_three()
        (file,) = (tmp_path / "state" / "transfers").iterdir()
        file.unlink()
        (tmp_path / "stolen").touch()
        file.symlink_to(tmp_path / "stolen")
    with caplog.at_level(logging.INFO, "genro_storage"):
        assert open_entry("a", "b", ABOUT) is None
        assert open_entry("a", "b", ABOUT) is None
    (record,) = caplog.records
    assert record.levelno == logging.INFO
    assert "will not be resumed" in record.message


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device that is full")
def test_a_full_disk_ends_the_notes_and_nothing_else(tmp_path, monkeypatch):
    monkeypatch.setattr(journal, "_told", set())
    with entry() as here:
        here.begin(upload="1")
        assert here.are_kept
        full = os.open("/dev/full", os.O_RDWR)
        monkeypatch.setattr(os, "ftruncate", lambda *_: None)  # which that device does not know
        os.dup2(full, here._descriptor)
        os.close(full)
        here.add(ranges=[[0, 4]])
        assert not here.are_kept


@pytest.mark.parametrize(
    ("platform", "environment", "expected"),
    [
        ("linux", {"GENRO_STORAGE_STATE": "/s"}, "/s"),
        ("linux", {"XDG_STATE_HOME": "/x"}, "/x/genro-storage"),
        ("linux", {"XDG_STATE_HOME": "x"}, "/h/.local/state/genro-storage"),
        ("linux", {}, "/h/.local/state/genro-storage"),
        ("darwin", {}, "/h/Library/Application Support/genro-storage"),
        ("win32", {"LOCALAPPDATA": "/l"}, "/l/genro-storage"),
        ("win32", {}, "/h/AppData/Local/genro-storage"),
    ],
)
def test_the_state_lies_where_the_system_keeps_such(monkeypatch, platform, environment, expected):
    for name in ("GENRO_STORAGE_STATE", "XDG_STATE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"HOME": "/h", **environment}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "platform", platform)
    assert state_directory() == Path(expected)


@pytest.mark.parametrize(
    ("found", "joined", "missing"),
    [
        ([], [], [(0, 10)]),
        ([(0, 10)], [(0, 10)], []),
        ([(2, 4), (4, 6)], [(2, 6)], [(0, 2), (6, 10)]),
        ([(6, 8), (2, 4), (3, 7)], [(2, 8)], [(0, 2), (8, 10)]),
        ([(0, 2), (5, 5), (8, 12)], [(0, 2), (8, 12)], [(2, 8)]),
        ([(12, 14)], [(12, 14)], [(0, 10)]),
    ],
)
def test_ranges_are_joined_where_they_touch(found, joined, missing):
    assert list(Ranges(found)) == joined
    assert Ranges(found).missing(10) == missing
    assert Ranges(found).within(10).total == 10 - sum(end - start for start, end in missing)
