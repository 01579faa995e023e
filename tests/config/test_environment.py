"""``${VAR}`` in files."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genro_storage.config import environment
from genro_storage.config.environment import (
    InterpolationError,
    interpolate,
    interpolate_text,
)
from genro_storage.exceptions import StorageConfigError

NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True)
PLAIN = st.text(st.characters(exclude_characters="$"))
DEFAULTS = st.text(st.characters(exclude_characters="}"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("${A}", "1"),
        ("x${A}y${B}z", "x1y2z"),
        ("${NONE:-d}", "d"),
        ("${A:-d}", "1"),
        ("${EMPTY:-d}", "d"),
        ("${EMPTY}", ""),
        ("${NONE:-}", ""),
        ("${NONE:-a:-b}", "a:-b"),
        ("$${A}", "${A}"),
        ("$$${A}", "$${A}"),
        ("$A $$ 5$", "$A $$ 5$"),
        ("${QUOTING}", "${A}"),
    ],
)
def test_a_text_is_interpolated(text: str, expected: str) -> None:
    environ = {"A": "1", "B": "2", "EMPTY": "", "QUOTING": "${A}"}
    assert interpolate_text(text, environ) == expected


@pytest.mark.parametrize("text", ["${", "${}", "${1A}", "${A", "${A-b}", "${A B}", "${A:+x}"])
def test_a_malformed_variable_says_how_to_write_one(text: str) -> None:
    with pytest.raises(InterpolationError, match=r"write '\$\$\{' for a literal"):
        interpolate_text(text, {"A": "1"})


@given(PLAIN)
def test_a_text_without_variables_stays_as_it_is(text: str) -> None:
    assert interpolate_text(text, {}) == text


@given(PLAIN, NAMES, st.text(), PLAIN)
def test_a_variable_becomes_its_value_whatever_that_holds(
    before: str, name: str, value: str, after: str
) -> None:
    assert interpolate_text(f"{before}${{{name}}}{after}", {name: value}) == before + value + after


@given(NAMES, DEFAULTS)
def test_a_missing_variable_becomes_its_default(name: str, default: str) -> None:
    assert interpolate_text(f"${{{name}:-{default}}}", {}) == default


@given(st.text())
def test_an_escaped_text_comes_back(text: str) -> None:
    assert interpolate_text(text.replace("${", "$${"), {}) == text


def test_every_text_value_is_interpolated_and_no_key() -> None:
    document = [{"name": "m", "options": {"${A}": ["${A}", 3, None, True]}}]
    result = interpolate(document, {"A": "1"}, label="f")
    assert result == [{"name": "m", "options": {"${A}": ["1", 3, None, True]}}]


@pytest.mark.parametrize(
    ("document", "place"),
    [
        ([{"name": "m", "secret": "${GONE}"}], "conf: mount 'm': key 'secret': "),
        ([{"secret": "${GONE}"}], "conf: mount #1: key 'secret': "),
        ({"mounts": [{"name": "m", "o": {"k": ["${GONE}"]}}]}, "conf: mount 'm': key 'o.k[0]': "),
        ({"signing_key": ["${GONE}"]}, "conf: key 'signing_key[0]': "),
        ("${GONE}", "conf: "),
    ],
)
def test_a_missing_variable_names_file_mount_key_and_variable(document: object, place: str) -> None:
    with pytest.raises(StorageConfigError) as raised:
        interpolate(document, {}, label="conf")
    assert str(raised.value).startswith(f"{place}the environment variable 'GONE' is not set")
    assert raised.value.__context__ is None


def test_variables_cannot_grow_a_document_without_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "MAX_TEXT", 1000)
    with pytest.raises(StorageConfigError, match="grow the file by more than"):
        interpolate(["${A}"] * 20, {"A": "x" * 100}, label="conf")


def test_a_variable_inside_a_default_is_refused_rather_than_cut_in_two():
    with pytest.raises(environment.InterpolationError, match="'A' holds another variable"):
        environment.interpolate_text("${A:-${B}}", {"A": "1", "B": "2"})
