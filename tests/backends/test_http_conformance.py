"""Web servers keep the contract of a backend that can be read."""

from __future__ import annotations

import pytest

from genro_storage.testing import BackendConformance, Ground
from genro_storage.testing.capability import CapabilityConformance
from genro_storage.testing.concurrency import ConcurrencyConformance
from genro_storage.testing.errors import ErrorConformance
from genro_storage.testing.listing import ListingConformance
from genro_storage.testing.reading import ReadingConformance

pytestmark = pytest.mark.services


class _WebServer(Ground):
    """Content is put into the document root, past the server."""

    def place(self, server, location="", **options):
        self.directory = server.fresh()
        url = f"http://127.0.0.1:{server.port}{location}/{self.directory.name}"
        return {"type": "http", "base_url": url, "listing": True, **options}

    def put(self, node, data):
        file = self.directory / node.path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
        return node


class _WhatServersDo(
    ReadingConformance, ListingConformance, ErrorConformance, ConcurrencyConformance
):
    """Without what is refused before a server hears of it, which one server shows for all."""


class TestNginx(_WebServer, BackendConformance):
    @pytest.fixture
    def mount_config(self, nginx):
        return self.place(nginx, "/html")


class TestNginxJson(_WebServer, ReadingConformance, ListingConformance):
    @pytest.fixture
    def mount_config(self, nginx):
        return self.place(nginx, "/json")


class TestNginxWithoutListings(
    _WebServer, ReadingConformance, ErrorConformance, CapabilityConformance
):
    @pytest.fixture
    def mount_config(self, nginx):
        return self.place(nginx, "/quiet", listing=False)


class TestNginxWithoutRanges(_WebServer, ReadingConformance):
    @pytest.fixture
    def mount_config(self, nginx):
        return self.place(nginx, "/whole", listing=False)


class TestApache(_WebServer, _WhatServersDo):
    @pytest.fixture
    def mount_config(self, apache_http):
        return self.place(apache_http, "/fancy")


class TestPython(_WebServer, _WhatServersDo):
    @pytest.fixture
    def mount_config(self, python_http):
        return self.place(python_http)
