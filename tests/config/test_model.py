"""What a configuration may say, and what is said about one that is wrong."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest
from pydantic import Field

from genro_storage import registry
from genro_storage.backends.options import BackendOptions
from genro_storage.config import Configuration, MountSpec, RelativeSpec, load
from genro_storage.exceptions import StorageConfigError, StorageMissingExtraError
from genro_storage.registry import BackendType


class ShopOptions(BackendOptions):
    """A type with many sorts of options."""

    synonyms: ClassVar[Mapping[str, str]] = {"prefix": "base_path"}

    region: str
    base_path: str = ""
    port: int = 0
    ratio: float = 0.0
    secure: bool = True
    options: dict[str, int] = Field(default_factory=dict)
    tags: list[str] = Field(default_factory=list)
    either: int | list[int] = 0


@pytest.fixture(autouse=True)
def shop():
    row = BackendType("shop", ShopOptions, lambda options, context: None, aliases=("store",))  # type: ignore[arg-type,return-value]
    registry.register(row)
    yield
    registry.unregister("shop")


def failure(source: Any) -> str:
    with pytest.raises(StorageConfigError) as raised:
        load(source)
    assert isinstance(raised.value, ValueError)
    return str(raised.value)


def test_a_list_and_a_mapping_with_mounts_say_the_same() -> None:
    mounts = [{"name": "a", "type": "memory"}, {"name": "b", "type": "base64"}]
    assert load(mounts).mounts == load({"mounts": mounts}).mounts == load(tuple(mounts)).mounts


def test_no_mounts_are_a_configuration_too() -> None:
    assert load([]) == load({"mounts": []}) == Configuration((), load([]).settings, None)


@pytest.mark.parametrize("source", [3, None, 1.5, True, object(), {"a"}, b"c.yaml", iter([])])
def test_a_source_of_another_type_is_a_type_error(source: Any) -> None:
    with pytest.raises(TypeError):
        load(source)


def test_a_single_mount_must_stand_in_a_list() -> None:
    assert "must stand in a list" in failure({"name": "m", "type": "memory"})


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({}, "missing required field: 'mounts'"),
        ({"mount": []}, "missing required field: 'mounts'; did you mean it by 'mount'?"),
        ({"mounts": {}}, "'mounts' must be a list of mounts, got a mapping"),
        ({"mounts": None}, "'mounts' must be a list of mounts, got nothing"),
        ({"mounts": [], "base_ulr": "x"}, "unknown option 'base_ulr'; did you mean 'base_url'?"),
        ({"mounts": [], "base_url": 5}, "option 'base_url': expected text, got a whole number"),
        ({"mounts": [], 3: 4}, "a key at the top level is a whole number; quote it"),
        ([3], "mount #1: a mount is a mapping of keys, got a whole number"),
        ([{"name": "m", "type": "memory"}, None], "mount #2: a mount is a mapping"),
        ([{1: 2}], "mount #1: a key is a whole number"),
    ],
)
def test_a_wrong_top_level_says_what_is_wanted(source: Any, message: str) -> None:
    assert message in failure(source)


@pytest.mark.parametrize("text", ["just text", "5"])
def test_a_file_whose_top_level_is_a_scalar_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(text)
    assert f"{path}: the top level must be a list of mounts" in failure(path)


@pytest.mark.parametrize(
    ("mount", "field", "label"),
    [
        ({"type": "memory"}, "name", "mount #1"),
        ({"name": "m"}, "type", "mount 'm'"),
        ({"name": "m", "path": "/data"}, "type", "mount 'm'"),
        ({"name": "m", "type": "local"}, "path", "mount 'm' (local)"),
        ({"name": "m", "protocol": "local"}, "path", "mount 'm' (local)"),
        ({"name": "m", "type": "shop"}, "region", "mount 'm' (shop)"),
        ({"name": "m", "type": "relative"}, "path", "mount 'm' (relative)"),
    ],
)
def test_a_missing_field_is_named(mount: dict[str, Any], field: str, label: str) -> None:
    text, _, hint = failure([mount]).partition(";")
    assert text == f"{label}: missing required field: '{field}'"
    assert ("parent:directory" in hint) is (field == "type")


def test_a_misspelled_name_or_type_is_recognised() -> None:
    assert "did you mean it by 'nmae'?" in failure([{"nmae": "m", "type": "memory"}])
    assert "did you mean it by 'typ'?" in failure([{"name": "m", "typ": "memory"}])


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "empty"),
        ("  ", "empty"),
        ("a:b", "cannot contain ':'"),
        ("a/b", "cannot contain '/'"),
        ("a\x00b", "cannot contain a NUL"),
        (5, "'name' must be text, got a whole number"),
        (None, "'name' must be text, got nothing"),
        (False, "'name' must be text, got true or false"),
    ],
)
def test_a_name_that_no_node_could_use_is_refused(name: Any, message: str) -> None:
    said = failure([{"name": name, "type": "memory"}])
    assert said.startswith("mount #1: ")
    assert message in said


def test_names_in_any_language_are_fine() -> None:
    assert load([{"name": "Büro 1.a-b_ñ文", "type": "memory"}]).mounts[0].name == "Büro 1.a-b_ñ文"


def test_two_mounts_with_one_name_are_an_error() -> None:
    mounts = [{"name": "m", "type": "memory"}, {"name": "m", "type": "base64"}]
    assert failure(mounts) == "mount 'm': the name is given twice; names must differ"


@pytest.mark.parametrize("key", ["type", "protocol"])
@pytest.mark.parametrize("type_name", ["memory", "base64"])
def test_type_and_protocol_mean_the_same(key: str, type_name: str) -> None:
    spec = load([{"name": "m", key: type_name}]).mounts[0]
    assert spec.backend_type is registry.get(type_name)
    load([{"name": "m", "type": type_name, "protocol": type_name}])


def test_type_and_protocol_that_differ_are_an_error() -> None:
    said = failure([{"name": "m", "type": "memory", "protocol": "base64"}])
    assert said == (
        "mount 'm': 'type' and 'protocol' mean the same, but their values differ; keep one"
    )


def test_a_type_is_found_by_its_alias() -> None:
    spec = load([{"name": "m", "type": "store", "region": "x"}]).mounts[0]
    assert spec.backend_type is registry.get("shop")


def test_an_unknown_type_names_the_mount_and_the_nearest_type() -> None:
    said = failure([{"name": "m", "type": "memroy"}])
    assert said == "mount 'm': Unknown storage type 'memroy'; did you mean 'memory'?"
    assert "must be text" in failure([{"name": "m", "type": ["memory"]}])


@pytest.mark.parametrize("permissions", ["readonly", "readwrite", "delete", None])
def test_permissions_are_kept_as_given(permissions: str | None) -> None:
    mount = {"name": "m", "type": "memory", "permissions": permissions}
    assert load([mount]).mounts[0].permissions == permissions


@pytest.mark.parametrize("permissions", ["all", "read-only", "READONLY", 5, ["readonly"], ""])
@pytest.mark.parametrize("rest", [{"type": "memory"}, {"path": "p:x"}])
def test_bad_permissions_are_refused(permissions: Any, rest: dict[str, str]) -> None:
    said = failure([{"name": "m", "permissions": permissions, **rest}])
    assert "mount 'm' (" in said
    assert "Invalid permissions" in said
    assert "readonly, readwrite, delete" in said


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("port", "many", "option 'port': expected a whole number, got other text"),
        ("port", 1.5, "option 'port': expected a whole number, got a number"),
        ("port", [1], "option 'port': expected a whole number, got a list"),
        ("ratio", {}, "option 'ratio': expected a number, got a mapping"),
        ("secure", "perhaps", "option 'secure': expected true or false, got other text"),
        ("region", 5, "option 'region': expected text, got a whole number; put it in quotes"),
        ("region", None, "option 'region': expected text, got nothing"),
        ("options", [], "option 'options': expected a mapping, got a list"),
        ("options", {"a": "b"}, "option 'options.a': expected a whole number, got other text"),
        ("tags", "x", "option 'tags': expected a list, got text"),
        ("tags", ["x", 3], "option 'tags[1]': expected text, got a whole number"),
        ("either", "x", "option 'either': expected a whole number or a list, got"),
        ("either", [1, "x"], "option 'either[1]': expected a whole number, got other text"),
        ("prefix", 5, "option 'prefix': expected text, got a whole number"),
    ],
)
def test_a_value_of_the_wrong_type_names_mount_type_key_and_what_is_expected(
    key: str, value: Any, message: str
) -> None:
    said = failure([{"name": "m", "type": "shop", "region": "r", key: value}])
    assert said.startswith("mount 'm' (shop): ")
    assert message in said


@pytest.mark.parametrize(
    ("mount", "message"),
    [
        ({"type": "sftp", "host": ""}, "option 'host': it is empty; give it a value"),
        ({"type": "sftp", "host": "h", "port": 0}, "option 'port': it must be 1 or more"),
        ({"type": "sftp", "host": "h", "port": 70_000}, "option 'port': it must be 65535 or less"),
        ({"type": "sftp", "host": "h", "timeout": 0}, "option 'timeout': it must be more than 0"),
        (
            {"type": "sftp", "host": "h", "timeout": float("inf")},
            "option 'timeout': it must be a finite number",
        ),
        (
            {"type": "sftp", "host": "h", "key_filename": ["a", ""]},
            "option 'key_filename[1]': it is empty; give it a value",
        ),
        (
            {"type": "webdav", "url": "http://h", "cert": ["a", "b", "c"]},
            "option 'cert': it must have at most 2 entries",
        ),
        (
            {"type": "http", "base_url": "http://h", "listing": "yes please"},
            "option 'listing': expected true or false or 'links', got text",
        ),
    ],
)
def test_a_value_out_of_its_bounds_is_told_in_words_of_this_library(
    mount: dict[str, Any], message: str
) -> None:
    said = failure([{"name": "m", **mount}])
    assert said == f"mount 'm' ({mount['type']}): {message}"


_VALUES: list[Any] = [
    *(
        "",
        "x",
        "x" * 10_000,
        "\x00",
        "\ud800",
        0,
        -1,
        1.5,
        10**30,
        float("nan"),
        True,
        None,
        [],
        {},
    ),
    *([""], ["x"], ["x", 3], ["x"] * 10, [[]], {"": ""}, {"x": 3}, {"x": [3]}, {"x\n": "\n"}, b"x"),
]


def _fields() -> list[tuple[str, str]]:
    # Not names(): tests register types of their own.
    return [
        (row.name, key) for row in registry._BUILT_IN for key in row.load_options().model_fields
    ]


@pytest.mark.parametrize(("kind", "key"), _fields())
def test_no_message_speaks_the_words_of_pydantic(kind: str, key: str) -> None:
    for value in _VALUES:
        try:
            load([{"name": "m", "type": kind, key: value}])
        except StorageConfigError as error:
            said = str(error)
            assert not re.search("Input|String|Value|Tuple|List|Dict|validation|item", said), said


def test_texts_from_the_environment_become_the_numbers_that_options_want() -> None:
    mount = {"name": "m", "type": "shop", "region": "r", "port": "22", "secure": "false"}
    options = load([mount]).mounts[0].options
    assert isinstance(options, ShopOptions)
    assert (options.port, options.secure) == (22, False)


@pytest.mark.parametrize(
    ("key", "near"),
    [("regoin", "region"), ("prefixx", "prefix"), ("permission", "permissions")],
)
def test_an_unknown_option_names_mount_type_and_the_nearest_key(key: str, near: str) -> None:
    said = failure([{"name": "x", "type": "shop", "region": "r", key: "v"}])
    assert said == f"mount 'x' (shop): unknown option '{key}'; did you mean '{near}'?"


def test_an_unknown_option_that_is_near_nothing_lists_what_there_is() -> None:
    said = failure([{"name": "x", "type": "memory", "zzzzzz": 1}])
    assert said == (
        "mount 'x' (memory): unknown option 'zzzzzz'; "
        "known options: base_path, name, permissions, protocol, type"
    )


def test_everything_that_is_wrong_is_said_at_once() -> None:
    said = failure(
        {
            "mounts": [
                {"name": "a", "type": "shop", "port": "x"},
                {"name": "b", "type": "nope"},
                {"name": "c", "type": "memory"},
            ],
            "base_ulr": 1,
        }
    )
    assert said.startswith("the configuration has 3 problems:\n")
    for part in ("'base_ulr'", "mount 'a' (shop): ", "'region'", "'port'", "mount 'b': Unknown"):
        assert part in said


def test_many_problems_are_counted_not_listed() -> None:
    said = failure([{"name": f"m{i}", "type": "memory", "x": 1} for i in range(10_000)])
    assert len(said.splitlines()) == 22
    assert said.endswith("and 9980 more")


def test_problems_of_a_file_name_the_file(tmp_path: Path) -> None:
    path = tmp_path / "mounts.yaml"
    path.write_text("- name: x\n  type: shop\n  regoin: eu\n")
    assert failure(path) == (
        f"{path}: line 3: mount 'x' (shop): missing required field: 'region'; "
        "unknown option 'regoin'; did you mean 'region'?"
    )


def test_a_type_whose_module_is_missing_names_the_mount_and_the_extra() -> None:
    registry.register(BackendType("s9", "no_such_module:O", "no_such_module:b", extra="s9"))
    try:
        with pytest.raises(StorageMissingExtraError, match=r"'pics' .s9..*genro-storage\[s9\]"):
            load([{"name": "pics", "type": "s9"}])
    finally:
        registry.unregister("s9")


# -- relative mounts ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "relative"),
    [
        ("docs:a/b", RelativeSpec("docs", "a/b")),
        ("docs:", RelativeSpec("docs", "")),
        ("docs:/a//./b/", RelativeSpec("docs", "a/b")),
        ("docs:a:b", RelativeSpec("docs", "a:b")),
    ],
)
@pytest.mark.parametrize("more", [{}, {"type": "relative"}, {"protocol": "relative"}])
def test_a_path_with_a_parent_and_no_type_is_relative(
    path: str, relative: RelativeSpec, more: dict[str, str]
) -> None:
    spec = load([{"name": "m", "path": path, **more}]).mounts[0]
    assert spec.relative == relative
    assert spec.backend_type is spec.options is spec.permissions is None


def test_a_colon_in_a_typed_path_is_only_a_colon() -> None:
    spec = load([{"name": "m", "type": "local", "path": "/tmp/x:y"}]).mounts[0]
    assert spec.relative is None


@pytest.mark.parametrize(
    ("mount", "message"),
    [
        ({"path": ":a"}, "the path must be 'parent:directory'"),
        ({"path": "a", "type": "relative"}, "the path must be 'parent:directory'"),
        ({"path": 5, "type": "relative"}, "option 'path': expected text, got a whole number"),
        ({"path": "p:../x"}, "traversal"),
        ({"path": "p:a\x00"}, "NUL"),
        ({"path": "p:C:/x"}, "drive letter"),
        ({"path": "p:x", "permission": "delete"}, "did you mean 'permissions'?"),
        ({"path": "p:x", "region": "eu"}, "only name, path and permissions"),
    ],
)
def test_a_wrong_relative_mount_says_what_is_wrong(mount: dict[str, Any], message: str) -> None:
    said = failure([{"name": "m", **mount}])
    assert said.startswith("mount 'm' (relative): ")
    assert message in said


def test_a_relative_mount_cannot_be_built_by_itself() -> None:
    spec = load([{"name": "m", "path": "p:x"}]).mounts[0]
    with pytest.raises(StorageConfigError, match="'m' is relative"):
        spec.build(registry.BuildContext("m"))


# -- settings and what code gave ------------------------------------------------------------------


def test_settings_stand_beside_the_mounts() -> None:
    settings = load({"mounts": [], "signing_key": "k", "base_url": "https://x"}).settings
    assert settings.base_url == "https://x"
    assert not isinstance(settings.signing_key, list)
    assert settings.signing_key is not None
    assert settings.signing_key.get_secret_value() == "k"
    keys = load({"mounts": [], "signing_key": ["new", "old"]}).settings.signing_key
    assert isinstance(keys, list)
    assert [key.get_secret_value() for key in keys] == ["new", "old"]


def test_the_key_that_points_editors_at_the_schema_is_ignored() -> None:
    assert load({"$schema": "schema.json", "mounts": []}).mounts == ()


def test_a_mount_given_in_code_keeps_what_was_given(tmp_path: Path) -> None:
    given = {"name": "m", "type": "shop", "region": "r", "options": {"a": 1}}
    spec = load([given]).mounts[0]
    given["options"]["a"] = 2  # type: ignore[index]
    assert spec.literal == {"name": "m", "type": "shop", "region": "r", "options": {"a": 1}}
    path = tmp_path / "c.yaml"
    path.write_text("- {name: m, type: memory}")
    assert load(path).mounts[0].literal is None


def test_variables_are_not_replaced_in_code() -> None:
    options = load([{"name": "m", "type": "shop", "region": "${HOME}"}]).mounts[0].options
    assert isinstance(options, ShopOptions)
    assert options.region == "${HOME}"


def test_the_public_names_come_from_the_package() -> None:
    import genro_storage.config as package

    assert package.MountSpec is MountSpec
    with pytest.raises(AttributeError):
        package.NoSuchName
