"""The connection under a share: interrupted, forgotten, answered by something else."""

from __future__ import annotations

import contextlib
import gc
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid

import pytest

from genro_storage import StorageConnectionError, StorageError, StorageManager
from genro_storage.backends.smb.wire import _Wire
from tests.services.cable import Cable
from tests.services.interrupted import within

pytestmark = pytest.mark.services

MIB = 1024 * 1024


@pytest.fixture
def storage():
    with StorageManager() as manager:
        yield manager


@pytest.fixture
def place(samba):
    """A fresh directory of the server, by its name."""
    name = f"here-{uuid.uuid4().hex}"
    (samba.data / name).mkdir()
    return name


def links_of(node):
    """The connections of a node's mount."""
    return node._mount.bind()._at("")[0]._remote._opened.get()._links


# -- interrupted ------------------------------------------------------------------------------------


class _Interrupt(BaseException):
    """As a program raises that has limited its own time."""


@contextlib.contextmanager
def alarm(seconds):
    """Raise ``_Interrupt`` in this thread after so many seconds."""

    def ring(number, frame):
        raise _Interrupt

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


class _SlowLine(Cable):
    """Some five MiB a second."""

    def _forward(self, source, sink) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(16_384):
                time.sleep(0.003)
                sink.sendall(data)
        for each in (source, sink):
            each.close()


@pytest.fixture
def slow(samba, storage, place):
    """The root of a mount behind a slow line."""
    with _SlowLine(samba.port) as cable:
        options = {"path": place, "port": cable.port, "timeout": 5, "retries": 0}
        storage.add_mount({"name": "slow", **samba.mount(**options)})
        yield storage.node("slow:")
        storage.close()


def test_a_stream_goes_on_after_an_interrupt_where_it_says_that_it_is(samba, slow, place):
    data = os.urandom(4 * MIB)
    (samba.data / place / "big.bin").write_bytes(data)
    interrupts = 0
    with (slow / "big.bin").open("rb") as stream:
        # Again from its beginning where the machine was too busy to be interrupted often enough.
        for _ in range(10):
            stream.seek(0)
            stream.read(300_000)  # from here on it reads ahead
            while (here := stream.tell()) < len(data) - MIB:
                with contextlib.suppress(_Interrupt), alarm(0.15):
                    assert stream.read(MIB) == data[here : here + MIB]
                    continue
                interrupts += 1
                here = stream.tell()
                assert stream.read(200_000) == data[here : here + 200_000]
            if interrupts > 1:
                break
    assert interrupts > 1


def test_an_interrupted_addition_leaves_what_was_there_and_nothing_locked(samba, slow, place):
    path = samba.data / place / "log.txt"
    path.write_bytes(b"old")
    node = slow / "log.txt"
    assert node.read_bytes() == b"old"
    for seconds in (0.2, 0.4, 0.6):
        with pytest.raises(_Interrupt), alarm(seconds), node.open("ab") as stream:
            stream.write(bytes(6 * MIB))
        assert path.read_bytes() == b"old"
    for link in links_of(node).values():
        assert link._connection.outstanding_requests == {}
        assert link._session.open_table == {}
    with node.open("ab") as stream:
        stream.write(b" and new")
    assert path.read_bytes() == b"old and new"


def test_a_file_that_was_being_opened_is_closed_by_the_next_call(samba, storage, place):
    (samba.data / place / "a.txt").write_bytes(b"old")
    storage.add_mount({"name": "mine", **samba.mount(path=place)})
    node = storage.node("mine:a.txt")
    assert node.exists
    link = links_of(node)[False]
    raw = link._connection.receive

    def interrupted(*args, **kwargs):
        link._connection.receive = raw
        raise _Interrupt

    link._connection.receive = interrupted
    with pytest.raises(_Interrupt), node.open("ab") as stream:
        stream.write(b" and new")
    # Where it stayed open, nobody else could write to it.
    assert node.exists
    assert link._session.open_table == {}
    assert link._connection.outstanding_requests == {}
    with node.open("ab") as stream:
        stream.write(b" and new")
    assert (samba.data / place / "a.txt").read_bytes() == b"old and new"


def test_a_message_that_was_interrupted_is_the_last_one_of_its_connection(samba, storage, place):
    """The server would take the beginning of the next one for the rest of it."""
    storage.add_mount({"name": "mine", **samba.mount(path=place)})
    node = storage.node("mine:a.txt")
    assert not node.exists
    link = links_of(node)[False]
    wire = link._connection.transport
    raw = wire._sock._socket.send

    class Short:
        def __getattr__(self, name):
            return getattr(wire_socket, name)

        def send(self, data):
            raw(data[: len(data) // 2])
            raise _Interrupt

    wire_socket, wire._sock._socket = wire._sock._socket, Short()
    with pytest.raises(_Interrupt):
        node.write_bytes(b"x")
    assert not link.is_alive
    node.write_bytes(b"y")
    assert node.read_bytes() == b"y"


# -- forgotten --------------------------------------------------------------------------------------


def _workers() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name.startswith("msg_worker")}


def test_a_manager_that_nobody_closes_leaves_no_connection(samba, place):
    (samba.data / place / "a.txt").write_bytes(b"there")
    before = _workers()
    for _ in range(3):
        manager = StorageManager()
        manager.add_mount({"name": "mine", **samba.mount(path=place)})
        stream = manager.node("mine:a.txt").open("rb")
        assert manager.node("mine:a.txt").exists
        del manager
        gc.collect()
        assert stream.read() == b"there"  # needs the connection still
        assert len(_workers() - before) >= 1
        stream.close()
        del stream
        gc.collect()
        deadline = time.monotonic() + 30
        while _workers() - before:
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_a_stream_is_forgotten_while_its_connection_sends(samba, storage, place):
    """The garbage collector closes it at any moment, also between two steps of another call."""
    (samba.data / place / "a.txt").write_bytes(bytes(MIB))
    storage.add_mount({"name": "mine", **samba.mount(path=place)})
    node = storage.node("mine:a.txt")
    streams = [node._mount.open_read("a.txt")]
    streams[0].read(10)
    connection = links_of(node)[True]._connection
    available = connection._available

    def collecting() -> int:
        streams.clear()
        return available()

    connection._available = collecting
    done = threading.Thread(target=lambda: node._mount.open_read("a.txt").close(), daemon=True)
    done.start()
    done.join(20)
    connection._available = available
    assert not done.is_alive()
    assert node._mount.open_read("a.txt").read(1) == b"\0"
    assert links_of(node)[True]._session.open_table == {}


# -- no server of this kind -------------------------------------------------------------------------

_ANSWERS = {
    "a banner": b"SSH-2.0-OpenSSH_9.2\r\n",
    "a huge length": b"\xff\xff\xff\xff",
    "nothing": b"\0\0\0\0",
    "too little": b"\0\0\0\4abcd",
    "zeros": b"\0\0\0\x40" + bytes(64),
    "noise": b"\0\0\0\x40" + bytes(range(64)),
    "SMB 1": b"\0\0\0\x40\xffSMB" + bytes(60),
    "an empty SMB 2": b"\0\0\0\x40\xfeSMB\x40\0" + bytes(58),
}


@contextlib.contextmanager
def answering(data, *, after):
    """A server that says this and no more; ``after`` it has been asked."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    threading.Thread(target=answer, args=(connection,), daemon=True).start()

        def answer(connection) -> None:
            with connection, contextlib.suppress(OSError):
                if after:
                    connection.recv(65_536)
                connection.sendall(data)
                while connection.recv(65_536):
                    pass

        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("after", [False, True], ids=["at once", "when asked"])
@pytest.mark.parametrize("answer", _ANSWERS)
def test_what_is_no_smb_server_is_called_so(storage, answer, after, capfd):
    with answering(_ANSWERS[answer], after=after) as port:
        storage.add_mount(
            {
                "name": "odd",
                "type": "smb",
                "host": "127.0.0.1",
                "port": port,
                "share": "s",
                "username": "u",
                "password": "p",
                "timeout": 5,
                "retries": 1,
            }
        )
        with within(30), pytest.raises(StorageConnectionError) as caught:
            storage.node("odd:a.txt").read_bytes()
        assert "as an SMB server does; check 'host' and 'port'" in str(caught.value)
        assert storage.check()[0].state == "unusable"
    storage.close()
    assert capfd.readouterr().err == ""


def test_a_wrong_answer_that_comes_before_the_question_was_sent_is_what_is_told(
    storage, monkeypatch
):
    """The receiving thread ends the connection, and the send finds it closed."""

    def late(wire, header):
        deadline = time.monotonic() + 10
        while wire.connected and time.monotonic() < deadline:
            time.sleep(0.001)
        sent(wire, header)

    sent = _Wire.send
    monkeypatch.setattr(_Wire, "send", late)
    with answering(_ANSWERS["a huge length"], after=False) as port:
        odd = {"name": "odd", "type": "smb", "host": "127.0.0.1", "port": port, "share": "s"}
        storage.add_mount({**odd, "username": "u", "password": "p", "timeout": 5, "retries": 1})
        with within(30), pytest.raises(StorageConnectionError) as caught:
            storage.node("odd:a.txt").read_bytes()
    assert "as an SMB server does; check 'host' and 'port'" in str(caught.value)


_MEMORY = """
import pathlib, socket, sys, threading
from genro_storage import StorageError, StorageManager

def serve():
    connection, _ = listener.accept()
    connection.sendall(b"SSH-2.0-OpenSSH_9.2")
    connection.recv(65536)
    connection.recv(65536)

with socket.create_server(("127.0.0.1", 0)) as listener, StorageManager() as storage:
    threading.Thread(target=serve, daemon=True).start()
    storage.add_mount({"name": "odd", "type": "smb", "host": "127.0.0.1", "share": "s",
        "port": listener.getsockname()[1], "username": "u", "password": "p", "timeout": 2,
        "retries": 0})
    try:
        storage.node("odd:a.txt").read_bytes()
    except StorageError:
        print(pathlib.Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of memory is read from /proc")
def test_what_another_server_says_is_not_taken_for_a_size():
    """'SSH-' would be more than a GiB."""
    done = subprocess.run(
        [sys.executable, "-c", _MEMORY],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    assert int(done.stdout) * 1024 < 256 * MIB


def test_a_process_with_very_many_open_files(samba, storage, place):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 4096:
        pytest.skip("this system allows too few")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 4096), hard))
    storage.add_mount({"name": "mine", **samba.mount(path=place)})
    node = storage.node("mine:a.txt")
    try:
        with contextlib.ExitStack() as stack:
            for _ in range(1100):
                stack.enter_context(open(os.devnull))
            node.write_bytes(b"x")
            with node.open("rb") as stream:
                assert stream.read() == b"x"
            storage.close()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_closing_under_the_hands_of_others_ends_in_errors_of_ours(samba, storage, place):
    storage.add_mount({"name": "mine", **samba.mount(path=place)})
    node = storage.node("mine:a.txt")
    node.write_bytes(bytes(MIB))
    wrong: list[BaseException] = []
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set():
            try:
                node.read_bytes()
            except StorageError:
                pass
            except BaseException as error:
                wrong.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    backend = node._mount.backend
    for _ in range(20):
        backend.close()
        time.sleep(0.02)
    stop.set()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    backend.close()
    assert wrong == []
