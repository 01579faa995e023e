"""The handles of a mount: whole or not at all, and errors in the user's words at every step."""

from __future__ import annotations

import contextlib
import errno
import gc
import io
import logging
import os
import resource
import signal
import sys

import pytest

from genro_storage import StorageError, StorageFullError, StorageIOError, StorageManager
from genro_storage.backends.base import WriteHandle
from genro_storage.handles import BinaryUpdater, BinaryWriter, TextHandle, open_reader


class Recorder(WriteHandle):
    """Keeps what was written, and how it ended."""

    def __init__(self, *, write_error=None, commit_error=None, abort_error=None, at_most=None):
        super().__init__()
        self.data = bytearray()
        self.ends = []
        self.write_error = write_error
        self.commit_error = commit_error
        self.abort_error = abort_error
        self.at_most = at_most

    def write(self, data):
        if self.write_error is not None:
            raise self.write_error
        taken = bytes(data)[: self.at_most]
        self.data += taken
        return len(taken)

    def _commit(self):
        if self.commit_error is not None:
            raise self.commit_error
        self.ends.append("committed")

    def _abort(self):
        self.ends.append("aborted")
        if self.abort_error is not None:
            raise self.abort_error


class BreaksOff(io.RawIOBase):
    """A stream whose every use fails."""

    def readable(self):
        return True

    def seekable(self):
        return True

    def readinto(self, buffer):
        raise ConnectionResetError(errno.ECONNRESET, "gone")

    def seek(self, offset, whence=0):
        raise io.UnsupportedOperation("no seeking here")


# -- reading --------------------------------------------------------------------------------------


def test_a_reader_gives_what_the_stream_holds():
    with open_reader(io.BytesIO(b"0123456789"), "m:a") as stream:
        assert stream.read(3) == b"012"
        assert stream.seek(-1, io.SEEK_END) == 9
        assert stream.read() == b"9"
        assert stream.name == "m:a"


def test_a_stream_that_can_only_read_is_enough():
    class Minimal:
        def __init__(self):
            self.left = [b"abc", b"def"]
            self.closed = False

        def read(self, _count=-1):
            return self.left.pop(0) if self.left else b""

        def seekable(self):
            return False

        def close(self):
            self.closed = True

    inner = Minimal()
    with open_reader(inner, "m:a") as stream:
        assert stream.read() == b"abcdef"
        assert not stream.seekable()
    assert inner.closed


def test_errors_while_reading_name_the_node():
    stream = open_reader(BreaksOff(), "m:a.txt")
    with pytest.raises(StorageError, match=r"m:a\.txt.*reading"):
        stream.read()
    with pytest.raises(StorageError, match=r"m:a\.txt.*seeking"):
        stream.seek(5)


def test_closing_a_reader_closes_the_stream():
    inner = io.BytesIO(b"x")
    open_reader(inner, "m:a").close()
    assert inner.closed


# -- writing --------------------------------------------------------------------------------------


def test_closing_commits_once():
    inner, told = Recorder(), []
    stream = BinaryWriter(inner, "m:a", told.append)
    stream.write(b"abc")
    assert inner.ends == []
    stream.close()
    stream.close()
    assert (bytes(inner.data), inner.ends, told) == (b"abc", ["committed"], [None])


@pytest.mark.parametrize("at_most", [1, 3, 1000])
def test_a_handle_that_takes_little_at_a_time_gets_everything(at_most):
    inner = Recorder(at_most=at_most)
    with BinaryWriter(inner, "m:a") as stream:
        stream.write(b"0123456789" * 50)
    assert bytes(inner.data) == b"0123456789" * 50


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, GeneratorExit, SystemExit])
def test_an_exception_inside_with_aborts(error):
    inner, told = Recorder(), []
    with pytest.raises(error), BinaryWriter(inner, "m:a", told.append) as stream:
        stream.write(b"abc")
        raise error
    assert (inner.ends, told) == (["aborted"], [])


def test_aborting_forgets_what_is_still_buffered():
    inner = Recorder()
    stream = BinaryWriter(inner, "m:a")
    stream.write(b"abc")
    stream.abort()
    stream.abort()
    assert stream.closed
    assert (bytes(inner.data), inner.ends) == (b"", ["aborted"])


def test_a_write_that_fails_can_not_be_committed_afterwards():
    inner = Recorder(write_error=OSError(errno.ENOSPC, "full"))
    stream = BinaryWriter(inner, "m:a.txt")
    with pytest.raises(StorageFullError, match=r"m:a\.txt.*writing"):
        stream.write(b"x" * 1_000_000)
    inner.write_error = None
    # Whether closing says it again is open; that it publishes nothing is not.
    with contextlib.suppress(StorageError):
        stream.close()
    assert stream.closed
    assert inner.ends == ["aborted"]


def test_a_buffer_that_cannot_be_flushed_at_the_end_aborts():
    inner, told = Recorder(write_error=OSError(errno.EIO, "broken")), []
    stream = BinaryWriter(inner, "m:a.txt", told.append)
    stream.write(b"small")
    with pytest.raises(StorageIOError, match=r"m:a\.txt"):
        stream.close()
    assert (inner.ends, told) == (["aborted"], [])


def test_an_error_of_the_commit_is_translated_and_aborts():
    inner, told = Recorder(commit_error=ConnectionResetError("gone")), []
    stream = BinaryWriter(inner, "m:a.txt", told.append)
    stream.write(b"x")
    with pytest.raises(StorageError, match=r"m:a\.txt.*writing"):
        stream.close()
    assert (inner.ends, told) == (["aborted"], [])


def test_an_error_of_the_abort_is_translated():
    stream = BinaryWriter(Recorder(abort_error=OSError(errno.EIO, "broken")), "m:a.txt")
    with pytest.raises(StorageIOError, match=r"m:a\.txt.*abandoning"):
        stream.abort()


def test_an_interrupted_write_is_not_translated_and_not_committed():
    inner = Recorder(write_error=KeyboardInterrupt())
    stream = BinaryWriter(inner, "m:a.txt")
    with pytest.raises(KeyboardInterrupt):
        stream.write(b"x" * 1_000_000)
    inner.write_error = None
    stream.abort()
    assert inner.ends == ["aborted"]


def test_a_dropped_handle_aborts_warns_and_logs(caplog):
    inner = Recorder()
    stream = BinaryWriter(inner, "m:a.txt")
    stream.write(b"abc")
    with caplog.at_level(logging.ERROR, "genro_storage"), pytest.warns(ResourceWarning) as caught:
        del stream
        gc.collect()
    assert "m:a.txt" in str(caught[0].message)
    assert "m:a.txt" in caplog.text
    assert inner.ends == ["aborted"]


def test_a_dropped_backend_handle_aborts_too():
    ends = []
    inner = Recorder()
    inner.ends = ends
    del inner
    gc.collect()
    assert ends == ["aborted"]


# -- updating -------------------------------------------------------------------------------------


def updater(published, content=b"0123456789", **options):
    def publish(stream):
        published.append(stream.read())

    handle = BinaryUpdater("m:a.txt", publish, **options)
    handle.load(io.BytesIO(content))
    return handle


def test_an_update_is_published_whole_at_the_end():
    published = []
    with updater(published) as stream:
        assert stream.read(3) == b"012"
        stream.write(b"xy")
        stream.flush()
        assert published == []
    assert published == [b"012xy56789"]


def test_an_update_in_append_mode_writes_at_the_end_only():
    published = []
    with updater(published, appends=True) as stream:
        stream.seek(0)
        stream.write(b"!")
    assert published == [b"0123456789!"]


def test_an_update_that_changed_nothing_publishes_nothing():
    published = []
    with updater(published) as stream:
        assert stream.read() == b"0123456789"
    assert published == []
    with updater(published, content=b"", fresh=True):
        pass
    assert published == [b""]


def test_a_failed_write_is_never_published_by_a_later_close():
    published = []
    stream = updater(published)
    stream.write(b"xy")
    # The kernel's own answer to a write beyond the limit: EFBIG.
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    old = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
        stream.seek(0, io.SEEK_END)
        with pytest.raises(StorageError, match=r"m:a\.txt"):
            stream.write(b"x" * 1_000_000)
            stream.flush()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, old)
    stream.close()
    assert published == []


def test_an_exception_inside_an_update_publishes_nothing():
    published = []
    with pytest.raises(KeyError), updater(published) as stream:
        stream.write(b"xy")
        raise KeyError
    assert published == []


def test_a_dropped_update_publishes_nothing_and_warns():
    published = []
    stream = updater(published)
    stream.write(b"xy")
    with pytest.warns(ResourceWarning, match=r"m:a\.txt"):
        del stream
        gc.collect()
    assert published == []


# -- text -----------------------------------------------------------------------------------------


def test_text_keeps_the_promise_of_the_binary_handle():
    inner = Recorder()
    with TextHandle(BinaryWriter(inner, "m:a"), encoding="utf-8", newline="\n") as stream:
        stream.write("é\n")
    assert (bytes(inner.data), inner.ends) == ("é\n".encode(), ["committed"])


def test_an_exception_inside_text_aborts():
    inner = Recorder()
    with pytest.raises(KeyError), TextHandle(BinaryWriter(inner, "m:a"), encoding="utf-8") as text:
        text.write("abc")
        raise KeyError
    assert inner.ends == ["aborted"]


def test_text_that_cannot_be_encoded_is_not_half_written():
    inner = Recorder()
    with (
        pytest.raises(UnicodeEncodeError),
        TextHandle(BinaryWriter(inner, "m:a"), encoding="ascii") as text,
    ):
        text.write("fine\n")
        text.write("é")
    assert inner.ends == ["aborted"]


def test_reading_text_needs_no_warning_when_it_is_dropped(recwarn):
    stream = TextHandle(open_reader(io.BytesIO(b"abc"), "m:a"), encoding="utf-8")
    assert stream.read() == "abc"
    stream.abort()
    assert stream.closed
    del stream
    gc.collect()
    assert not [warning for warning in recwarn if "dropped" in str(warning.message)]


# -- where the content is the path ------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["wb", "w", "w+b", "w+"])
def test_the_new_path_is_known_after_closing(mode):
    with StorageManager() as storage:
        storage.configure([{"name": "b", "type": "base64"}])
        node = storage.node("b:")
        stream = node.open(mode)
        stream.write(b"abc" if "b" in mode else "abc")
        assert stream.new_path is None
        stream.close()
        assert node.path == "YWJj"
        if mode == "wb":
            assert stream.new_path == "YWJj"


# -- who else may end a handle ---------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # Python 3.12 in threads
@pytest.mark.parametrize("mode", ["wb", "w", "r+b", "r+", "ab", "a+b"])
def test_a_forked_child_that_ends_does_not_end_its_parents_write(tmp_path, mode):
    (tmp_path / "f").write_bytes(b"old")
    with StorageManager() as storage:
        storage.configure([{"name": "disk", "type": "local", "path": str(tmp_path)}])
        text = "b" not in mode
        stream = storage.node("disk:f").open(mode)
        stream.write("new" if text else b"new")
        child = os.fork()
        if child == 0:
            del stream
            gc.collect()
            os._exit(0)
        os.waitpid(child, 0)
        stream.close()
        expected = b"oldnew" if "a" in mode else b"new"
        assert (tmp_path / "f").read_bytes() == expected
        assert os.listdir(tmp_path) == ["f"]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::ResourceWarning")  # a handle that nobody got is dropped
@pytest.mark.parametrize("steps", range(1, 60, 2))
def test_an_interrupt_while_opening_leaves_the_old_content(tmp_path, steps):
    (tmp_path / "f").write_bytes(b"old")
    with StorageManager() as storage:
        storage.configure([{"name": "disk", "type": "local", "path": str(tmp_path)}])
        node = storage.node("disk:f")
        seen = [0]

        def interrupt(frame, event, _argument):
            if "genro_storage" in frame.f_code.co_filename:
                seen[0] += event == "line"
                if seen[0] == steps:
                    sys.settrace(None)
                    raise KeyboardInterrupt
            return interrupt

        sys.settrace(interrupt)
        try:
            with node.open("wb"):
                sys.settrace(None)
                raise KeyboardInterrupt
        except KeyboardInterrupt:
            pass
        finally:
            sys.settrace(None)
        gc.collect()
        assert (tmp_path / "f").read_bytes() == b"old"


@pytest.mark.parametrize("mount", ["disk", "ram"])
def test_a_refused_truncate_does_not_forget_what_was_written(tmp_path, mount):
    with StorageManager() as storage:
        storage.configure(
            [
                {"name": "disk", "type": "local", "path": str(tmp_path)},
                {"name": "ram", "type": "memory"},
            ]
        )
        node = storage.node(f"{mount}:f")
        node.write_bytes(b"old|")
        with node.open("ab") as stream:
            stream.write(b"precious")
            with pytest.raises(io.UnsupportedOperation):
                stream.truncate(3)
        assert node.read_bytes() == b"old|precious"


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("mode", ["wb", "w", "ab"])
def test_a_detached_handle_ends_quietly(tmp_path, mode):
    with StorageManager() as storage:
        storage.configure([{"name": "disk", "type": "local", "path": str(tmp_path)}])
        below = storage.node("disk:f").open(mode).detach()
        below.close()
        gc.collect()
        with storage.node("disk:f").open("r+b") as stream, pytest.raises(io.UnsupportedOperation):
            stream.detach()
