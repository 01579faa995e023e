"""The generated parts of the documents are what the code would generate now."""

from __future__ import annotations

import pytest

from tools.generate_docs import PARTS, ROOT, built_in, documents, regenerated

WITH_PARTS = [path for path in documents() if "<!-- generated: " in path.read_text("utf-8")]


@pytest.mark.parametrize("path", WITH_PARTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_is_generated_is_up_to_date(path):
    text = path.read_text(encoding="utf-8")
    assert text.count("<!-- generated: ") == text.count("<!-- end of ")
    assert regenerated(text) == text, "run: python tools/generate_docs.py"


def test_every_part_stands_in_some_document():
    everything = "".join(path.read_text(encoding="utf-8") for path in WITH_PARTS)
    for name in PARTS:
        assert f"<!-- generated: {name} -->" in everything, name


def test_the_readme_lists_every_type_of_mount():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert {"local", "memory", "base64", "fsspec", "s3", "sftp", "zip", "github"} <= {
        row.name for row in built_in()
    }
    for row in built_in():
        assert f"| `{row.name}` | {row.summary} |" in readme


def test_a_part_that_is_out_of_date_is_noticed():
    head, tail = "<!-- generated: backends -->\n", "<!-- end of backends -->"
    assert regenerated(f"{head}| old |\n{tail}") != f"{head}| old |\n{tail}"
    once = regenerated(head + tail)
    assert regenerated(once) == once


def test_an_unknown_part_is_an_error():
    with pytest.raises(KeyError):
        regenerated("<!-- generated: nobody -->\n<!-- end of nobody -->")
