"""Mounts of every kind that needs no server, and one that keeps versions."""

from __future__ import annotations

import pytest

from genro_storage import StorageManager
from tests.support.versioned import register_versioned

KINDS = ["local", "memory", "fsspec-local", "fsspec-memory"]


def entry(kind: str, name: str, root) -> dict:
    """The configuration of one empty mount."""
    path = root / name
    if kind == "local":
        path.mkdir()
        return {"name": name, "type": "local", "path": str(path)}
    if kind == "memory":
        return {"name": name, "type": "memory"}
    if kind == "fsspec-local":
        path.mkdir()
        return {"name": name, "type": "fsspec", "filesystem": "file", "path": str(path)}
    return {"name": name, "type": "fsspec", "filesystem": "memory", "path": f"{path}"}


@pytest.fixture
def manager(tmp_path):
    """A manager with one mount of each kind, named after it, and an ordinary ``other``."""
    storage = StorageManager()
    storage.configure([entry(kind, kind, tmp_path) for kind in KINDS])
    storage.configure([entry("local", "other", tmp_path), {"name": "b64", "type": "base64"}])
    yield storage
    storage.close()


@pytest.fixture(params=KINDS)
def mount(request):
    """The name of one mount after the other."""
    return request.param


@pytest.fixture
def versioned():
    """A manager with a versioned mount ``v``; ``.store`` is what is behind it."""
    register_versioned()
    storage = StorageManager()
    storage.configure([{"name": "v", "type": "versioned"}])
    storage.store = storage._table["v"].backend
    return storage
