"""A server that dies in the middle of a transfer leaves whole files and no hanging program.

On rclone, which keeps its files on the disk: moto forgets everything when it ends.
"""

from __future__ import annotations

import pytest

from tests.services.base import running
from tests.services.interrupted import InterruptedTransfers
from tests.services.s3 import RcloneS3

pytestmark = pytest.mark.services


@pytest.fixture(scope="module")
def mortal(tmp_path_factory):
    yield from running(RcloneS3, tmp_path_factory)


class _OnRclone(InterruptedTransfers):
    @pytest.fixture
    def service(self, mortal):
        self.prefix = mortal.mount()["prefix"]
        return mortal

    def config(self, service, port):
        url = f"http://127.0.0.1:{port}"
        return {**service.mount(), "endpoint_url": url, "prefix": self.prefix}


class TestS3Interrupted(_OnRclone):
    """Up to 32 MiB an upload is one request."""


class TestLargeFilesInterrupted(_OnRclone):
    """And more are several."""

    size = 40 * 1024 * 1024

    test_configuring_connects_to_nothing = None
    test_a_server_that_is_gone = None
    test_a_server_that_is_silent = None
