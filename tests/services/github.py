"""A server of our own that answers as GitHub's REST API is documented to (version 2022-11-28).

It shows the bare repositories below its ``repositories`` directory, which tests commit to.
"""

from __future__ import annotations

import importlib.util
import json
import sys
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from .base import Service, find_program, running

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pygit2

__all__ = ["ORG", "TOKEN", "GithubServer", "github", "github_server"]

ORG = "acme"
TOKEN = "ghp_the-right-one"


class GithubServer(Service):
    """The stand-in. ``control`` tells it how to misbehave, ``requests`` what it was asked."""

    name: ClassVar[str] = "the GitHub stand-in"
    install: ClassVar[str] = "pip install cheroot pygit2; apt-get install git"

    @classmethod
    def missing(cls) -> str | None:
        for module in ("cheroot", "pygit2"):
            if importlib.util.find_spec(module) is None:
                return f"the module {module} is not installed"
        return None if find_program("git") else "git is not installed"

    def command(self) -> list[str]:
        program = Path(__file__).with_name("github_app.py")
        # -P: the directory of the program has modules named as some of the standard library.
        return [sys.executable, "-P", str(program), str(self.port), str(self.directory)]

    @property
    def url(self) -> str:
        """What a mount's ``base_url`` is to be."""
        return f"http://127.0.0.1:{self.port}/api/v3"

    def new_repository(self) -> tuple[str, pygit2.Repository]:
        """A repository without commits, and its name below ``ORG``."""
        from tests.support.git_repositories import make_repository

        name = f"r-{uuid.uuid4().hex}"
        return name, make_repository(self.directory / "repositories" / ORG / f"{name}.git")

    def control(self, **settings: Any) -> None:
        """Misbehave from now on as told; without arguments, behave."""
        target = self.directory / "control.json"
        beside = target.with_suffix(".new")
        beside.write_text(json.dumps(settings))
        beside.replace(target)

    def requests(self) -> list[dict[str, Any]]:
        """What was asked since the last call: ``path``, ``status`` and some headers."""
        log = self.directory / "requests.jsonl"
        if not log.exists():
            return []
        lines = log.read_text().splitlines()
        log.write_text("")
        return [json.loads(line) for line in lines]


@pytest.fixture(scope="session")
def github_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GithubServer]:
    yield from running(GithubServer, tmp_path_factory)


@pytest.fixture
def github(github_server: GithubServer) -> Iterator[GithubServer]:
    """The same server, which behaves, and whose log is empty."""
    github_server.control()
    github_server.requests()
    yield github_server
    github_server.control()
