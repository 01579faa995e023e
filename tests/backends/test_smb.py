"""What is particular to shares: sessions, names, links, errors in words, bounds."""

from __future__ import annotations

import pytest

from tests.services.base import running
from tests.services.interrupted import InterruptedTransfers
from tests.services.smb import Samba

pytestmark = pytest.mark.services


@pytest.fixture(scope="module")
def mortal(tmp_path_factory):
    """A server that tests may stop."""
    yield from running(Samba, tmp_path_factory)


@pytest.mark.slow
class TestSmbInterrupted(InterruptedTransfers):
    @pytest.fixture
    def service(self, mortal):
        return mortal

    def config(self, service, port):
        return service.mount(port=port)
