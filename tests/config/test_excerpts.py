"""What is shown of a file that is no YAML, JSON or TOML: where, what was expected, and no value."""

from __future__ import annotations

import random
import string
from pathlib import Path

import pytest
import yaml

from genro_storage.config import load, yaml_documents
from genro_storage.config.excerpts import excerpt
from genro_storage.config.model import known_keys
from genro_storage.exceptions import StorageConfigError

QUOTE = "put the value in quotes"


@pytest.fixture(params=["CSafeLoader", "SafeLoader"])
def parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    loader = getattr(yaml, request.param, None)
    if loader is None:
        pytest.skip("PyYAML has no parser in C here")
    monkeypatch.setattr(yaml_documents, "_Loader", loader)


def said_about(directory: Path, text: str, name: str = "mounts.yaml") -> str:
    (directory / name).write_text(text)
    with pytest.raises(StorageConfigError) as raised:
        load(directory / name)
    assert raised.value.message.startswith(f"{directory / name}: line ")
    return raised.value.message.removeprefix(f"{directory / name}: ")


@pytest.mark.usefixtures("parser")
@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "- name: m\n  tags: [a, b\n- name: n\n",
            "expected ',' or ']' here, in the list that '[' o",
        ),
        ("- {name: m, type: memory\n- {}\n", "expected ',' or '}' here, in the mapping that '{'"),
        (
            "- name: m\n   type: memory\n",
            "this key does not start in the column of the keys before",
        ),
        (
            "mounts:\n  - name: m\n   type: x\n",
            "expected '- ' here, as in line 2 where the list be",
        ),
        (
            "mounts:\n  name: m\n  - type: x\n",
            "expected a key here, as in line 2 where the mapping",
        ),
        ("mounts:\n\t- name: m\n", "a tab where only spaces may be"),
        ("- name: m\n\ttype: memory\n", "a tab where only spaces may be"),
        (
            "- name: m\n  password: a: b\n",
            "a second ':' in one line; a value that holds ': ' needs q",
        ),
        (
            "- name: m\n  password: 'it's'\n",
            "the value has ended before; put the whole of it in qu",
        ),
        ("- name: m\n  type:memory\n", "expected ': ' (a colon and a space) after this key"),
        (
            "- name: m\n  type memory\n  path: x\n",
            "expected ': ' (a colon and a space) after this key",
        ),
        ("mounts: - name: m\n", "a list begins on a line of its own, with '- '"),
        ("- password: @home\n", f"a value cannot begin with this character; {QUOTE}"),
        ("- password: %40\n", f"a value cannot begin with this character; {QUOTE}"),
        ("- password: 'open\n  type: x\n", "these quotes are never closed"),
        ('- path: "C:\\data"\n', "a backslash in double quotes begins an escape; double it"),
        ("- path: *.txt\n", f"'*' and '&' stand for aliases; {QUOTE} to mean text"),
        ("- password: *x\n", f"'*' and '&' stand for aliases; {QUOTE} to mean text"),
        (
            "- password: !x\n",
            f"'!' stands for a tag, and this one is unknown; {QUOTE} to mean text",
        ),
        ("- name: m\n---\n- name: n\n", "a second document begins here ('---')"),
        ("- password: >x\n", "what '|' or '>' announce begins on the next line"),
        ("- {? [a] : b}\n", "a list or a mapping cannot be a key"),
        ("- <<: 3\n  name: x\n", "'<<' needs a mapping"),
        ("- [\n", "expected a value here"),
        ("%x\n", "'%' cannot begin a line"),
    ],
)
def test_a_mistake_in_yaml_says_what_was_expected(tmp_path: Path, text: str, words: str) -> None:
    said = said_about(tmp_path, text)
    assert f": invalid YAML: {words}" in said
    assert said.endswith("^")


def test_what_a_parser_says_otherwise_is_kept_without_what_it_quotes() -> None:
    mark = yaml.Mark("c.yaml", 0, 0, 3, None, 0)
    error = yaml.MarkedYAMLError("while doing it", mark, "met 'se:cret', not '<block end>'", mark)
    problem = yaml_documents._problem(error, "a: b")
    assert str(problem) == (
        "line 1, column 4: invalid YAML: while doing it met something, not '<block end>'"
    )


@pytest.mark.usefixtures("parser")
def test_the_line_is_shown_with_the_one_before_it_and_a_mark(tmp_path: Path) -> None:
    text = "mounts:\n  - name: box\n    type: sftp\n    password: open: sesame\n"
    assert said_about(tmp_path, text) == (
        "line 4, column 19: invalid YAML: a second ':' in one line; a value that holds ': ' needs "
        "quotes\n"
        "    3 |     type: ...\n"
        "    4 |     password: ...\n"
        "      |               ^"
    )


@pytest.mark.usefixtures("parser")
def test_behind_the_end_it_is_the_last_line(tmp_path: Path) -> None:
    assert said_about(tmp_path, "- name: m\n  colours: [a\n\n\n").endswith(
        "    1 | - name: ...\n    2 |   ...\n      |      ^"
    )


def test_json_and_toml_show_it_too(tmp_path: Path) -> None:
    said = said_about(tmp_path, '[\n  {"name": "m" "type": "x"}\n]', "c.json")
    assert said == (
        "line 2, column 16: invalid JSON: Expecting ',' delimiter\n"
        "    1 | ...\n"
        '    2 |   {"name": ... "type": ...\n'
        "      |                ^"
    )
    said = said_about(tmp_path, '[[mounts]]\nname = "m"\ntype = \n', "c.toml")
    assert said.endswith("    2 | name = ...\n    3 | type =\n      |       ^")


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("  - name: m", "  - name: ..."),
        ("- {name: m, type: local, path: x}", "- {name: ..., type: ..., path: ..."),
        ("    MIIEvQIBADANBgkqhkiG9w0BAQEFAASC", "    ..."),
        ("  key: AKIA # name: x", "  key: ... name: ..."),
        ("  password: surname: x", "  password: ..."),
        ("  unknown: x", "  ..."),
        ('"name": "m",', '"name": ...'),
        ("name='m'", "name..."),
        ("mounts:", "mounts:"),
        ("-name: x", "-name: ..."),
        ("  names: x", "  ..."),
    ],
)
def test_only_indentation_and_known_keys_are_shown(line: str, shown: str) -> None:
    assert excerpt(line, 1, 1, known_keys()).split("\n")[0] == f"    1 | {shown}"


def test_nothing_else_is_shown_wherever_the_mark_is() -> None:
    chance = random.Random(3)
    keys = ["name", "type", "password"]
    # No letter of a key, and no sign that structure is made of.
    hidden = "".join(each for each in string.ascii_uppercase + string.digits + "!§€/+%")
    parts = [
        "- ",
        "  ",
        "name: ",
        "type:",
        "password = ",
        "{",
        "[",
        '"',
        "'",
        ", ",
        "\t",
        ": ",
        "#",
    ]
    for _ in range(3000):
        line = "".join(
            chance.choice(parts)
            if chance.random() < 0.6
            else "".join(chance.choices(hidden, k=chance.randint(1, 90)))
            for _ in range(chance.randint(0, 8))
        )
        column = chance.randint(1, len(line) + 3)
        above, shown, mark = excerpt(f"name: X\n{line}X", 2, column, keys).split("\n")
        assert above == "    1 | name: ..."
        assert not set(shown.removeprefix("    2 | ")) & set(hidden), (line, shown)
        assert mark.endswith("^") and mark.index("^") <= len(shown) + 3


def test_a_long_line_is_cut(tmp_path: Path) -> None:
    text = "[" + ", ".join('{"name": "x"}' for _ in range(100_000)) + " 3]"
    *_, shown, mark = said_about(tmp_path, text, "c.json").split("\n")
    assert len(shown) < 300
    assert len(mark) <= len(shown) + 1
