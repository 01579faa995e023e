"""Files: suffixes, syntax, and documents made to hurt."""

from __future__ import annotations

import json
import sys
import time
import tracemalloc
from pathlib import Path

import pytest

from genro_storage.config import load, loading
from genro_storage.config.document_errors import DocumentError
from genro_storage.config.loading import parse_text, read_document
from genro_storage.exceptions import (
    StorageConfigError,
    StorageIsDirectoryError,
    StorageNotFoundError,
)

YAML = "- name: m\n  type: memory\n"
JSON = '[{"name": "m", "type": "memory"}]'
TOML = '[[mounts]]\nname = "m"\ntype = "memory"\n'


def written(directory: Path, name: str, text: str | bytes) -> Path:
    path = directory / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("c.yaml", YAML),
        ("c.yml", YAML),
        ("c.YAML", YAML),
        ("c.json", JSON),
        ("c.JSON", JSON),
        ("c.toml", TOML),
        ("c.Toml", TOML),
        ("c.yaml", b"\xef\xbb\xbf" + YAML.encode()),
        ("c.json", b"\xef\xbb\xbf" + JSON.encode()),
        ("c.yaml", YAML.replace("\n", "\r\n")),
    ],
)
@pytest.mark.parametrize("kind", [str, Path])
def test_a_file_is_read_by_its_suffix(tmp_path: Path, name: str, text: str, kind: type) -> None:
    path = written(tmp_path, name, text)
    configuration = load(kind(path))
    assert [spec.name for spec in configuration.mounts] == ["m"]
    assert configuration.source == path


def test_a_path_may_begin_like_a_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    written(tmp_path, "[1].yaml", YAML)
    assert len(load("[1].yaml").mounts) == 1


def test_an_unknown_suffix_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StorageConfigError, match=r"ends in .yaml, .yml, .json, .toml"):
        load(written(tmp_path, "c.ini", YAML))


def test_a_missing_file_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"missing.yaml: not found") as raised:
        load(tmp_path / "missing.yaml")
    assert isinstance(raised.value, StorageNotFoundError)


def test_a_directory_is_no_configuration(tmp_path: Path) -> None:
    (tmp_path / "d.yaml").mkdir()
    with pytest.raises(StorageIsDirectoryError):
        load(tmp_path / "d.yaml")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("c.yaml", ""),
        ("c.yaml", "\n  \n"),
        ("c.yaml", "# only a comment\n"),
        ("c.yaml", "---\n"),
        ("c.yaml", "~"),
        ("c.json", ""),
        ("c.json", "null"),
        ("c.toml", "\n"),
    ],
)
def test_an_empty_file_says_that_it_is_empty(tmp_path: Path, name: str, text: str) -> None:
    with pytest.raises(StorageConfigError, match="the file is empty"):
        load(written(tmp_path, name, text))


@pytest.mark.parametrize(
    ("name", "text", "line", "column"),
    [
        ("c.yaml", "- name: m\n  type: [memory\n", 3, 1),
        ("c.yaml", "- name: m\n   type: memory\n", 2, 8),
        ("c.yaml", "- name: m\n\ttype: memory\n", 2, 1),
        ("c.yaml", "- name: *nothing\n", 1, 9),
        ("c.yaml", "- name: !!python/object:os.system x\n", 1, 9),
        ("c.yaml", "- name: m\n---\n- name: n\n", 2, 1),
        ("c.yaml", "- name: m\n  type: a\n  type: b\n", 3, 3),
        ("c.yaml", "- {? [a] : b}\n", 1, 6),
        ("c.yaml", "- name: \x07\n", 1, 9),
        ("c.json", '[{"name": "m",}]', 1, None),
        ("c.json", '[\n{"name" "m"}]', 2, 9),
        ("c.toml", "[[mounts]]\nname = \n", 2, 8),
        ("c.toml", 'name = "m"\nname = "n"\n', 2, None),
    ],
)
def test_a_syntax_error_names_file_line_and_column(
    tmp_path: Path, name: str, text: str, line: int, column: int | None
) -> None:
    with pytest.raises(StorageConfigError) as raised:
        load(written(tmp_path, name, text))
    place = f"{tmp_path / name}: line {line}, column "
    assert str(raised.value).startswith(place if column is None else f"{place}{column}: ")
    assert raised.value.__context__ is None


@pytest.mark.parametrize(
    "text",
    [
        '[{"name": "m", "name": "n"}]',
        '{"mounts": [], "mounts": []}',
    ],
)
def test_a_repeated_key_is_an_error_in_json_too(tmp_path: Path, text: str) -> None:
    with pytest.raises(StorageConfigError, match=r"the key '(name|mounts)' is given twice"):
        load(written(tmp_path, "c.json", text))


@pytest.mark.parametrize("suffix", [".yaml", ".json", ".toml"])
def test_a_file_that_is_not_utf8_names_the_line(tmp_path: Path, suffix: str) -> None:
    with pytest.raises(StorageConfigError, match="line 2: the text is not valid UTF-8"):
        load(written(tmp_path, f"c{suffix}", b"a\nb\xff"))


@pytest.mark.parametrize("text", ["[NaN]", "[Infinity]", "[-Infinity]", "[" + "9" * 5000 + "]"])
def test_numbers_that_json_does_not_have_are_errors(text: str) -> None:
    with pytest.raises(DocumentError, match=r"not JSON|too many digits"):
        parse_text(text, ".json")


@pytest.mark.parametrize("text", ["- 2026-13-45", "- 9999-99-99 99:99:99", "- 0o9", "- -:-"])
def test_a_yaml_date_or_number_that_is_none_is_text_or_a_clear_error(text: str) -> None:
    try:
        assert isinstance(parse_text(text, ".yaml")[0], str)
    except DocumentError as problem:
        assert "out of range; quote it" in str(problem)


def test_merge_keys_and_aliases_of_honest_size_work() -> None:
    text = "- &base {name: a, type: memory}\n- {<<: *base, name: b}\n- &l [1, 2]\n- *l\n"
    assert parse_text(text, ".yaml") == [
        {"name": "a", "type": "memory"},
        {"name": "b", "type": "memory"},
        [1, 2],
        [1, 2],
    ]


# -- documents made to hurt -------------------------------------------------------------------


def _laughs(template: str, first: str) -> str:
    lines = [f"a0: &a0 {first}"]
    lines += [f"a{n}: &a{n} " + template.format(f"*a{n - 1}") for n in range(1, 40)]
    return "\n".join(lines)


BOMBS = {
    "aliases.yaml": _laughs("[{0},{0},{0},{0},{0},{0},{0},{0},{0}]", "[x]"),
    "wide.yaml": "a: &a [" + "x," * 20_000 + "]\nb: [" + "*a," * 20_000 + "]",
    "merge.yaml": _laughs("{{<<: [{0},{0},{0},{0},{0},{0},{0},{0},{0}]}}", "{x: y}"),
    "itself.yaml": "a: &a [*a]",
    "merge_itself.yaml": "a: &a {<<: *a}",
    "mutual.yaml": "&a [&b {k: [*a, *b]}]",
    "deep_flow.yaml": "[" * 200_000,
    "deep_closed.yaml": "[" * 50_000 + "]" * 50_000,
    "deep_block.yaml": "- " * 200_000 + "x",
    "deep_mapping.yaml": "{a: " * 100_000,
    "deep_aliases.yaml": "\n".join(
        ["a0: &a0 [x]", *(f"a{i}: &a{i} [*a{i - 1}]" for i in range(1, 5000))]
    ),
    "sexagesimal.yaml": "a: " + "1:" * 1_000_000 + "1",
    "digits.yaml": "a: " + "9" * 1_000_000,
    "deep.json": "[" * 200_000,
    "deep_closed.json": "[" * 100 + "]" * 100,
    "deep_objects.json": '{"a":' * 200_000,
    "digits.json": "9" * 1_000_000,
    "deep.toml": "a = " + "[" * 100_000,
    "deep_closed.toml": "a = " + "[" * 100 + "]" * 100,
    "dotted.toml": "a." * 500_000 + "a = 1",
    "dotted_quoted.toml": '"a" . ' * 200_000 + "a = 1",
    "dotted_escaped.toml": '"\\"".' * 200_000 + "a = 1",
    "dotted_table.toml": "[" + "a." * 500_000 + "a]",
    "digits.toml": "a = " + "9" * 1_000_000,
}


@pytest.mark.slow
@pytest.mark.parametrize("name", BOMBS)
def test_a_document_made_to_hurt_is_refused_soon_and_small(tmp_path: Path, name: str) -> None:
    path = written(tmp_path, name, BOMBS[name])
    started = time.thread_time()
    tracemalloc.start()
    try:
        with pytest.raises(StorageConfigError) as raised:
            load(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(str(raised.value)) < 1000
    # Wide margins: without the guards these take minutes, or all memory there is. It is the work of
    # this thread that counts, since a busy machine gives the processor to others meanwhile.
    assert time.thread_time() - started < 30
    assert peak < 512 * 1024 * 1024


def test_a_document_with_too_many_values_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from genro_storage.config import yaml_documents

    monkeypatch.setattr(yaml_documents, "MAX_NODES", 100)
    parse_text("[" + "x," * 99 + "]", ".yaml")
    for text in ("[" + "x," * 100 + "]", "[" + "x," * 1000 + "]", "- x\n" * 1000):
        with pytest.raises(DocumentError, match="more than 100 values"):
            parse_text(text, ".yaml")


def test_a_file_beyond_the_limit_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "big.yaml"
    with path.open("wb") as stream:
        stream.truncate(loading.MAX_BYTES + 1)
    with pytest.raises(StorageConfigError, match="larger than 32 MiB"):
        load(path)


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="needs an endless device")
def test_an_endless_device_is_refused(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").symlink_to("/dev/zero")
    with pytest.raises(StorageConfigError, match="larger than 32 MiB"):
        load(tmp_path / "c.yaml")


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".yaml", ".json", ".toml"])
def test_ten_thousand_mounts_load_in_seconds(tmp_path: Path, suffix: str) -> None:
    mounts = [{"name": f"m{i}", "type": "local", "path": f"/data/{i}"} for i in range(10_000)]
    if suffix == ".json":
        text = json.dumps(mounts)
    elif suffix == ".yaml":
        text = "".join(
            f"- name: {m['name']}\n  type: {m['type']}\n  path: {m['path']}\n" for m in mounts
        )
    else:
        text = "".join(
            f'[[mounts]]\nname = "{m["name"]}"\ntype = "local"\npath = "{m["path"]}"\n'
            for m in mounts
        )
    started = time.thread_time()
    configuration = load(written(tmp_path, f"c{suffix}", text))
    assert len(configuration.mounts) == 10_000
    assert time.thread_time() - started < 30


def test_the_pure_python_yaml_parser_gives_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    import yaml

    from genro_storage.config import yaml_documents

    monkeypatch.setattr(yaml_documents, "_Loader", yaml.SafeLoader)
    assert parse_text(YAML, ".yaml") == [{"name": "m", "type": "memory"}]
    for name in ("aliases.yaml", "merge.yaml", "itself.yaml", "deep_flow.yaml", "deep_block.yaml"):
        with pytest.raises(DocumentError, match="line"):
            parse_text(BOMBS[name], ".yaml")


def test_variables_come_from_the_environment_that_is_given(tmp_path: Path) -> None:
    path = written(tmp_path, "c.yaml", "- ${A}\n- $${A}\n")
    assert read_document(path, {"A": "1"}) == ["1", "${A}"]


def test_a_recursion_limit_does_not_decide_what_loads(tmp_path: Path) -> None:
    assert sys.getrecursionlimit() > loading.MAX_DEPTH * 4
    document = parse_text("[" * 64 + "]" * 64, ".yaml")
    for _ in range(63):
        document = document[0]
    assert document == []
