"""The names of the package, its errors, and the parameters of a node's methods."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

import genro_storage
from genro_storage import (
    SkipStrategy,
    StorageConfigError,
    StorageError,
    StorageManager,
    StorageNode,
    StorageNotFoundError,
    StoragePermissionError,
)


@pytest.mark.parametrize(
    "name",
    [
        *("__version__", "StorageManager", "StorageNode", "SkipStrategy", "StorageError"),
        *("StorageNotFoundError", "StoragePermissionError", "StorageConfigError"),
    ],
)
def test_the_names_of_the_package(name):
    assert name in genro_storage.__all__
    # The version needs the installed package's metadata; tests/test_package.py looks at it.
    assert name == "__version__" or getattr(genro_storage, name) is not None


def test_the_package_ships_its_types():
    assert (Path(genro_storage.__file__).parent / "py.typed").is_file()


def test_skip_strategy_is_importable_from_the_nodes_module():
    from genro_storage.node import SkipStrategy as from_node

    assert from_node is SkipStrategy


def test_the_backend_classes_keep_their_names():
    from genro_storage import backends

    assert {"StorageBackend", "LocalStorage", "Base64Backend"} <= set(backends.__all__)
    assert issubclass(backends.LocalStorage, backends.StorageBackend)
    assert issubclass(backends.Base64Backend, backends.StorageBackend)
    assert not hasattr(backends, "RelativeMountBackend")  # decision: a relative mount wraps nothing


@pytest.mark.parametrize(
    ("ours", "builtin"),
    [
        (StorageNotFoundError, FileNotFoundError),
        (StoragePermissionError, PermissionError),
        (StorageConfigError, ValueError),
    ],
)
def test_each_error_is_the_builtin_one_too(ours, builtin):
    assert issubclass(ours, StorageError)
    assert issubclass(ours, builtin)


def test_version_is_keyword_only(storage):
    kind = inspect.signature(StorageManager.node).parameters["version"].kind
    assert kind is inspect.Parameter.KEYWORD_ONLY


PROPERTIES = [
    *("fullpath", "path", "basename", "stem", "suffix", "parent", "dirname", "ext"),
    *("ext_attributes", "resolved_path", "exists", "isfile", "isdir", "size", "mtime", "md5hash"),
    *("mimetype", "capabilities", "versions", "version_count"),
]


METHODS = [
    *("open", "read", "write", "read_text", "read_bytes", "write_text", "write_bytes", "delete"),
    *("copy_to", "move_to", "append", "extend", "zip", "children", "child", "mkdir", "local_path"),
    *("call", "get_metadata", "set_metadata", "url", "internal_url", "compact_versions"),
    *("fill_from_url", "to_base64", "splitext"),
]


@pytest.mark.parametrize("name", PROPERTIES)
def test_it_is_a_property(name):
    assert isinstance(inspect.getattr_static(StorageNode, name), property)


@pytest.mark.parametrize("name", [name for name in METHODS if name not in ("append", "extend")])
def test_it_is_a_method(name):
    assert inspect.isfunction(inspect.getattr_static(StorageNode, name))


SIGNATURES = {
    "open": {"mode": "r", "version": None, "as_of": None},
    "read": {"mode": "r", "encoding": "utf-8"},
    "write": {"data": ..., "mode": "w", "encoding": "utf-8", "skip_if_unchanged": False},
    "read_text": {"encoding": "utf-8"},
    "read_bytes": {},
    "write_text": {"text": ..., "encoding": "utf-8", "skip_if_unchanged": False},
    "write_bytes": {"data": ..., "skip_if_unchanged": False},
    "copy_to": {
        "dest": ...,
        "include": None,
        "exclude": None,
        "filter": None,
        "skip": "never",
        "skip_fn": None,
        "progress": None,
        "on_file": None,
        "on_skip": None,
    },
    "move_to": {"dest": ...},
    "mkdir": {"parents": False, "exist_ok": False},
    "local_path": {"mode": "r"},
    "set_metadata": {"metadata": ...},
    "url": {"expires_in": 3600},
    "internal_url": {"nocache": False},
    "compact_versions": {"dry_run": False},
    "fill_from_url": {"url": ..., "timeout": 30},
    "to_base64": {"mime": None, "include_uri": True},
}


@pytest.mark.parametrize("name", SIGNATURES)
def test_the_parameters_keep_their_names_order_and_defaults(name):
    parameters = list(inspect.signature(getattr(StorageNode, name)).parameters.values())[1:]
    positional = [p for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
    found = {p.name: ... if p.default is p.empty else p.default for p in positional}
    assert found == SIGNATURES[name]
    assert list(found) == list(SIGNATURES[name])


def test_the_parameters_of_call():
    parameters = inspect.signature(StorageNode.call).parameters
    assert parameters["args"].kind is inspect.Parameter.VAR_POSITIONAL
    assert parameters["subprocess_kwargs"].kind is inspect.Parameter.VAR_KEYWORD
    defaults = {name: parameters[name].default for name in ("callback", "async_mode")}
    assert defaults == {"callback": None, "async_mode": False}
    assert parameters["return_output"].default is False
