"""SFTP servers that die or freeze in the middle of something."""

from __future__ import annotations

import pytest

from tests.services.base import running
from tests.services.interrupted import InterruptedTransfers
from tests.services.sftp import RcloneSftp, Sshd

pytestmark = pytest.mark.services


@pytest.fixture(scope="module")
def mortal_sshd(tmp_path_factory):
    yield from running(Sshd, tmp_path_factory)


@pytest.fixture(scope="module")
def mortal_rclone(tmp_path_factory):
    yield from running(RcloneSftp, tmp_path_factory)


class TestOpenSshInterrupted(InterruptedTransfers):
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
