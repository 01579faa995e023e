"""GitHub's stand-in, stopped in the middle of what it is asked for, and started again."""

from __future__ import annotations

import pytest

from tests.services.github import ORG, TOKEN, GithubServer
from tests.services.interrupted import InterruptedTransfers
from tests.support.git_repositories import commit

pytestmark = pytest.mark.services


class TestGithubInterrupted(InterruptedTransfers):
    @pytest.fixture
    def service(self, tmp_path_factory):
        server = GithubServer(tmp_path_factory.mktemp("github"))
        server.start()
        self.name, self.repository = server.new_repository()
        yield server
        self.repository.free()
        server.stop()

    def config(self, service, port):
        base = f"http://127.0.0.1:{port}/api/v3"
        return {"type": "github", "org": ORG, "repo": self.name, "base_url": base, "token": TOKEN}

    def seed(self, service, storage, path, data):
        commit(self.repository, {path: data})
