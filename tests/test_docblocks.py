"""The runner of the documents' code blocks notices what it must notice."""

from __future__ import annotations

import pytest
import yaml

from tests.support.docblocks import Reader, blocks_of, looks_like_mounts


@pytest.fixture
def follow(tmp_path, monkeypatch):
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)

    def follow(text):
        document = tmp_path / "page.md"
        document.write_text(text.replace("'''", "```"), encoding="utf-8")
        return Reader(work).follow(document)

    return follow


@pytest.mark.parametrize(
    "text",
    [
        "'''python\nassert False\n'''\n",
        "'''python\n>>> 1 + 1\n3\n'''\n",
        "'''python\nsyntax error\n'''\n",
        "'''bash\nfalse\necho reached\n'''\n",
        "'''console\n$ echo one\ntwo\n'''\n",
        "'''console\n$ exit 3\n'''\n",
        "'''console\n$ exit 3\n$ echo $?\n4\n'''\n",
        "'''console\nno prompt\n'''\n",
        "'''yaml\na: [\n'''\n",
        "'''toml\na =\n'''\n",
        "'''json\n{'a': 1}\n'''\n",
        "'''yaml used-by-nobody.yaml\na: 1\n'''\n",
        "'''cobol\nDISPLAY 'x'.\n'''\n",
        "'''\nno language\n'''\n",
        "Text\n\n    indented code\n",
        "<!-- not run: -->\n'''bash\nfalse\n'''\n",
        "<!-- not run -->\n'''bash\nfalse\n'''\n",
        "<!-- Not-run: this is misspelt -->\n'''bash\nfalse\n'''\n",
        "<!-- not run: a reason that explains -->\n\nA paragraph between.\n\n'''bash\nfalse\n'''\n",
        "<!-- not run: a reason that explains -->\n",
        "'''{code-block} python\nassert False\n'''\n",
        "''''{note}\n'''python\nassert False\n'''\n''''\n",
    ],
)
def test_what_is_wrong_in_a_document_fails(follow, text):
    with pytest.raises((AssertionError, SyntaxError, ValueError, yaml.YAMLError)):
        follow(text)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("'''python\nx = 1\n'''\nText\n'''python\nassert x == 1\n'''\n", 2),
        ("'''python\nx = 1\n'''\n'''python\n>>> x + 1\n2\n'''\n", 2),
        ("'''python\n>>> x = 1\n'''\n'''python\n>>> x + 1\n2\n'''\n", 2),
        (
            "'''bash\nexport X=5\nmkdir d\ncd d\n'''\n'''console\n$ echo $X ${PWD##*/}\n5 d\n'''\n",
            2,
        ),
        ("'''console\n$ exit 3\n$ echo $?\n3\n'''\n", 1),
        ("'''console\n$ echo one \\\n    two\none two\n$ true\n'''\n", 1),
        ("'''console\n$ echo took 17 ms\ntook ... ms\n'''\n", 1),
        ("'''yaml a.yaml\nx: 1\n'''\n'''console\n$ cat a.yaml\nx: 1\n'''\n", 2),
        ("'''python job.py\nprint('ran')\n'''\n'''console\n$ python job.py\nran\n'''\n", 2),
        ("<!-- not run: needs a real account -->\n'''bash\nfalse\n'''\n", 0),
        ("'''text\nanything\n'''\n", 0),
        ("'''{toctree}\n:maxdepth: 1\n'''\n", 0),
        (":::{note}\n'''python\nassert True\n'''\n:::\n", 1),
    ],
)
def test_what_is_right_in_a_document_runs(follow, text, count):
    assert follow(text) == count


def test_a_failure_names_the_line_of_the_document(follow, tmp_path):
    with pytest.raises(AssertionError, match=r"page\.md:4"):
        follow("# Title\n\n'''console\n$ echo one\ntwo\n'''\n")


def test_an_exemption_keeps_its_reason(tmp_path):
    document = tmp_path / "page.md"
    document.write_text("<!-- not run: needs a\nreal account -->\n```bash\nfalse\n```\n")
    assert [block.exempt for block in blocks_of(document)] == ["needs a real account"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ([{"name": "a", "type": "memory"}], True),
        ({"mounts": []}, True),
        ([], False),
        ({"name": "a"}, False),
        ([1, 2], False),
    ],
)
def test_mounts_are_recognised(value, expected):
    assert looks_like_mounts(value) is expected
