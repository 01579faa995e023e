"""SFTP servers that die or freeze in the middle of something."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from genro_storage import StorageError
from tests.services.base import running
from tests.services.interrupted import InterruptedTransfers, within
from tests.services.sftp import RcloneSftp, Sshd

pytestmark = pytest.mark.services


@pytest.fixture(scope="module")
def mortal_sshd(tmp_path_factory):
    yield from running(Sshd, tmp_path_factory)


@pytest.fixture(scope="module")
def mortal_rclone(tmp_path_factory):
    yield from running(RcloneSftp, tmp_path_factory)


class Silence(InterruptedTransfers):
    """A cable that swallows everything, in the middle of a transfer and while closing."""

    def test_an_upload_into_silence(self, storage, cable):
        target = storage.node("wired:big.bin")
        target.write_bytes(b"old")
        source = storage.node("disk:big.bin")
        source.write_bytes(bytes(4 * self.size))
        cable.after(self.size // 4, cable.mute)
        with pytest.raises(StorageError, match=r"wired:big\.bin"), within(self.bound):
            source.copy_to(target)
        assert storage.node("direct:big.bin").read_bytes() == b"old"
        with within(self.bound):
            storage.close()

    def test_a_download_out_of_silence(self, storage, cable):
        storage.node("direct:big.bin").write_bytes(bytes(self.size))
        cable.after(self.size // 4, cable.mute)
        source = storage.node("wired:big.bin")
        with (
            pytest.raises(StorageError, match=r"wired:big\.bin"),
            within(self.bound),
            source.open("rb") as stream,
        ):
            while stream.read(1 << 20):
                pass

    def test_many_threads_do_not_wait_one_after_the_other(self, service, storage):
        node = storage.node("direct:a.txt")

        def fail(_):
            with pytest.raises(StorageError, match="direct:"):
                node.read_bytes()

        with service.frozen(), within(self.bound), ThreadPoolExecutor(16) as pool:
            list(pool.map(fail, range(16)))


class TestOpenSshInterrupted(Silence):
    @pytest.fixture
    def service(self, mortal_sshd, tmp_path):
        (tmp_path / "root").mkdir()
        self.root = tmp_path / "root"
        return mortal_sshd

    def config(self, service, port):
        return {**service.mount(self.root), "port": port}


class TestRcloneInterrupted(InterruptedTransfers):
    @pytest.fixture
    def service(self, mortal_rclone):
        return mortal_rclone

    def config(self, service, port):
        return {**service.mount("/"), "port": port}
