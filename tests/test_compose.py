"""docker-compose.yml and the variables that lead the tests to it say the same."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from genro_storage import StorageManager
from tools.compose_env import MOUNTS, PORTS

SERVICES = yaml.safe_load(
    (Path(__file__).resolve().parent.parent / "docker-compose.yml").read_text(encoding="utf-8")
)["services"]


def test_every_server_has_a_mount():
    assert set(MOUNTS) == set(PORTS) == set(SERVICES)


@pytest.mark.parametrize("kind", sorted(MOUNTS))
def test_the_mount_of_a_server_is_one_that_can_be_configured(kind):
    with StorageManager() as storage:
        storage.configure([{"name": "m", **MOUNTS[kind]}])


@pytest.mark.parametrize("kind", sorted(PORTS))
def test_the_port_is_published_on_this_machine_only(kind):
    published = SERVICES[kind]["ports"]
    assert all(port.startswith("127.0.0.1:") for port in published)
    assert f"127.0.0.1:{PORTS[kind]}" in [port.rpartition(":")[0] for port in published]
