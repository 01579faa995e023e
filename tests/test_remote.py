"""What every backend behind a network shares: lazy, bounded, repeated where that does no harm."""

from __future__ import annotations

import asyncio
import errno
import io
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace

import pytest
from pydantic import ValidationError

from genro_storage.backends.errors import RootNotFoundError
from genro_storage.backends.fsspec_backend import FsspecBackend
from genro_storage.backends.fsspec_info import Profile
from genro_storage.backends.remote import (
    Bounds,
    BusyError,
    NetworkOptions,
    Opened,
    RemoteFilesystem,
    is_transient,
    repeated,
    repeated_async,
)
from tests.services.interrupted import within


class Shaky:
    """A filesystem whose calls raise what the test has lined up, and else work."""

    def __init__(self):
        self.calls = []
        self.failures = []
        self.closed = False

    def _step(self, name, *arguments):
        self.calls.append((name, *arguments))
        if self.failures:
            failure = self.failures.pop(0)
            if failure is not None:
                raise failure

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)
        return lambda *arguments, **options: self._step(name, *arguments)

    def open(self, path, mode="rb", **options):
        self._step("open", path, mode)
        return Stream(self)

    def close(self):
        self.closed = True


class Stream(io.BytesIO):
    def __init__(self, owner):
        super().__init__(b"content")
        self.owner = owner

    def read(self, size=-1):
        self.owner._step("read")
        return super().read(size)


class ForeignError(Exception):
    """What a client raises that knows no standard exceptions."""


def explain(error):
    if isinstance(error, ForeignError):
        return PermissionError(errno.EACCES, "refused; check 'password'")
    return error


#: Attempts that follow each other at once.
AT_ONCE = Bounds(timeout=1, retries=2, pause=0.0, longest_pause=0.0)


@pytest.fixture
def shaky():
    return Shaky()


@pytest.fixture
def fs(shaky):
    return RemoteFilesystem(lambda: shaky, "shaky", bounds=AT_ONCE, explain=explain)


BROKEN = ConnectionResetError(errno.ECONNRESET, "reset")


@pytest.mark.parametrize(
    "step",
    [
        lambda fs: fs.info("a"),
        lambda fs: fs.ls("a"),
        lambda fs: fs.cat_file("a"),
        lambda fs: fs.get_file("a", "b"),
        lambda fs: fs.open("a", "rb"),
        lambda fs: fs.pipe_file("a", b""),
        lambda fs: fs.put_file("a", "b"),
        lambda fs: fs.cp_file("a", "b"),
        lambda fs: fs.mv("a", "b"),
        lambda fs: fs.rm_file("a"),
        lambda fs: fs.mkdir("a"),
        lambda fs: fs.rmdir("a"),
        lambda fs: fs.makedirs("a"),
        lambda fs: fs.modified("a"),
    ],
)
def test_what_may_be_repeated_is(fs, shaky, step):
    shaky.failures = [BROKEN, TimeoutError()]
    step(fs)
    assert len(shaky.calls) == 3
    shaky.failures = [BROKEN, TimeoutError(), BROKEN]
    with pytest.raises(ConnectionResetError):
        step(fs)
    assert len(shaky.calls) == 6


@pytest.mark.parametrize(
    "step",
    [
        lambda fs: fs.pipe_file("a", b"", mode="create"),
        lambda fs: fs.put_file("a", "b", mode="create"),
        lambda fs: fs.open("a", "ab"),
        lambda fs: fs.open("a", "wb"),
    ],
)
def test_what_a_second_attempt_could_spoil_is_not_repeated(fs, shaky, step):
    shaky.failures = [BROKEN]
    with pytest.raises(ConnectionResetError):
        step(fs)
    assert len(shaky.calls) == 1


@pytest.mark.parametrize(
    "error",
    [
        FileNotFoundError(errno.ENOENT, "x"),
        PermissionError(errno.EACCES, "x"),
        OSError(errno.ENOSPC, "x"),
        ValueError("x"),
        RootNotFoundError("x"),
    ],
)
def test_what_will_not_change_is_not_repeated(fs, shaky, error):
    shaky.failures = [error]
    with pytest.raises(type(error)):
        fs.info("a")
    assert len(shaky.calls) == 1
    assert not is_transient(error)


@pytest.mark.parametrize(
    ("step", "done"),
    [
        (lambda fs: fs.rm_file("a"), FileNotFoundError),
        (lambda fs: fs.rmdir("a"), FileNotFoundError),
        (lambda fs: fs.mv("a", "b"), FileNotFoundError),
        (lambda fs: fs.mkdir("a"), FileExistsError),
    ],
)
def test_a_repetition_that_finds_the_work_done_has_done_it(fs, shaky, step, done):
    shaky.failures = [BROKEN, done(0, "x")]
    assert step(fs) is None
    # Without a failure before it, the same answer is an error.
    shaky.failures = [done(0, "x")]
    with pytest.raises(done):
        step(fs)


def test_a_root_that_is_missing_is_never_work_done(fs, shaky):
    shaky.failures = [BROKEN, RootNotFoundError("the bucket 'x' does not exist")]
    with pytest.raises(RootNotFoundError, match="bucket"):
        fs.rm_file("a")


def test_foreign_errors_are_explained_and_kept_as_the_cause(fs, shaky):
    foreign = ForeignError("status 17")
    shaky.failures = [foreign]
    with pytest.raises(PermissionError, match="check 'password'") as caught:
        fs.info("a")
    assert caught.value.__cause__ is foreign
    assert len(shaky.calls) == 1


def test_a_stream_explains_too(fs, shaky):
    with fs.open("a", "rb") as stream:
        assert stream.read(3) == b"con"
        assert stream.seekable()
        stream.seek(0)
        shaky.failures = [ForeignError()]
        with pytest.raises(PermissionError):
            stream.read()
        assert stream.tell() == 0


def test_nothing_is_connected_before_the_first_call():
    made = []

    def connect():
        made.append(threading.current_thread())
        time.sleep(0.05)
        return Shaky()

    fs = RemoteFilesystem(connect, "shaky", bounds=Bounds(), explain=explain)
    FsspecBackend(fs, "root", profile=Profile(threadsafe=True))
    fs.close()
    assert made == []
    threads = [threading.Thread(target=fs.info, args=("a",)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1


def test_a_failed_connection_is_tried_anew_and_its_import_error_passes():
    attempts = [ForeignError(), ImportError("No module named 'sdk'"), None]

    def connect():
        failure = attempts.pop(0)
        if failure is not None:
            raise failure
        return Shaky()

    fs = RemoteFilesystem(connect, "shaky", bounds=Bounds(retries=0), explain=explain)
    with pytest.raises(PermissionError):
        fs.info("a")
    with pytest.raises(ImportError, match="sdk"):
        fs.info("a")
    assert fs.info("a") is None


def test_closing_closes_and_a_later_call_opens_again():
    made = []

    def connect():
        made.append(Shaky())
        return made[-1]

    fs = RemoteFilesystem(connect, "shaky", bounds=Bounds(), explain=explain)
    fs.info("a")
    fs.close()
    assert made[0].closed
    fs.info("a")
    assert len(made) == 2 and not made[1].closed


def test_opened_forgets_what_was_taken():
    opened = Opened(object)
    first = opened.get()
    assert opened.get() is first
    assert opened.take() is first
    assert opened.take() is None
    assert opened.get() is not first


def test_a_forked_process_opens_its_own_whoever_is_opening_meanwhile():
    opened, connecting, goes_on = Opened(os.getpid), threading.Event(), threading.Event()

    def connect():
        connecting.set()
        goes_on.wait(30)
        return os.getpid()

    slow = Opened(connect)
    assert opened.get() == os.getpid()
    thread = threading.Thread(target=slow.get)
    thread.start()
    connecting.wait(30)
    child = os.fork()
    if child == 0:
        status = 1
        try:
            signal.alarm(10)
            goes_on.set()
            status = 0 if opened.get() == slow.get() == os.getpid() else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    goes_on.set()
    thread.join()
    assert opened.get() == slow.get() == os.getpid()


def test_attempts_count_from_zero():
    seen = []

    def step(attempt):
        seen.append(attempt)
        raise TimeoutError

    for retries in (0, 1, 3):
        seen.clear()
        with pytest.raises(TimeoutError):
            repeated(replace(AT_ONCE, retries=retries), step)
        assert seen == list(range(retries + 1))


def _gone(_):
    raise ConnectionError("gone")


def test_an_attempt_is_told_to_the_log_and_to_nobody_else(tmp_path, caplog):
    # Logs as structlog does where nobody has configured it: to the standard output.
    (tmp_path / "structlog.py").write_text(
        "class get_logger:\n"
        "    def __init__(self, name): pass\n"
        "    def warning(self, *args, **options): print(*args, options)\n"
    )
    code = (
        "from genro_storage.backends.remote import Bounds, repeated\n"
        "attempts = [ConnectionError('gone'), None]\n"
        "def step(_):\n"
        "    failure = attempts.pop(0)\n"
        "    if failure: raise failure\n"
        "repeated(Bounds(retries=1), step)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    with caplog.at_level("INFO", "genro_storage"), pytest.raises(ConnectionError):
        repeated(Bounds(retries=1), _gone)
    assert "attempt 1 failed" in caplog.text and "gone" in caplog.text


def test_a_connection_is_waited_for_ten_seconds_at_most():
    assert Bounds(timeout=60).connect == 10
    assert Bounds(timeout=3).connect == 3


@pytest.mark.parametrize(
    "wrong",
    [{"timeout": 0}, {"timeout": -1}, {"timeout": float("inf")}, {"retries": -1}, {"retries": 1.5}],
)
def test_bounds_that_bound_nothing_are_refused(wrong):
    with pytest.raises(ValidationError):
        NetworkOptions.model_validate(wrong)


def test_a_missing_root_survives_pickling():
    import pickle

    error = pickle.loads(pickle.dumps(RootNotFoundError("the bucket 'x' does not exist")))
    assert isinstance(error, RootNotFoundError)
    assert error.errno == errno.ENOENT and "bucket" in str(error)


def test_what_is_not_tried_again_is_not_waited_for():
    def busy(_):
        raise BusyError("come back later", 25)

    with within(20), pytest.raises(BusyError):
        repeated(Bounds(), busy, lambda error: False)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_fork_while_another_thread_connects_leaves_no_lock_behind():
    parent = os.getpid()
    begun, ended = threading.Event(), threading.Event()

    def connect():
        if os.getpid() == parent:
            begun.set()
            ended.wait(10)
        return object()

    opened = Opened(connect)
    thread = threading.Thread(target=opened.get)
    thread.start()
    begun.wait(10)
    child = os.fork()
    if child == 0:
        signal.alarm(5)  # instead of waiting for ever
        os._exit(0 if opened.get() is not None else 1)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    ended.set()
    thread.join()
    assert status == 0


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize(
    ("bounds", "most", "seconds"),
    [
        (Bounds(retries=9, pause=0.01, longest_pause=0.02, base=1.0), 10, 9 * 0.03),
        (Bounds(retries=9, pause=0.05, longest_pause=9.0, base=3.0, deadline=0.5), 5, 0.5),
        (Bounds(retries=9, pause=0.01, longest_pause=0.01, deadline=0.001), 1, 0.0),
    ],
)
def test_pauses_and_a_deadline_bound_all_attempts(bounds, most, seconds, asynchronous, caplog):
    calls = []

    def step(number):
        calls.append(number)
        raise ConnectionResetError

    async def later(number):
        step(number)

    with caplog.at_level("INFO", "genro_storage"), pytest.raises(ConnectionResetError):
        if asynchronous:
            asyncio.run(repeated_async(bounds, later))
        else:
            repeated(bounds, step)
    assert 1 <= len(calls) <= most
    # How long it means to pause, not how long that takes on a busy machine.
    pauses = [each.args[1] for each in caplog.records if each.msg.startswith("attempt %d failed")]
    assert len(pauses) == len(calls) - 1 and sum(pauses) <= seconds
    if bounds.deadline is None:
        assert len(calls) == most
    if bounds.deadline == 0.001:
        assert len(calls) == 1
