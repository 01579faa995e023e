"""What holds for every row of the registry: lazy, bounded, honest about what must be installed."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from genro_storage import StorageManager
from genro_storage.backends.remote import NetworkOptions
from genro_storage.registry import _BUILT_IN
from tools.generate_docs import samples

PYPROJECT = Path(__file__).resolve().parent.parent / "pyproject.toml"
ROWS = {row.name: row for row in _BUILT_IN}
#: Every package that speaks to a storage, and fsspec, which brings its own share of them.
SDKS = {
    *("s3fs", "aiobotocore", "botocore", "gcsfs", "google", "adlfs", "azure", "obstore"),
    *("aiohttp", "httpx", "requests", "smbprotocol", "smbclient", "paramiko", "webdav4"),
    *("libarchive", "pygit2", "tenacity", "urllib3", "msal"),
}
#: The module without which a row cannot work.
NEEDED = {
    "s3": "s3fs",
    "gcs": "requests",
    "azure": "azure.storage.blob",
    "http": "urllib3",
    "smb": "smbprotocol",
    "sftp": "paramiko",
    "webdav": "httpx",
    "libarchive": "libarchive",
    "git": "pygit2",
    "github": "httpx",
}
REMOTE = ("s3", "gcs", "azure", "http", "smb", "sftp", "webdav", "github")

_CONFIGURE = """
import json, sys
connected = []
def watch(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "subprocess.Popen", "os.system"):
        connected.append([event, repr(arguments[-1])])
sys.addaudithook(watch)
from genro_storage import StorageManager
storage = StorageManager()
storage.configure(json.loads(sys.argv[1]))
node = storage.node("m:a/b.txt")
str(node.capabilities), repr(node), repr(storage), node.parent
print(json.dumps({"modules": sorted({name.partition(".")[0] for name in sys.modules}),
                  "connected": connected}))
"""


def child(code, *arguments):
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def config(request, tmp_path):
    """The smallest mount of a type, as the documents show it."""
    return {"name": "m", "type": request.param, **samples(tmp_path)[request.param]}


def test_every_row_has_an_example(tmp_path):
    assert set(samples(tmp_path)) == set(ROWS)


@pytest.mark.slow
@pytest.mark.parametrize("config", sorted(ROWS), indirect=True)
def test_configuring_opens_no_connection_and_imports_no_client(config):
    seen = child(_CONFIGURE, json.dumps([config]))
    assert seen["connected"] == []
    loaded = set(seen["modules"]) & SDKS
    if config["type"] != "fsspec":
        assert loaded == set()


_USE = """
import json, sys
sys.modules[sys.argv[2]] = None
from genro_storage import StorageManager, StorageMissingExtraError
storage = StorageManager()
storage.configure(json.loads(sys.argv[1]))
said = []
node = storage.node("m:a.txt")
for step in (lambda: node.read_bytes(), lambda: node.exists, lambda: node.size):
    try:
        step()
    except StorageMissingExtraError as error:
        said.append(str(error))
health = storage.check()[0]
print(json.dumps({"said": said, "state": health.state, "reason": health.reason}))
"""


@pytest.mark.slow
@pytest.mark.parametrize("config", sorted(NEEDED), indirect=True)
def test_a_missing_package_is_told_at_the_first_use_with_what_to_install(config):
    row = ROWS[config["type"]]
    seen = child(_USE, json.dumps([config]), NEEDED[row.name])
    assert len(seen["said"]) == 3
    for text in (*seen["said"], seen["reason"]):
        assert f'pip install "genro-storage[{row.extra}]"' in text
    assert all("m:" in text or "'m'" in text for text in seen["said"])
    assert seen["state"] == "unusable"


@pytest.mark.parametrize("name", REMOTE)
def test_every_row_behind_a_network_has_the_same_bounds(name):
    options = ROWS[name].load_options()
    assert issubclass(options, NetworkOptions)
    for field in ("timeout", "retries"):
        assert options.model_fields[field].default == NetworkOptions.model_fields[field].default


@pytest.mark.parametrize("name", [name for name, row in ROWS.items() if row.extra])
def test_the_extra_of_a_row_exists_and_all_holds_it(name):
    extras = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"][
        "optional-dependencies"
    ]
    extra = ROWS[name].extra
    assert extras[extra]
    assert any(extra in re.split(r"[\[\],]", each) for each in extras["all"])


@pytest.mark.parametrize("config", sorted(ROWS), indirect=True)
def test_a_manager_with_the_mount_can_be_configured_and_closed_twice(config):
    for _ in range(2):
        with StorageManager() as storage:
            storage.configure([config])
            storage.configure([config])
