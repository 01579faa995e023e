"""docker-compose.yml and the variables that lead the tests to it say the same."""

from __future__ import annotations

import json
import secrets
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


#: The fixture that the conformance suite and the matrix ask for a place on each server.
PLACES = {
    "s3": "s3_mount",
    "azure": "azure_mount",
    "gcs": "gcs_mount",
    "sftp": "sftp_place",
    "smb": "smb_place",
    "webdav": "webdav_place",
}


@pytest.fixture
def far(request, tmp_path):
    """The mount of a server that the tests would not use by themselves, and where it begins."""
    kind = request.param
    if kind in ("s3", "azure", "gcs"):  # their places need no making
        where = "prefix" if kind == "s3" else "base_path"
        return {**MOUNTS[kind], where: "far"}, where
    if kind == "sftp":
        return request.getfixturevalue("sshd").mount(tmp_path), "path"
    if kind == "smb":
        samba = request.getfixturevalue("samba")
        (samba.data / "fa r").mkdir(exist_ok=True)
        return samba.mount(path="fa r"), "path"
    return request.getfixturevalue("wsgidav").mount(secrets.token_hex(8)), "url"


@pytest.mark.services
@pytest.mark.parametrize(
    ("kind", "far"), [(kind, kind) for kind in sorted(MOUNTS)], indirect=["far"]
)
def test_the_tests_go_where_the_variable_says(kind, far, monkeypatch, request):
    config, where = far
    monkeypatch.setenv(f"GENRO_STORAGE_TEST_{kind.upper()}", json.dumps(config))
    place = request.getfixturevalue(PLACES[kind])
    above, _, below = place[where].rpartition("/")
    assert above == config[where]
    assert below
    assert {**place, where: config[where]} == config
    if kind not in ("s3", "azure", "gcs"):
        with StorageManager() as storage:
            storage.configure([{"name": "m", **place}])
            assert storage.node("m:").children() == []
