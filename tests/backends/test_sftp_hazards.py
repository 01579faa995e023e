"""What comes between an SFTP mount and its server: delays, interrupts, forks, broken sessions."""

from __future__ import annotations

import contextlib
import errno
import gc
import linecache
import os
import signal
import sys
import threading
import time

import pytest

from genro_storage import (
    StorageConnectionError,
    StorageError,
    StorageExistsError,
    StorageIOError,
    StorageManager,
    StorageNotFoundError,
    StorageTimeoutError,
)
from genro_storage.backends.sftp import packets as wire
from genro_storage.backends.sftp import pool as pool_module
from genro_storage.backends.sftp.packets import ServerFailureError
from genro_storage.backends.sftp.session import Session
from tests.services.base import running
from tests.services.cable import Cable
from tests.services.interrupted import within
from tests.services.sftp import Sshd, mounted

pytestmark = pytest.mark.services

MIB = 1024 * 1024


@pytest.fixture
def here(tmp_path):
    """The directory that the mount shows, as this machine sees it."""
    (tmp_path / "root").mkdir()
    return tmp_path / "root"


@pytest.fixture
def far(sshd, here):
    with StorageManager() as storage:
        storage.configure([{"name": "far", **sshd.mount(here)}])
        yield storage.node("far:")


def files_of(node):
    """The client below a mount, which has connected."""
    return node._mount.backend._files._opened.get()


def answers(node):
    """Whether the mount can be asked, and does not hang."""
    found = []
    thread = threading.Thread(target=lambda: found.append(node.exists), daemon=True)
    thread.start()
    thread.join(20)
    return found == [True]


@contextlib.contextmanager
def stalled(server):
    """The connections that there are now are not served for the block; new ones are."""
    children = server._family()[1:]
    assert children
    server._signal(children, signal.SIGSTOP)
    try:
        yield
    finally:
        server._signal(children, signal.SIGCONT)


def at_call(monkeypatch, number, action, method="done"):
    """``action`` instead of the ``number``-th call of a method of sessions, and of no other."""
    real, calls = getattr(Session, method), [0]

    def counted(self, *arguments):
        calls[0] += 1
        if calls[0] == number:
            action()
        return real(self, *arguments)

    monkeypatch.setattr(Session, method, counted)
    return calls


def raising(error):
    def action():
        raise error

    return action


# -- requests that come late ----------------------------------------------------------------------


def test_a_request_that_was_delayed_does_not_empty_what_is_written_now(sshd, here, monkeypatch):
    """A line that stood still hands over what it held back while a later attempt is writing."""
    data = os.urandom(MIB) * 24
    with mounted(sshd.mount(here), timeout=1, retries=3) as node, contextlib.ExitStack() as stack:
        assert node.exists
        plain, sent = Session.send, []

        def send(self, kind, *fields):
            if kind == wire.OPEN and wire.OPEN not in sent:
                stack.enter_context(stalled(sshd))
            sent.append(kind)
            if sent.count(wire.WRITE) == 300:
                stack.close()
                time.sleep(0.5)
            return plain(self, kind, *fields)

        monkeypatch.setattr(Session, "send", send)
        (node / "a.bin").write_bytes(data)
        assert sent.count(wire.OPEN) == 2
    assert (here / "a.bin").read_bytes() == data


def test_an_attempt_that_broke_leaves_nothing_when_the_next_one_works(sshd, here, monkeypatch):
    with Cable(sshd.port) as cable, mounted(sshd.mount(here), port=cable.port) as node:
        assert node.exists

        def broken():
            cable.cut()
            cable.mend()

        at_call(monkeypatch, 3, broken)
        (node / "a.bin").write_bytes(bytes(4 * MIB))
        (node / "a.bin").copy_to(node / "b.bin")
    assert sorted(os.listdir(here)) == ["a.bin", "b.bin"]


@pytest.fixture
def late(sshd, here):
    """A mount whose first attempt reaches nobody."""
    with Cable(sshd.port) as cable, mounted(sshd.mount(here), port=cable.port) as node:
        cable.cut()
        plain, attempts = node._mount.backend._files.once, []

        def once(step):
            attempts.append(step)
            try:
                return plain(step)
            finally:
                cable.mend()

        node._mount.backend._files.once = once
        yield node
        assert len(attempts) == 2


def test_a_directory_that_was_there_before_the_server_answered_was_not_made_now(late, here):
    (here / "taken").mkdir()
    with pytest.raises(StorageExistsError, match="far:taken"):
        (late / "taken").mkdir()


def test_what_was_missing_before_the_server_answered_was_not_moved_now(late, here):
    with pytest.raises(StorageNotFoundError, match="far:missing"):
        late._mount.move("missing", late._mount, "moved")
    assert os.listdir(here) == []


@pytest.mark.parametrize("verb", ["mkdir", "move", "write_bytes"])
def test_what_was_done_before_the_answer_was_lost_is_no_error(sshd, here, monkeypatch, verb):
    (here / "a").write_bytes(b"content")
    with Cable(sshd.port) as cable, mounted(sshd.mount(here), port=cable.port) as node:
        assert node.exists
        plain, lost = Session.send, []

        def send(self, kind, *fields):
            number = plain(self, kind, *fields)
            renames = kind == wire.EXTENDED and b"posix-rename" in fields[0]
            if not lost and (kind == wire.MKDIR or renames):
                lost.append(kind)
                while not done():
                    time.sleep(0.001)
                self._replies[number] = None  # the answer that may have come already
                cable.cut()
                cable.mend()
            return number

        def done():
            return os.listdir(here) == ["b"] if verb == "move" else (here / "b").exists()

        monkeypatch.setattr(Session, "send", send)
        with within(20):
            if verb == "mkdir":
                (node / "b").mkdir()
            elif verb == "move":
                node._mount.move("a", node._mount, "b")
            else:
                (node / "b").write_bytes(b"content")
        assert lost
    assert done()


# -- appending ------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError, MemoryError])
@pytest.mark.parametrize("old", [b"old", None])
def test_an_interrupted_addition_is_taken_back(here, far, monkeypatch, error, old):
    if old is not None:
        (far / "log").write_bytes(old)
    stream = (far / "log").open("ab")
    stream.write(os.urandom(4 * MIB))
    calls = at_call(monkeypatch, 20, raising(error))
    with pytest.raises((error, StorageError)):
        stream.close()
    assert calls[0] > 20
    assert os.listdir(here) == ([] if old is None else ["log"])
    assert old is None or (here / "log").read_bytes() == old
    with (far / "log").open("ab") as again:
        again.write(b"!")
    assert (here / "log").read_bytes() == (old or b"") + b"!"


@pytest.mark.parametrize("error", [KeyboardInterrupt, ServerFailureError(errno.EIO, "Failure")])
def test_what_others_have_added_meanwhile_is_not_taken_back(here, far, monkeypatch, error):
    (far / "log").write_bytes(b"old")

    def between():
        with (here / "log").open("ab") as other:
            other.write(b"a line of somebody else\n")
        raise error

    at_call(monkeypatch, 1, between)
    with pytest.raises((KeyboardInterrupt, StorageIOError)), (far / "log").open("ab") as stream:
        stream.write(os.urandom(64 * 32 * 1024))
    assert b"a line of somebody else\n" in (here / "log").read_bytes()


def test_an_addition_that_lost_its_connection_is_taken_back_on_another(sshd, here, monkeypatch):
    (here / "log").write_bytes(b"old")
    with Cable(sshd.port) as cable, mounted(sshd.mount(here), port=cable.port) as node:
        assert node.exists

        def cut():
            before = sshd._family()[1:]
            cable.cut()
            cable.mend()
            # What the server has received already it may still write.
            with within(20):
                while set(before) & set(sshd._family()):
                    time.sleep(0.01)

        at_call(monkeypatch, 5, cut)
        with pytest.raises(StorageConnectionError, match="far:log"), (node / "log").open("ab") as f:
            f.write(os.urandom(8 * MIB))
    assert (here / "log").read_bytes() == b"old"


def test_a_file_that_took_the_name_while_another_was_added_to_stays(here, far, monkeypatch):
    (far / "log").write_bytes(b"old and longer than the other")

    def swapped():
        (here / "new").write_bytes(b"another")
        (here / "new").replace(here / "log")
        raise KeyboardInterrupt

    at_call(monkeypatch, 5, swapped)
    with pytest.raises(KeyboardInterrupt), (far / "log").open("ab") as stream:
        stream.write(bytes(4 * MIB))
    assert (here / "log").read_bytes() == b"another"


# -- reading on after a failure -------------------------------------------------------------------


@pytest.mark.parametrize("buffered", [True, False])
@pytest.mark.parametrize(
    "error", [ServerFailureError(errno.EIO, "the server answered 'Failure'"), KeyboardInterrupt()]
)
def test_reading_on_after_a_failure_leaves_nothing_out(here, far, monkeypatch, error, buffered):
    data = os.urandom(MIB)
    (here / "a.bin").write_bytes(data)
    stream = (far / "a.bin").open("rb") if buffered else far._mount.backend.open_read("a.bin")
    at_call(monkeypatch, 5, raising(error), "data")
    read, failures = b"", 0
    with stream:
        while len(read) < MIB:
            try:
                piece = stream.read(100_000)
            except (OSError, KeyboardInterrupt):
                failures += 1
                # What Python's own buffer held is gone with the failed call, as on local files.
                assert buffered or stream.tell() == len(read)
                read = data[: stream.tell()]
                continue
            assert piece
            read += piece
    assert failures == 1
    assert read == data


# -- sessions and connections ---------------------------------------------------------------------


def test_a_connection_that_fell_silent_is_replaced_by_the_next_attempt(sshd, here):
    (here / "a.txt").write_bytes(b"x")
    with mounted(sshd.mount(here), timeout=2, retries=1) as node:
        assert node.exists
        with stalled(sshd), within(15):
            assert (node / "a.txt").read_bytes() == b"x"


def test_a_connection_that_others_hear_from_is_kept(sshd, here, monkeypatch):
    (here / "a.bin").write_bytes(bytes(8 * MIB))

    def silent(session, _number):
        session._break(TimeoutError(errno.ETIMEDOUT, "the server was silent"))
        raise session._again()

    with (
        mounted(sshd.mount(here), timeout=2, retries=0) as node,
        (node / "a.bin").open("rb") as stream,
    ):
        assert stream.read(10) == bytes(10)
        link = files_of(node)._pool._state.link
        with monkeypatch.context() as patch:
            patch.setattr(Session, "attrs", silent)
            with pytest.raises(StorageTimeoutError):
                node.exists
        assert node.exists
        assert files_of(node)._pool._state.link is link
        assert len(stream.read()) == 8 * MIB - 10


@pytest.fixture(scope="module")
def single_sshd(tmp_path_factory):
    class Single(Sshd):
        settings = ("MaxSessions 1",)

    yield from running(Single, tmp_path_factory)


def test_a_broken_session_makes_room_for_another_although_a_stream_is_open(single_sshd, here):
    (here / "a.bin").write_bytes(bytes(8 * MIB))
    with (
        mounted(single_sshd.mount(here), timeout=4, retries=0) as node,
        (node / "a.bin").open("rb") as stream,
    ):
        stream.read(10)
        with single_sshd.frozen(), pytest.raises(StorageTimeoutError):
            stream.read()
        assert answers(node)


class _Greeting(Sshd):
    """A server whose login shell prints a text before SFTP begins."""

    def prepare(self):
        super().prepare()
        program = next(
            path
            for path in ("/usr/lib/openssh/sftp-server", "/usr/libexec/openssh/sftp-server", "cat")
            if path == "cat" or os.path.exists(path)
        )
        config = self.directory / "sshd_config"
        kept = [
            line
            for line in config.read_text().splitlines()
            if not line.startswith(("Subsystem", "ForceCommand"))
        ]
        kept.append(f"Subsystem sftp /bin/sh -c 'echo Welcome, dear user; exec {program}'")
        config.write_text("\n".join([*kept, ""]))


def test_what_is_wrong_with_a_server_is_said_each_time(tmp_path):
    server = _Greeting(tmp_path / "server").start()
    kept = []
    try:
        with mounted(server.mount("/"), timeout=5, retries=0) as node:
            # More than the sessions that a server allows by default.
            for _ in range(12):
                with pytest.raises(StorageIOError, match="something else than SFTP") as caught:
                    node.exists
                kept.append(caught.value)
    finally:
        server.stop()


# -- interrupts -----------------------------------------------------------------------------------


def test_what_a_handler_of_signals_raises_is_not_taken_for_a_broken_line(here, far):
    class TimeLimitError(Exception):
        """As task queues raise it."""

    assert far.exists
    (session,) = files_of(far)._pool._state.users
    plain, calls = session._channel.send, []

    def send(data):
        calls.append(len(data))
        if len(calls) == 20:
            raise TimeLimitError
        return plain(data)

    session._channel.send = send
    with pytest.raises(StorageError, match="TimeLimitError") as caught:
        (far / "a.bin").write_bytes(bytes(4 * MIB))
    assert isinstance(caught.value.__cause__, TimeLimitError)
    assert os.listdir(here) == []
    (far / "a.bin").write_bytes(b"and on it goes")
    assert (here / "a.bin").read_bytes() == b"and on it goes"


class _InterruptAt:
    """Raises KeyboardInterrupt at the ``number``-th line of the pool that this thread comes to."""

    def __init__(self, number):
        self.left = number

    def __call__(self, frame, event, _argument):
        if frame.f_code.co_filename != pool_module.__file__:
            return None
        # Not on leaving the block of a lock, at which no signal is looked for.
        line = linecache.getline(frame.f_code.co_filename, frame.f_lineno).strip()
        if event == "line" and not line.startswith("with self._changed"):
            self.left -= 1
            if self.left == 0:
                raise KeyboardInterrupt
        return self

    @contextlib.contextmanager
    def watching(self):
        before = sys.gettrace()
        gc.disable()  # which ends the pools of mounts that are gone
        sys.settrace(self)
        try:
            yield
        finally:
            sys.settrace(before)
            gc.enable()


def test_an_interrupt_at_any_line_of_connecting_leaves_a_mount_that_works(sshd, here):
    number = interrupted = 0
    while True:
        number += 1
        with mounted(sshd.mount(here), max_sessions=1) as node:
            at = _InterruptAt(number)
            try:
                with at.watching():
                    node.exists
            except KeyboardInterrupt:
                interrupted += 1
            assert answers(node), f"hangs after an interrupt at line {number}"
        if at.left > 0:
            break
    assert interrupted > 30


# -- forks ----------------------------------------------------------------------------------------


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
class TestForked:
    """A child that is forked while threads of its parent are at work waits for none of them."""

    @staticmethod
    def forked(work):
        child = os.fork()
        if child == 0:
            try:
                signal.alarm(10)
                work()
                os._exit(7)
            finally:
                os._exit(8)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    def test_it_appends_while_the_parent_does(self, here, far):
        (far / "log").write_bytes(b"old")
        with files_of(far)._pool.turns:  # as where another thread appends

            def work():
                with (far / "log").open("ab") as stream:
                    stream.write(b" and child")

            assert self.forked(work) == 7
        assert (here / "log").read_bytes() == b"old and child"

    def test_a_stream_of_the_parent_is_an_error(self, here, far):
        (here / "a.bin").write_bytes(bytes(4 * MIB))
        stop = threading.Event()

        def busy():
            while not stop.is_set():
                (far / "a.bin").read_bytes()

        threads = [threading.Thread(target=busy) for _ in range(2)]
        with (far / "a.bin").open("rb") as stream:
            stream.read(10)
            for thread in threads:
                thread.start()

            def work():
                with pytest.raises(StorageConnectionError, match="forked"):
                    stream.read(MIB)
                stream.close()
                assert (far / "a.bin").size == 4 * MIB

            try:
                assert [self.forked(work) for _ in range(5)] == [7] * 5
            finally:
                stop.set()
                for thread in threads:
                    thread.join()
            assert len(stream.read()) == 4 * MIB - 10
