"""The JSON Schema accepts what ``load`` accepts and refuses what it refuses."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, ClassVar

import pytest
from jsonschema import Draft202012Validator
from pydantic import Field, SecretStr

from genro_storage import registry
from genro_storage.backends.options import BackendOptions, StrictModel
from genro_storage.config import json_schema, load
from genro_storage.exceptions import StorageConfigError
from genro_storage.registry import BackendType


class Retry(StrictModel):
    """A model inside the options."""

    attempts: int = 3


class ShopOptions(BackendOptions):
    """A type with many sorts of options."""

    synonyms: ClassVar[Mapping[str, str]] = {"prefix": "base_path"}

    region: str = Field(description="Where the shop stands.")
    base_path: str = ""
    port: int = 0
    secret: SecretStr | None = None
    retry: Retry = Retry()


@pytest.fixture(scope="module", autouse=True)
def rows():
    build: Any = lambda options, context: None  # noqa: E731
    registry.register(BackendType("shop", ShopOptions, build, "A shop", aliases=("store",)))
    registry.register(BackendType("s9", "no_such_module:O", "no_such_module:b", extra="s9"))
    yield
    registry.unregister("shop")
    registry.unregister("s9")


@pytest.fixture(scope="module")
def validator(rows: None) -> Draft202012Validator:
    schema = json_schema()
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


GOOD: list[Any] = [
    [],
    [{"name": "m", "type": "memory"}],
    [{"name": "m", "protocol": "memory", "base_path": "a"}],
    [{"name": "m", "type": "base64", "permissions": "readonly"}],
    [{"name": "m", "type": "local", "path": "/data", "create": True, "fsync": False}],
    [{"name": "m", "type": "local", "base_path": "data"}],
    [{"name": "m", "type": "local", "path": "/x:y", "base_url": None}],
    [{"name": "m", "path": "p:x"}, {"name": "n", "type": "relative", "path": "p:"}],
    [{"name": "m", "type": "store", "region": "eu", "prefix": "a", "secret": "s"}],
    [{"name": "m", "type": "shop", "region": "eu", "retry": {"attempts": 1}}],
    {"mounts": [{"name": "m", "type": "memory"}], "signing_key": "k", "base_url": "https://x"},
    {"$schema": "s.json", "mounts": [], "signing_key": ["k", "l"]},
]

BAD: list[Any] = [
    3,
    "text",
    {},
    {"mounts": {}},
    {"mounts": [], "base_ulr": "x"},
    {"mounts": [], "signing_key": 3},
    {"name": "m", "type": "memory"},
    [3],
    [{"type": "memory"}],
    [{"name": "", "type": "memory"}],
    [{"name": "  ", "type": "memory"}],
    [{"name": "a:b", "type": "memory"}],
    [{"name": "a/b", "type": "memory"}],
    [{"name": 5, "type": "memory"}],
    [{"name": "m"}],
    [{"name": "m", "type": "memroy"}],
    [{"name": "m", "type": "memory", "protocol": "base64"}],
    [{"name": "m", "type": "memory", "permissions": "all"}],
    [{"name": "m", "type": "memory", "path": "/x"}],
    [{"name": "m", "type": "local"}],
    [{"name": "m", "type": "local", "path": ""}],
    [{"name": "m", "type": "local", "path": "/x", "fsync": "perhaps"}],
    [{"name": "m", "path": "/x"}],
    [{"name": "m", "path": ":x"}],
    [{"name": "m", "path": "p:x", "region": "eu"}],
    [{"name": "m", "type": "shop"}],
    [{"name": "m", "type": "shop", "region": "eu", "retry": {"atempts": 1}}],
    [{"name": "m", "type": "shop", "region": "eu", "regoin": "eu"}],
]


@pytest.mark.parametrize("document", GOOD, ids=json.dumps)
def test_what_loads_is_valid(validator: Draft202012Validator, document: Any) -> None:
    load(document)
    assert not list(validator.iter_errors(document))


@pytest.mark.parametrize("document", BAD, ids=json.dumps)
def test_what_does_not_load_is_invalid(validator: Draft202012Validator, document: Any) -> None:
    with pytest.raises((StorageConfigError, TypeError, FileNotFoundError)):
        load(document)
    assert list(validator.iter_errors(document))


@pytest.mark.parametrize(
    "more",
    [{"port": "${PORT:-22}"}, {"permissions": "${RIGHTS}"}, {"secret": "${S}"}, {"retry": "${R}"}],
)
def test_a_variable_may_stand_for_any_value(
    validator: Draft202012Validator, more: dict[str, str]
) -> None:
    assert not list(validator.iter_errors([{"name": "m", "type": "shop", "region": "r", **more}]))


def test_every_type_has_a_branch_with_descriptions() -> None:
    definitions = json_schema()["$defs"]
    for name in (*registry.names(), "relative"):
        assert f"mount.{name}" in definitions
    shop = definitions["mount.shop"]
    assert shop["description"] == "A shop"
    assert shop["properties"]["region"]["description"] == "Where the shop stands."
    assert shop["properties"]["type"] == {"enum": ["shop", "store"]}
    assert definitions["mount.memory"]["properties"]["type"] == {"const": "memory"}


def test_a_type_that_cannot_be_loaded_is_described_without_its_options(
    validator: Draft202012Validator,
) -> None:
    assert not list(validator.iter_errors([{"name": "m", "type": "s9", "anything": 1}]))
    assert 'pip install "genro-storage[s9]"' in json_schema()["$defs"]["mount.s9"]["description"]


def test_the_schema_is_plain_json() -> None:
    assert json.loads(json.dumps(json_schema())) == json_schema()
