"""Options and building of local, memory and base64."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from genro_storage import registry
from genro_storage.backends.base import Backend
from genro_storage.backends.dynamic import DynamicRoot
from genro_storage.config import load
from genro_storage.exceptions import (
    MountRootNotFoundError,
    StorageConfigError,
    StorageError,
    StorageNotFoundError,
    StoragePermissionError,
)
from genro_storage.registry import BuildContext


def build(type_name: str, *, base: Path | None = None, keep: Any = None, **keys: Any) -> Any:
    spec = load([{"name": "m", "type": type_name, **keys}]).mounts[0]
    context = BuildContext("m", base) if keep is None else BuildContext("m", base, keep)
    return spec.build(context)


def write_read(backend: Backend) -> bytes:
    backend.write_bytes("f.txt", b"content")
    return backend.read_bytes("f.txt")


# -- local ----------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["path", "base_path"])
@pytest.mark.parametrize("kind", [str, Path])
def test_local_takes_an_absolute_path(tmp_path: Path, key: str, kind: type) -> None:
    assert write_read(build("local", **{key: kind(tmp_path)})) == b"content"
    assert (tmp_path / "f.txt").read_bytes() == b"content"


def test_local_accepts_both_names_of_the_path_only_where_they_agree(tmp_path: Path) -> None:
    build("local", path=str(tmp_path), base_path=str(tmp_path))
    with pytest.raises(StorageConfigError, match="'path' and 'base_path' are two names"):
        build("local", path=str(tmp_path), base_path="/elsewhere")


def test_local_accepts_a_colon_in_a_typed_path(tmp_path: Path) -> None:
    (tmp_path / "x:y").mkdir()
    build("local", path=str(tmp_path / "x:y"))


def test_local_refuses_a_relative_path_in_code() -> None:
    with pytest.raises(ValueError, match=r"mount 'm' \(local\).*'data' is not absolute"):
        build("local", path="data")


def test_local_does_not_expand_the_home_directory_in_code() -> None:
    with pytest.raises(StorageConfigError, match="not absolute"):
        build("local", path="~")


def test_local_resolves_a_relative_path_against_the_file(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    write_read(build("local", path="data", base=tmp_path))
    assert (tmp_path / "data" / "f.txt").exists()


def test_local_expands_the_home_directory_in_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "data").mkdir()
    write_read(build("local", path="~/data", base=Path("/")))
    assert (tmp_path / "data" / "f.txt").exists()


def test_local_refuses_a_missing_directory(tmp_path: Path) -> None:
    missing = tmp_path / "missing"
    with pytest.raises(MountRootNotFoundError, match="create: true") as raised:
        build("local", path=str(missing))
    for kind in (FileNotFoundError, ValueError, StorageConfigError, StorageNotFoundError):
        assert isinstance(raised.value, kind)
    assert str(missing) in str(raised.value)
    assert not missing.exists()


def test_local_creates_a_missing_directory_where_it_is_told_to(tmp_path: Path) -> None:
    write_read(build("local", path=str(tmp_path / "a" / "b"), create=True))
    assert (tmp_path / "a" / "b" / "f.txt").exists()


@pytest.mark.parametrize("create", [False, True])
@pytest.mark.parametrize("below", ["", "/below"])
def test_local_refuses_a_root_that_is_no_directory(
    tmp_path: Path, create: bool, below: str
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="is not a directory") as raised:
        build("local", path=f"{tmp_path}/file{below}", create=create)
    assert type(raised.value) is StorageConfigError


def test_local_says_that_the_links_to_the_root_go_in_circles(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    with pytest.raises(OSError, match=r"mount 'm' \(local\): symbolic links loop") as raised:
        build("local", path=str(tmp_path / "a"))
    assert isinstance(raised.value, StorageError)


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may look everywhere")
def test_local_says_that_it_may_not_look_at_the_root(tmp_path: Path) -> None:
    (tmp_path / "closed" / "data").mkdir(parents=True)
    (tmp_path / "closed").chmod(0)
    try:
        with pytest.raises(StoragePermissionError, match=r"mount 'm' \(local\)"):
            build("local", path=str(tmp_path / "closed" / "data"))
    finally:
        (tmp_path / "closed").chmod(0o700)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("", "empty"),
        ("/a\x00b", "NUL"),
        (7, "expected a path"),
        (b"/tmp", "expected a path"),
        (None, "expected a path"),
    ],
)
def test_local_refuses_what_is_no_path(value: object, message: str) -> None:
    with pytest.raises(
        StorageConfigError, match=f"mount 'm' \\(local\\): option 'path'.*{message}"
    ):
        build("local", path=value)


def test_local_with_a_base_url_gives_the_url_of_a_file(tmp_path: Path) -> None:
    backend = build("local", path=tmp_path, base_url="https://cdn.example.org/m/")
    assert backend.url("a/b.txt") == "https://cdn.example.org/m/a/b.txt"
    assert backend.url("a b#c.txt") == "https://cdn.example.org/m/a%20b%23c.txt"
    assert backend.capabilities.public_urls
    assert build("local", path=tmp_path).url("a") is None


# -- local, decided by a callable -------------------------------------------------------------


def test_a_callable_root_is_not_called_while_configuring_or_building() -> None:
    def never() -> str:
        raise AssertionError("called")

    root = build("local", path=never)
    assert isinstance(root, DynamicRoot)
    assert not root.switched


def test_a_callable_root_is_used_at_each_operation(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    current = ["a"]
    root = build("local", path=lambda: tmp_path / current[0])
    for name in ("a", "b"):
        current[0] = name
        backend, path = root.resolve("f.txt")
        backend.write_bytes(path, name.encode())
    assert (tmp_path / "a" / "f.txt").read_text() == "a"
    assert (tmp_path / "b" / "f.txt").read_text() == "b"


@pytest.mark.parametrize(
    ("function", "switched"),
    [
        (lambda: "/", False),
        (lambda name="x": "/", False),
        (lambda *names: "/", False),
        (lambda name: "/", True),
        (lambda name, other="x": "/", True),
        (os.getcwd, False),
        (os.path.abspath, True),
    ],
)
def test_a_callable_with_a_required_parameter_is_a_switch(function: Any, switched: bool) -> None:
    assert build("local", path=function).switched is switched


def test_a_switched_mount_takes_the_first_component(tmp_path: Path) -> None:
    (tmp_path / "anna").mkdir()
    backend, path = build("local", path=lambda user: tmp_path / user).resolve("anna/f.txt")
    backend.write_bytes(path, b"hers")
    assert (tmp_path / "anna" / "f.txt").read_bytes() == b"hers"


async def _asynchronous() -> str:
    return "/"


def _two(first: str, second: str) -> str:
    return first + second


def _keyword_only(*, first: str) -> str:
    return first


@pytest.mark.parametrize("function", [_asynchronous, _two, _keyword_only])
def test_a_callable_that_nobody_can_call_is_refused_at_once(function: Any) -> None:
    with pytest.raises(StorageConfigError, match=r"mount 'm'.*the callable"):
        build("local", path=function)


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        ("", "empty path"),
        (None, "NoneType"),
        (b"/tmp", "bytes"),
        ("relative", "not absolute"),
        (Path("x"), "not absolute"),
        ("/a\x00", "NUL"),
    ],
)
def test_what_a_callable_returns_is_checked_at_use(returned: object, message: str) -> None:
    root = build("local", path=lambda: returned)
    with pytest.raises(StorageConfigError, match=f"mount 'm' \\(local\\).*{message}"):
        root.resolve("f.txt")


def test_a_callable_that_returns_a_coroutine_is_refused_without_a_warning() -> None:
    root = build("local", path=lambda name=None: _asynchronous())
    with pytest.raises(StorageConfigError, match="returned coroutine"):
        root.resolve("f.txt")


def test_a_callable_that_returns_a_missing_directory_is_refused_at_use(tmp_path: Path) -> None:
    root = build("local", path=lambda: tmp_path / "missing")
    with pytest.raises(FileNotFoundError, match=r"mount 'm'.*missing"):
        root.resolve("f.txt")
    root = build("local", path=lambda: tmp_path / "missing", create=True)
    root.resolve("f.txt")
    assert (tmp_path / "missing").is_dir()


def test_an_error_of_the_callable_itself_reaches_the_caller() -> None:
    def fail() -> str:
        raise LookupError("no user is logged in")

    with pytest.raises(LookupError, match="no user"):
        build("local", path=fail).resolve("f.txt")


# -- memory and base64 --------------------------------------------------------------------------


def test_memory_keeps_its_files_where_the_same_name_is_built_again() -> None:
    kept: dict[Any, Any] = {}

    def keep(key: Any, factory: Any) -> Any:
        return kept.setdefault(key, factory())

    write_read(build("memory", keep=keep))
    assert build("memory", keep=keep).read_bytes("f.txt") == b"content"


def test_memory_mounts_of_two_managers_share_nothing() -> None:
    write_read(build("memory"))
    with pytest.raises(FileNotFoundError):
        build("memory").stat("f.txt")


def test_memory_starts_at_its_base_path() -> None:
    kept: dict[Any, Any] = {}

    def keep(key: Any, factory: Any) -> Any:
        return kept.setdefault(key, factory())

    write_read(build("memory", keep=keep, base_path="/a//./b/"))
    assert build("memory", keep=keep).read_bytes("a/b/f.txt") == b"content"


def test_memory_refuses_a_base_path_with_dots() -> None:
    with pytest.raises(
        StorageConfigError, match=r"mount 'm' .memory.: option 'base_path'.*traversal"
    ):
        build("memory", base_path="a/../..")


def test_base64_reads_its_path() -> None:
    assert build("base64").read_bytes("aGVsbG8=") == b"hello"


def test_base64_and_memory_take_no_other_options() -> None:
    for name in ("base64", "memory"):
        with pytest.raises(StorageConfigError, match=f"mount 'm' .{name}.: unknown option 'path'"):
            build(name, path="/x")


def test_every_built_in_type_loads_its_options_and_a_summary() -> None:
    for name in ("local", "memory", "base64"):
        row = registry.get(name)
        assert row.load_options().__doc__
        assert row.summary
