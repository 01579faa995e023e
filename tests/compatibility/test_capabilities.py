"""The values: skip strategies, and capabilities with what each backend declares."""

from __future__ import annotations

import dataclasses
import os

import pytest

from genro_storage import BackendCapabilities, SkipStrategy


@pytest.mark.parametrize("name", ["never", "exists", "size", "hash", "custom"])
def test_strategies_equal_their_strings(name):
    assert SkipStrategy[name.upper()] == name
    assert isinstance(SkipStrategy(name), str)


def test_capabilities_keep_their_order_and_defaults():
    """Decision 8 (a declared capability works): append_mode is declared where it does."""
    defaults = {field.name: field.default for field in dataclasses.fields(BackendCapabilities)}
    expected = {
        **dict.fromkeys(["read", "write", "delete", "mkdir", "list_dir"], True),
        **dict.fromkeys(["versioning", "version_listing", "version_access", "metadata"], False),
        **dict.fromkeys(["presigned_urls", "public_urls"], False),
        "atomic_operations": True,
        **dict.fromkeys(["symbolic_links", "copy_optimization", "hash_on_metadata"], False),
        "append_mode": False,
        "seek_support": True,
        "readonly": False,
        "temporary": False,
    }
    kept = {name: default for name, default in defaults.items() if name in expected}
    assert list(kept.items()) == list(expected.items())


def test_capabilities_are_values():
    one = BackendCapabilities(versioning=True, readonly=True)
    assert one == BackendCapabilities(versioning=True, readonly=True)
    assert hash(one) == hash(BackendCapabilities(versioning=True, readonly=True))
    with pytest.raises(dataclasses.FrozenInstanceError):
        one.read = False
    assert "BackendCapabilities" in repr(one)
    assert "read=" in repr(one)


@pytest.mark.parametrize(
    ("flag", "text"),
    [
        ("versioning", "versioning"),
        ("metadata", "metadata"),
        ("presigned_urls", "presigned URLs"),
        ("copy_optimization", "server-side copy"),
        ("hash_on_metadata", "fast hashing"),
        ("symbolic_links", "symbolic links"),
        ("readonly", "read-only"),
        ("temporary", "temporary storage"),
    ],
)
def test_capabilities_read_as_words(flag, text):
    assert str(BackendCapabilities(**{flag: True})) == text
    assert str(BackendCapabilities()) == "basic file operations"
    assert str(BackendCapabilities(versioning=True, temporary=True)) == (
        "versioning, temporary storage"
    )


def flags(storage, mount):
    return {
        name
        for name, on in dataclasses.asdict(storage.node(f"{mount}:").capabilities).items()
        if on
    }


def test_what_each_backend_declares(storage):
    common = {"read", "seek_support"}
    writable = common | {"write", "delete", "mkdir", "list_dir", "atomic_operations"}
    local = writable | {"symbolic_links", "copy_optimization", "append_mode"}
    assert flags(storage, "disk") == (local if os.name != "nt" else local - {"symbolic_links"})
    assert flags(storage, "ram") == writable | {"copy_optimization", "append_mode", "temporary"}
    base64_flags = flags(storage, "b64")
    assert {"public_urls", "readonly"} <= base64_flags
    assert not base64_flags & {"write", "delete", "mkdir", "list_dir"}


def test_a_relative_mount_can_what_its_parent_can(storage):
    storage.configure([{"name": "rel", "path": "disk:sub"}])
    assert storage.node("rel:").capabilities == storage.node("disk:").capabilities
