"""Commits on GitHub keep the contract of a backend that only reads."""

from __future__ import annotations

import pytest

from genro_storage.testing import BackendConformance
from tests.services.github import ORG, TOKEN
from tests.support.git_repositories import commit

pytestmark = pytest.mark.services


class TestGithub(BackendConformance):
    @pytest.fixture
    def mount_config(self, github):
        name, self.repository = github.new_repository()
        yield {"type": "github", "org": ORG, "repo": name, "base_url": github.url, "token": TOKEN}
        self.repository.free()

    def put(self, node, data):
        commit(self.repository, {node.path: data})
        return node
