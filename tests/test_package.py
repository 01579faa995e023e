"""What `import genro_storage` offers, and what it does not drag in."""

from __future__ import annotations

import importlib.metadata
import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import genro_storage

ROOT = Path(__file__).resolve().parent.parent

# Each is imported by the first thing that needs it, never by the package itself.
LAZY = {
    *("fsspec", "pydantic", "pydantic_core", "yaml", "asyncer", "anyio"),
    *("typer", "rich", "click", "pytest"),
    *("obstore", "s3fs", "gcsfs", "adlfs", "botocore", "aiobotocore", "boto3", "aiohttp", "httpx"),
    *("azure", "google", "msal", "requests", "urllib3", "tenacity", "cryptography"),
    *("paramiko", "smbprotocol", "smbclient", "webdav4", "libarchive", "pygit2"),
    *("werkzeug", "pyvips", "dask", "distributed"),
}


def modules_after(statement: str) -> set[str]:
    """The top-level modules of a fresh interpreter after one statement."""
    script = f"{statement}\nimport sys, json\nprint(json.dumps(sorted(sys.modules)))"
    # A measured interpreter would import what coverage needs.
    env = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    done = subprocess.run(
        [sys.executable, "-c", script], env=env, text=True, stdout=subprocess.PIPE, check=True
    )
    return {name.partition(".")[0] for name in json.loads(done.stdout)}


@pytest.mark.parametrize(
    "statement",
    [
        "import genro_storage",
        "from genro_storage import StorageError, StorageNotFoundError",
        "import genro_storage.exceptions, genro_storage.paths, genro_storage.info",
        "import genro_storage.mount, genro_storage.registry, genro_storage.doctor",
        "from genro_storage import StorageManager; StorageManager().get_mount_names()",
    ],
)
def test_importing_the_package_imports_no_dependency(statement):
    assert modules_after(statement) & LAZY == set()


def test_the_check_of_lazy_imports_can_fail():
    assert modules_after("import yaml, fsspec") & LAZY == {"yaml", "fsspec"}


def test_all_is_sorted_and_every_name_is_there():
    assert genro_storage.__all__ == sorted(set(genro_storage.__all__))
    for name in genro_storage.__all__:
        assert getattr(genro_storage, name) is not None, name


def test_dir_shows_the_lazy_names():
    assert set(genro_storage.__all__) <= set(dir(genro_storage))


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no_such_name"):
        genro_storage.no_such_name


def test_the_names_of_the_predecessor_are_public():
    # Its two asynchronous classes come with the asynchronous mirror.
    assert {
        *("__version__", "StorageManager", "StorageNode", "SkipStrategy"),
        *("StorageError", "StorageNotFoundError", "StoragePermissionError", "StorageConfigError"),
    } <= set(genro_storage.__all__)


def test_the_version_stands_in_one_place():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert genro_storage.__version__ == importlib.metadata.version("genro-storage")
    assert genro_storage.__version__ == project["version"]


def test_the_types_are_shipped():
    assert (Path(genro_storage.__file__).parent / "py.typed").exists()


def test_every_promised_extra_exists():
    extras = set(importlib.metadata.metadata("genro-storage").get_all("Provides-Extra") or ())
    assert {
        *("s3", "gcs", "azure", "http", "smb", "sftp", "webdav", "libarchive", "git", "async"),
        *("cli", "web", "images", "attachments", "docs", "all", "dev"),
    } <= extras


@pytest.mark.parametrize(
    "file",
    [
        path
        for folder in ("genro_storage", "tests", "tools")
        for path in (ROOT / folder).rglob("*.py")
    ],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_no_file_is_longer_than_a_reader_can_hold(file):
    # A file of tests is a list: it may be longer than code, where one thing leads to another.
    limit = 450 if file.is_relative_to(ROOT / "genro_storage") else 750
    assert len(file.read_text(encoding="utf-8").splitlines()) <= limit
