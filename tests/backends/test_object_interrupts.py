"""Who presses Ctrl-C twice does not wait for the threads that are still on their way."""

from __future__ import annotations

import os
import signal
import threading
import time
from urllib.parse import urlsplit

import pytest

from genro_storage import StorageManager
from genro_storage.backends.object_stores.source import Source
from tests.services.cable import Cable
from tests.services.interrupted import within
from tests.support.peers import PEERS

_MIB = 1024 * 1024


@pytest.fixture
def ctrl_c():
    """Interrupt the test itself, from another thread."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    main = threading.main_thread().ident
    assert main == threading.get_ident()
    yield lambda: signal.pthread_kill(main, signal.SIGINT)
    signal.signal(signal.SIGINT, before)


def _workers():
    names = ("genro-storage_", "genro-storage-download")
    return [each for each in threading.enumerate() if each.name.startswith(names)]


@pytest.mark.services
@pytest.mark.parametrize(
    ("kind", "step"),
    [(kind, step) for kind in ("s3", "gcs", "azure") for step in ("download", "copy_to")],
)
def test_a_download_that_was_interrupted_twice_writes_nowhere_any_more(
    kind, step, request, tmp_path, ctrl_c
):
    release, left = threading.Event(), threading.Event()

    def hold():
        """One of several pieces is late: it comes when the caller has gone."""
        ctrl_c()
        time.sleep(0.5)
        if not left.is_set():
            ctrl_c()
        release.wait(20)

    config = PEERS[kind].target(request, tmp_path)
    url, target = config["endpoint_url"], tmp_path / "target"
    port = urlsplit(url).port
    with StorageManager() as storage, Cable(port) as cable:
        wired = {**config, "endpoint_url": url.replace(f":{port}", f":{cable.port}")}
        storage.add_mount({"name": "direct", **config})
        storage.add_mount({**wired, "name": "wired", "timeout": 20, "retries": 0})
        storage.node("direct:big.bin").write_bytes(b"of the object..." * (40 * _MIB // 16))
        storage.add_mount({"name": "disk", "type": "local", "path": str(tmp_path)})
        node = storage.node("wired:big.bin")
        steps = {
            "download": lambda: node._mount.download("big.bin", target),
            "copy_to": lambda: node.copy_to("disk:target"),
        }
        cable.after(16 * _MIB, hold)
        try:
            with pytest.raises(KeyboardInterrupt), within(15):
                steps[step]()
        finally:
            left.set()
        assert not cable.is_due
        assert step == "download" or not list(tmp_path.glob("*target*"))
        # The next attempt, and files that get the numbers of the descriptors that are free again.
        target.write_bytes(b"another attempt")
        others = [(tmp_path / f"other{number}").open("wb") for number in range(8)]
        release.set()
        for worker in _workers():
            worker.join(20)
        time.sleep(0.3)
        for other in others:
            other.close()
    assert {each.name: each.stat().st_size for each in tmp_path.glob("other*")} == {
        f"other{number}": 0 for number in range(8)
    }
    assert target.read_bytes() == b"another attempt"


def test_a_file_is_not_closed_under_who_reads_it(tmp_path, monkeypatch):
    """Otherwise its number could be another file's, whose content would be sent."""
    (tmp_path / "a").write_bytes(b"content")
    read = os.pread

    def late(*arguments):
        closing.start()
        closing.join(0.2)
        return read(*arguments)

    source = Source(tmp_path / "a")
    closing = threading.Thread(target=source.__exit__)
    monkeypatch.setattr(os, "pread", late)
    assert source.piece(0, 7) == b"content"
    closing.join(10)
    with pytest.raises(ValueError, match="closed"):
        source.piece(0, 7)
