"""WebDAV servers that die, freeze and come back."""

from __future__ import annotations

import pytest

from tests.services.interrupted import InterruptedTransfers
from tests.services.webdav import PASSWORD, USER, Apache, Wsgidav, run_apache

from tests.services.base import running  # isort: skip

pytestmark = [pytest.mark.services, pytest.mark.slow]


@pytest.fixture(scope="module")
def mortal_apache(tmp_path_factory):
    yield from run_apache(Apache, tmp_path_factory)


@pytest.fixture(scope="module")
def mortal_wsgidav(tmp_path_factory):
    yield from running(Wsgidav, tmp_path_factory)


class Interrupted(InterruptedTransfers):
    """Each test in a directory of its own."""

    commit = "move"

    @pytest.fixture(autouse=True)
    def place(self, service, request):
        self._place = request.node.name.replace("[", "-").replace("]", "")
        service.fresh(self._place)

    def config(self, service, port):
        return {
            "type": "webdav",
            "url": f"http://127.0.0.1:{port}/{self._place}",
            "username": USER,
            "password": PASSWORD,
            "commit": self.commit,
        }


class TestApacheInterrupted(Interrupted):
    commit = "put"

    @pytest.fixture
    def service(self, mortal_apache):
        return mortal_apache


class TestWsgidavInterrupted(Interrupted):
    @pytest.fixture
    def service(self, mortal_wsgidav):
        return mortal_wsgidav
