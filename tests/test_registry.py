"""The registry: what it knows, what it says about what it does not know."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from genro_storage import registry
from genro_storage.backends.options import BackendOptions
from genro_storage.exceptions import StorageConfigError, StorageMissingExtraError
from genro_storage.registry import BackendType, BuildContext

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class ShelfOptions(BackendOptions):
    """A type of mount for these tests."""

    shelf: str = ""


SHELF = BackendType("shelf", ShelfOptions, lambda options, context: None, "A shelf")  # type: ignore[arg-type,return-value]


@pytest.fixture
def shelf() -> Iterator[BackendType]:
    registry.register(SHELF)
    yield SHELF
    registry.unregister("shelf")


@pytest.fixture
def publish(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Put a package with an entry point on ``sys.path``, as an installation would."""

    def publish(name: str, code: str, *, package: str = "plugin_package", attribute="ROW") -> None:
        site = tmp_path / package
        (site / f"{package}-1.0.dist-info").mkdir(parents=True)
        (site / f"{package}.py").write_text(code)
        metadata = site / f"{package}-1.0.dist-info"
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1\n")
        (metadata / "entry_points.txt").write_text(
            f"[genro_storage.backends]\n{name} = {package}:{attribute}\n"
        )
        monkeypatch.syspath_prepend(site)
        monkeypatch.delitem(sys.modules, package, raising=False)

    monkeypatch.setattr(registry, "_published", {})
    yield publish
    for package in ("plugin_package", "other_package"):
        sys.modules.pop(package, None)


GOOD_PLUGIN = """
from genro_storage.backends.options import BackendOptions
from genro_storage.registry import BackendType

class Options(BackendOptions):
    drawer: int = 0

ROW = BackendType("drawer", Options, lambda options, context: ("built", options.drawer))
"""


def test_the_built_in_types_are_known_by_name() -> None:
    assert {"local", "memory", "base64", "fsspec"} <= set(registry.names())
    assert registry.get("local").name == "local"


def test_importing_the_registry_imports_neither_pydantic_nor_fsspec_nor_yaml() -> None:
    code = (
        "import sys, genro_storage.registry as r; r.get('local'); r.names();"
        "print([m for m in ('pydantic', 'fsspec', 'yaml') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_an_unknown_type_names_the_nearest() -> None:
    with pytest.raises(StorageConfigError, match=r"Unknown storage type 'locl'.*mean 'local'"):
        registry.get("locl")


def test_an_unknown_type_without_a_near_one_lists_those_that_exist() -> None:
    with pytest.raises(
        StorageConfigError, match=r"Unknown storage type 'zzz'; known types: .*local"
    ):
        registry.get("zzz")


def test_the_name_of_a_fsspec_filesystem_says_how_to_mount_it() -> None:
    with pytest.raises(
        StorageConfigError, match=r"Unknown storage type 'dask'.*`type: fsspec, filesystem: dask`"
    ):
        registry.get("dask")


def test_a_registered_type_is_found_by_name_and_alias(shelf: BackendType) -> None:
    aliased = BackendType("rack", ShelfOptions, shelf.build, aliases=("racks",))
    registry.register(aliased)
    try:
        assert registry.get("rack") is aliased
        assert registry.get("racks") is aliased
        assert "rack" in registry.names()
        assert "racks" not in registry.names()
    finally:
        registry.unregister("racks")
    with pytest.raises(StorageConfigError, match="Unknown storage type 'rack'"):
        registry.get("rack")


def test_registering_the_same_row_again_changes_nothing(shelf: BackendType) -> None:
    registry.register(shelf)
    assert registry.get("shelf") is shelf


def test_a_taken_name_is_refused_unless_replaced(shelf: BackendType) -> None:
    other = BackendType("shelf", ShelfOptions, shelf.build, "another")
    with pytest.raises(StorageConfigError, match="'shelf' is taken"):
        registry.register(other)
    registry.register(other, replace=True)
    assert registry.get("shelf") is other


def test_the_name_relative_is_reserved() -> None:
    with pytest.raises(StorageConfigError, match="cannot be registered"):
        registry.register(BackendType("relative", ShelfOptions, SHELF.build))


def test_unregistering_an_unknown_type_is_an_error() -> None:
    with pytest.raises(StorageConfigError, match="Unknown storage type"):
        registry.unregister("nothing-of-that-name")


def test_options_and_build_are_loaded_from_strings() -> None:
    row = BackendType("x", f"{__name__}:ShelfOptions", f"{__name__}:_build_text")
    sys.modules.setdefault(__name__, sys.modules[_build_text.__module__])
    model = row.load_options("m")
    assert model.__name__ == "ShelfOptions"
    assert row.build_backend(model(), BuildContext("m")) == "m"  # type: ignore[comparison-overlap]


def _build_text(options: object, context: BuildContext) -> str:
    return context.mount


def test_a_missing_module_names_the_mount_and_the_command() -> None:
    row = BackendType("s9", "no_such_module_here:Options", "no_such_module_here:build", extra="s9")
    with pytest.raises(StorageMissingExtraError) as raised:
        row.load_options("pictures")
    assert "mount 'pictures' (s9)" in str(raised.value)
    assert "no_such_module_here" in str(raised.value)
    assert 'pip install "genro-storage[s9]"' in str(raised.value)
    with pytest.raises(ImportError, match="storage type 's9'"):
        row.load_options()


def test_a_module_that_is_missing_while_building_names_the_mount_and_the_command() -> None:
    def build(options: object, context: BuildContext) -> None:
        import no_such_sdk_here  # type: ignore[import-not-found]  # noqa: F401

    row = BackendType("s9", ShelfOptions, build, extra="s9")  # type: ignore[arg-type]
    with pytest.raises(StorageMissingExtraError, match=r"mount 'm' \(s9\).*genro-storage\[s9\]"):
        row.build_backend(ShelfOptions(), BuildContext("m"))


def test_a_row_that_names_nothing_says_so() -> None:
    row = BackendType("x", "genro_storage.registry:NoSuchThing", SHELF.build)
    with pytest.raises(
        StorageConfigError, match=r"'genro_storage.registry:NoSuchThing' does not exist"
    ):
        row.load_options("m")


def test_a_package_publishes_a_type_through_an_entry_point(publish) -> None:
    publish("drawer", GOOD_PLUGIN)
    assert "drawer" in registry.names()
    row = registry.get("drawer")
    options = row.load_options("m").model_validate({"drawer": 3})
    assert row.build_backend(options, BuildContext("m")) == ("built", 3)  # type: ignore[comparison-overlap]
    assert registry.get("drawer") is row


def test_an_entry_point_cannot_take_the_place_of_a_built_in_type(publish) -> None:
    publish("local", GOOD_PLUGIN)
    assert registry.get("local").options == "genro_storage.backends.embedded:LocalOptions"


def test_a_broken_entry_point_is_an_error_only_when_it_is_asked_for(publish) -> None:
    publish("broken", "raise RuntimeError('out of order')")
    assert "broken" in registry.names()
    assert registry.get("memory").name == "memory"
    with pytest.raises(StorageConfigError, match=r"'broken'.*'plugin_package:ROW'.*out of order"):
        registry.get("broken")


def test_an_entry_point_that_is_no_backend_type_is_refused(publish) -> None:
    publish("number", "ROW = 7")
    with pytest.raises(StorageConfigError, match="is a int, not a BackendType"):
        registry.get("number")


def test_two_packages_with_one_type_name_are_an_error_that_names_both(publish) -> None:
    publish("drawer", GOOD_PLUGIN)
    publish("drawer", GOOD_PLUGIN, package="other_package")
    with pytest.raises(StorageConfigError, match="other_package, plugin_package"):
        registry.get("drawer")


def test_a_context_without_a_manager_keeps_nothing() -> None:
    context = BuildContext("m")
    assert context.keep("key", list) is not context.keep("key", list)
