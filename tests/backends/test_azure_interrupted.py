"""A container whose server dies, or is silent, in the middle of a transfer."""

from __future__ import annotations

from typing import Any

import pytest

from tests.services.azure import AzuriteOnDisk
from tests.services.base import running
from tests.services.interrupted import InterruptedTransfers

pytestmark = [pytest.mark.services, pytest.mark.slow]


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    yield from running(AzuriteOnDisk, tmp_path_factory)


class TestAzureInterrupted(InterruptedTransfers):
    size = 40 * 1024 * 1024

    @pytest.fixture
    def service(self, own):
        return own

    def config(self, service: Any, port: int) -> dict[str, Any]:
        return {**service.mount(port), "base_path": "in terrupted"}

    @staticmethod
    def _blackout(service: Any, cable: Any) -> None:
        # azurite writes its index to the disk every five seconds and when it is ended: killed, it
        # would forget what the test has stored before.
        cable.cut()
        service.stop()
