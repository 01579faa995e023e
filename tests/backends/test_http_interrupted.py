"""Web servers that die, break off or fall silent."""

from __future__ import annotations

import pytest

from tests.services.base import running
from tests.services.http import Nginx, PythonServer
from tests.services.interrupted import InterruptedTransfers

pytestmark = [pytest.mark.services, pytest.mark.slow]


class _Interrupted(InterruptedTransfers):
    location = ""

    def config(self, service, port):
        url = f"http://127.0.0.1:{port}/{self.location}"
        return {"type": "http", "base_url": url, "listing": True}

    def seed(self, service, storage, path, data):
        (service.data / path).write_bytes(data)


class TestNginxInterrupted(_Interrupted):
    location = "html"

    @pytest.fixture
    def service(self, tmp_path_factory):
        yield from running(Nginx, tmp_path_factory)


class TestPythonInterrupted(_Interrupted):
    @pytest.fixture
    def service(self, tmp_path_factory):
        yield from running(PythonServer, tmp_path_factory)
