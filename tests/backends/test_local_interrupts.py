"""Ctrl-C may come after a system call has done its work and before its answer is known."""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path

import pytest

from genro_storage.backends import local_write
from genro_storage.backends.local import LocalBackend


@pytest.fixture
def interrupt(monkeypatch):
    """Make a function of ``os`` (or of the module) raise KeyboardInterrupt after it has worked."""

    def after(holder, name, number=1):
        real = getattr(holder, name)
        calls = [0]

        def interrupted(*arguments, **options):
            answer = real(*arguments, **options)
            calls[0] += 1
            if calls[0] == number:
                raise KeyboardInterrupt
            return answer

        monkeypatch.setattr(holder, name, interrupted)

    return after


@pytest.mark.parametrize(
    ("holder", "name"),
    [(os, "open"), (local_write, "lock"), (local_write, "is_at"), (local_write, "_sweep")],
)
def test_an_interrupted_beginning_leaves_no_temporary_file(tmp_path, interrupt, holder, name):
    backend = LocalBackend(tmp_path)
    (tmp_path / "a").write_text("old")
    interrupt(holder, name)
    with pytest.raises(KeyboardInterrupt):
        backend.write_bytes("a", b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_text() == "old"


@pytest.mark.parametrize(("name", "old"), [("replace", "old"), ("close", "old"), ("close", None)])
def test_an_interrupt_while_publishing_stays_an_interrupt(tmp_path, interrupt, name, old):
    backend = LocalBackend(tmp_path)
    if old is not None:
        (tmp_path / "a").write_text(old)
    interrupt(os, name)
    with pytest.raises(KeyboardInterrupt):
        backend.write_bytes("a", b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_text() == "new"


@pytest.mark.parametrize(("number", "content"), [(1, "new"), (2, "meanwhile"), (3, "meanwhile")])
def test_an_interrupt_while_a_taken_name_is_replaced_leaves_no_stray_file(
    tmp_path, monkeypatch, number, content
):
    """A new file is linked to its name; where that is taken by now, to a temporary one first."""
    backend = LocalBackend(tmp_path)
    handle = backend.open_write("a")
    handle.write(b"new")
    living = tmp_path / Path(local_write._temporary_path("", "a", 0)).name
    link, calls = local_write.link, []

    def interrupted(descriptor, path):
        calls.append(path)
        if number > 1:
            (tmp_path / "a").write_text("meanwhile")
        try:
            link(descriptor, path)
        finally:
            if len(calls) == number:
                raise KeyboardInterrupt

    monkeypatch.setattr(local_write, "link", interrupted)
    with contextlib.ExitStack() as stack:
        if number == 3:  # slot 0 is another living writer's
            other = stack.enter_context(living.open("w"))
            fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(KeyboardInterrupt):
            handle.close()
        assert living.exists() == (number == 3)
    assert (tmp_path / "a").read_text() == content
    assert {path.name for path in tmp_path.iterdir()} == (
        {"a", living.name} if number == 3 else {"a"}
    )
