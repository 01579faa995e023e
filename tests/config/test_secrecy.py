"""A secret of a configuration shows nowhere: no error, no cause of an error, no repr."""

from __future__ import annotations

import pickle
import traceback
from pathlib import Path
from typing import Any

import pytest
from pydantic import Field, SecretStr

from genro_storage import registry
from genro_storage.backends.options import BackendOptions
from genro_storage.config import load
from genro_storage.exceptions import StorageConfigError
from genro_storage.registry import BackendType

CANARY = "kanarienvogel-7f3a"


class VaultOptions(BackendOptions):
    """A type with a password."""

    user: str = ""
    password: SecretStr = SecretStr("")
    url: str = ""
    options: dict[str, Any] = Field(default_factory=dict)
    number: int = 0


@pytest.fixture(autouse=True)
def vault():
    registry.register(BackendType("vault", VaultOptions, lambda options, context: None))  # type: ignore[arg-type,return-value]
    yield
    registry.unregister("vault")


def everything_said(error: BaseException) -> str:
    """All texts that a log could show: the error, and each one behind it, shown or not."""
    texts = ["".join(traceback.format_exception(error))]
    seen: list[BaseException | None] = [error]
    while seen:
        current = seen.pop()
        if current is not None:
            texts += [str(current), repr(current), repr(current.args)]
            seen += [current.__cause__, current.__context__]
    # The traceback shows the lines of this file; the canary never stands in one of them.
    return "\n".join(texts)


WRONG_MOUNTS: list[Any] = [
    {"name": "m", "type": "vault", "password": [CANARY]},
    {"name": "m", "type": "vault", "pasword": CANARY},
    {"name": "m", "type": "vault", "number": CANARY},
    {"name": "m", "type": "vault", "password": CANARY, "unknown": CANARY},
    {"name": "m", "type": "vault", "options": CANARY},
    {"name": "m", "type": "vault", "url": {"x": CANARY}},
    {"name": "m", "type": "vault", "password": CANARY, "permissions": [CANARY]},
    {"name": "m", "type": [CANARY]},
    {"name": {"x": CANARY}, "type": "vault"},
    {"name": "m", "type": "valut", "password": CANARY},
    {"name": "m", "password": CANARY},
    {"name": "m", "type": "vault", "protocol": "memory", "password": CANARY},
    {"name": "m", "path": "p:x", "password": CANARY},
    {"type": "vault", "password": CANARY},
    [CANARY],
    CANARY,
]


@pytest.mark.parametrize("mount", WRONG_MOUNTS, ids=range(len(WRONG_MOUNTS)))
def test_an_error_of_a_mount_shows_no_value(mount: Any) -> None:
    with pytest.raises(StorageConfigError) as raised:
        load([mount])
    assert CANARY not in everything_said(raised.value)


@pytest.mark.parametrize("value", [{"x": CANARY}, [[CANARY]], [{"x": CANARY}]])
def test_an_error_of_a_setting_shows_no_value(value: Any) -> None:
    with pytest.raises(StorageConfigError) as raised:
        load({"mounts": [], "signing_key": value})
    assert CANARY not in everything_said(raised.value)


BROKEN_FILES = [
    ("c.yaml", f"- name: m\n  password: {CANARY}\n   x: y"),
    ("c.yaml", f"- name: m\n  password: '{CANARY}"),
    ("c.yaml", f"- name: m\n  password: *{CANARY}"),
    ("c.yaml", f"- name: m\n  password: &{CANARY} [*{CANARY}]"),
    ("c.yaml", f"- name: m\n  password: !{CANARY} x"),
    ("c.yaml", f"- name: m\n  password: !<'{CANARY}'> x"),
    ("c.yaml", f"- name: m\n  password: %{CANARY}"),
    ("c.yaml", f"- name: m\n  password: @{CANARY}"),
    ("c.yaml", f"%{CANARY}"),
    ("c.yaml", f'- "{CANARY}\\q"'),
    ("c.yaml", f"{CANARY}: {CANARY}: x"),
    ("c.yaml", f"- {CANARY}\x01"),
    ("c.yaml", CANARY),
    ("c.json", f'[{{"password": "{CANARY}",}}]'),
    ("c.json", f'[{{"password": {CANARY}}}]'),
    ("c.json", f'[{{"password": "{CANARY}'),
    ("c.json", f'[{{"password": "{CANARY}\\q"}}]'),
    ("c.json", f'"{CANARY}"'),
    ("c.toml", f'password = "{CANARY}'),
    ("c.toml", f"password = {CANARY}"),
    ("c.toml", f'password = "{CANARY}\\q"'),
    ("c.toml", f'password = "{CANARY}" x'),
    ("c.toml", f'password = "{CANARY}"'),
    ("c.yaml", f"- name: m\n  type: vault\n  password: {CANARY}${{NO_SUCH_VARIABLE_AT_ALL}}"),
    ("c.yaml", f"- name: m\n  type: vault\n  password: {CANARY}${{"),
    ("c.yaml", f"- name: m\n  type: vault\n  password: [{CANARY}]"),
    ("c.yaml", "- name: m\n  type: vault\n  password: ${SECRET_IN_TESTS}\n  number: x"),
    ("c.yaml", "- name: m\n  type: vault\n  number: ${SECRET_IN_TESTS}"),
]


@pytest.mark.parametrize(("name", "text"), BROKEN_FILES)
@pytest.mark.parametrize("pure_python", [False, True])
def test_an_error_of_a_file_shows_no_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, text: str, pure_python: bool
) -> None:
    import yaml

    from genro_storage.config import yaml_documents

    if pure_python:
        monkeypatch.setattr(yaml_documents, "_Loader", yaml.SafeLoader)
    monkeypatch.setenv("SECRET_IN_TESTS", CANARY)
    (tmp_path / name).write_text(text)
    with pytest.raises(StorageConfigError) as raised:
        load(tmp_path / name)
    assert CANARY not in everything_said(raised.value)


@pytest.mark.parametrize(
    "text",
    [f"- name: m\n  password: {CANARY}", f'[{{"password": "{CANARY}"}}]', f"- {{p: {CANARY}.x}}"],
)
def test_a_text_mistaken_for_a_file_name_is_not_shown(text: str) -> None:
    with pytest.raises(StorageConfigError, match="the path of a file") as raised:
        load(text)
    assert CANARY not in everything_said(raised.value)


def test_bytes_that_are_no_text_are_not_shown(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_bytes(CANARY.encode() + b"\xff")
    with pytest.raises(StorageConfigError) as raised:
        load(tmp_path / "c.yaml")
    assert CANARY not in everything_said(raised.value)


def secret_configuration() -> Any:
    return {
        "mounts": [
            {
                "name": "m",
                "type": "vault",
                "user": CANARY,
                "password": CANARY,
                "url": f"http://u:{CANARY}@host",
                "options": {"secret": CANARY},
            }
        ],
        "signing_key": [CANARY],
        "base_url": f"http://u:{CANARY}@host",
    }


def test_no_value_shows_in_the_repr_of_a_configuration() -> None:
    configuration = load(secret_configuration())
    spec = configuration.mounts[0]
    for value in (configuration, spec, spec.options, configuration.settings):
        for text in (repr(value), str(value), f"{value}", f"{value!r}"):
            assert CANARY not in text
    assert repr(spec) == "MountSpec('m', type=vault, permissions=None)"
    assert repr(spec.options) == "VaultOptions(options, password, url, user)"


def test_a_mount_of_a_file_is_not_pickled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_IN_TESTS", CANARY)
    path = tmp_path / "c.yaml"
    path.write_text("- {name: m, type: vault, password: '${SECRET_IN_TESTS}'}")
    spec = load(path).mounts[0]
    assert isinstance(spec.options, VaultOptions)
    assert spec.options.password.get_secret_value() == CANARY
    with pytest.raises(TypeError, match="cannot be pickled") as raised:
        pickle.dumps(spec)
    assert CANARY not in everything_said(raised.value)


def test_a_mount_given_in_code_is_pickled_as_it_was_given() -> None:
    spec = load(secret_configuration()).mounts[0]
    again = pickle.loads(pickle.dumps(spec))
    assert again == spec
    assert again.literal == spec.literal
