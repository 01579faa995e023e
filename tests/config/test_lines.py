"""In which line a mistake is, and how files are named where one is told."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from genro_storage import StorageManager
from genro_storage.config import load
from genro_storage.exceptions import StorageConfigError


def failure(path: Path) -> str:
    with pytest.raises(StorageConfigError) as caught:
        load(path)
    return caught.value.message


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("- name: x\n  type: local\n  path: x\n\n  # a comment\n  fsnc: 1\n", [6]),
        ("mounts:\n  - type: local\n    path: x\n    fsync: deep\n    name: x\n", [4]),
        ("- {name: x, type: local}\n-\n  name: y\n  typ: local\n- 3\n", [1, 4, 5]),
        ("- name: x\n  permissions: all\n  type: local\n  path: x\n", [2]),
        ("- name: x\n  type: locl\n", [2]),
        ("- {name: x, type: memory}\n- type: memory\n  name: x\n", [3]),
        ("base_ulr: x\nmounts: []\n", [1]),
        ("- &a\n  name: x\n  type: memory\n  z: 1\n- {<<: *a, name: y}\n", [4, 5]),
    ],
)
def test_a_mistake_in_a_yaml_file_has_its_line(tmp_path: Path, text: str, lines: list[int]) -> None:
    path = tmp_path / "mounts.yaml"
    path.write_text(text)
    assert [int(number) for number in re.findall(r"line (\d+): ", failure(path))] == lines


@pytest.mark.parametrize("name", ["mounts.json", "mounts.toml"])
def test_in_other_files_no_line_is_invented(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    mount = {"name": "x", "type": "memory", "z": 1}
    path.write_text(
        json.dumps([mount])
        if name.endswith("json")
        else "mounts = [{name = 'x', type = 'memory', z = 1}]"
    )
    assert failure(path).startswith(f"{path}: mount 'x' (memory): unknown option 'z'")


@pytest.mark.parametrize("written", ["bad.yaml", "./bad.yaml", "sub/../bad.yaml"])
@pytest.mark.parametrize(
    "text",
    ["- {name: x, type: memory, z: 1}", "- {name: x, path: 'y:'}", "- [", "- {name: '${NO}'}"],
)
def test_a_file_is_named_as_it_was_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: str, text: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub").mkdir()
    (tmp_path / "bad.yaml").write_text(text)
    with pytest.raises(StorageConfigError) as caught, StorageManager() as storage:
        storage.configure(written)
    assert str(caught.value).startswith(f"{Path(written)}: ")


@pytest.mark.parametrize(
    "keys",
    [
        "type: zip, mode: r, file: ./a/../b.x",
        "type: zip, mode: r, file: ././a//b.x",
        "type: local, path: ./b.x",
        "type: git, path: ./b.x",
    ],
)
def test_paths_in_messages_have_one_form(tmp_path: Path, keys: str) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "mounts.yaml").write_text(f"- {{name: x, {keys}}}")
    with StorageManager() as storage:
        try:
            storage.configure(tmp_path / "mounts.yaml")
            (health,) = storage.check()
            said = health.reason
        except StorageConfigError as error:
            said = str(error)
    assert "b.x' does not exist" in said
    assert "/./" not in said and "//" not in said
    assert ("/../" in said) is ("/../" in keys)  # where that leads, links decide
