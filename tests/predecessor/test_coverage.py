"""Each fault of the predecessor has a test that would catch it, or a reason why not here."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

FAULTS = range(1, 37)

LATER = {
    1: "multipart ETags exist on S3 only",
    18: "headers of serve(), which is not part of the foundation",
    22: "serve(), which is not part of the foundation",
    33: "deleting versions on S3 and the region's key",
    35: "the Flask example of serve()",
    36: "the asynchronous classes",
}


def docstrings():
    """(file, test, its docstring), for the tests beside this one."""
    for file in sorted(Path(__file__).parent.glob("test_*.py")):
        for statement in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(statement, ast.FunctionDef) and statement.name.startswith("test_"):
                yield file.name, statement.name, ast.get_docstring(statement) or ""


def covered():
    found = {}
    for file, test, text in docstrings():
        for number in re.findall(r"\bW(\d+)\b", text):
            found.setdefault(int(number), []).append(f"{file}::{test}")
    return found


@pytest.mark.parametrize("number", FAULTS)
def test_the_fault_is_tested_or_belongs_to_a_later_part(number):
    tests = covered().get(number, [])
    assert bool(tests) != (number in LATER), (
        f"W{number} is tested by {tests or 'nothing'}, and LATER says {LATER.get(number)!r}"
    )


def test_no_test_names_a_fault_that_does_not_exist():
    assert set(covered()) <= set(FAULTS)
    assert set(LATER) <= set(FAULTS)


def test_every_test_here_names_its_fault():
    unnamed = [
        f"{file}::{test}"
        for file, test, text in docstrings()
        if file != Path(__file__).name and not re.search(r"\bW\d+\b", text)
    ]
    assert unnamed == []
