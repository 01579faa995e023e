"""Commits of a local repository keep the contract of a backend that only reads."""

from __future__ import annotations

from typing import ClassVar

import pytest

from genro_storage.testing import BackendConformance, Ground
from genro_storage.testing.listing import ListingConformance
from genro_storage.testing.reading import ReadingConformance
from tests.support.git_repositories import commit, make_repository


class ReadRepository(Ground):
    bare: ClassVar[bool] = True

    @pytest.fixture
    def mount_config(self, tmp_path):
        self.repository = make_repository(tmp_path / "repository", bare=self.bare)
        yield {"type": "git", "path": str(tmp_path / "repository")}
        self.repository.free()

    def put(self, node, data):
        commit(self.repository, {node.path: data})
        return node


class TestBareRepository(ReadRepository, BackendConformance):
    pass


@pytest.mark.slow
class TestRepositoryWithAWorkingTree(ReadRepository, ReadingConformance, ListingConformance):
    bare: ClassVar[bool] = False
