"""Lines of a .gitignore: what git says about them is what we say."""

from __future__ import annotations

import os
import pickle
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from genro_storage.exceptions import StorageMissingExtraError, StorageValueError
from genro_storage.info import FileInfo
from genro_storage.transfer.planning.filters import Filters
from genro_storage.transfer.planning.gitignore import GitIgnore, pattern_lines
from tests.support.peers import skip_or_fail

NAMES = ("a", "b", "ab", "a.b", "b.a", "!a", "#b", "A", "e1", "[a]")
FILES = [
    path
    for one in NAMES
    for path in (f"{one}f", *(f"{one}/{two}f" for two in NAMES), f"{one}/a/b", f"{one}/ab/a/a")
]
DIRECTORIES = sorted({str(up) for path in FILES for up in Path(path).parents} - {"."})


class Git:
    """The program git, asked about a tree with a .gitignore in its root."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.env = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
        subprocess.run(["git", "init", "--quiet", root], env=self.env, check=True)
        for path in FILES:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).touch()

    def decisions(self, lines: list[str]) -> dict[str, str | None]:
        """For each path the line that leaves it out, or None."""
        (self.root / ".gitignore").write_text("\n".join(lines) + "\n", encoding="utf-8")
        done = subprocess.run(
            ["git", "check-ignore", "--no-index", "-z", "--stdin", "--verbose", "--non-matching"],
            input="\0".join([*FILES, *DIRECTORIES]) + "\0",
            cwd=self.root,
            env=self.env,
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
        assert done.returncode in (0, 1), done.stderr
        fields = iter(done.stdout.split("\0"))
        return {
            path: line if line and not line.startswith("!") else None
            for _, _, line, path in zip(fields, fields, fields, fields, strict=False)
        }


@pytest.fixture(scope="module")
def git(tmp_path_factory):
    if shutil.which("git") is None:
        skip_or_fail("git is missing; install it with: apt-get install git")
    return Git(tmp_path_factory.mktemp("repository"))


def our_decisions(lines: list[str]) -> dict[str, str | None]:
    ours = GitIgnore(lines)
    found = {path: ours.excluding(path) for path in FILES}
    return found | {path: ours.excluding_directory(path) for path in DIRECTORIES}


@pytest.mark.parametrize(
    "lines",
    [
        ["*f"],
        ["*f", "!af"],
        ["a/"],
        ["a/", "!a/a"],
        ["a/**", "!a/af", "!a/a/"],
        ["a/*", "!a/ab"],
        ["/a"],
        ["/a/", "b/af"],
        ["**/a/b"],
        ["a/**/a"],
        ["b/**/"],
        ["*/", "!b/"],
        ["*", "!a", "!/a/bf"],
        ["/*", "!/ab"],
        ["!/", "a"],
        [r"\!a", r"\#b", "#b"],
        ["[ab]f", "[!a]/bf"],
        ["[[:alpha:]][[:digit:]]/", "[^[:lower:]]f"],
        [r"[[]a]/[\a-c]f", r"\[a]f"],
        ["?", "!??"],
        ["A", "ab  ", "\tb"],
        ["é", "a.b/?b*"],
        ["*a*/[!b]*", "!*/[]a]f"],
    ],
    ids=" ".join,
)
def test_git_decides_the_same(git, lines):
    assert our_decisions(lines) == git.decisions(lines)


def test_a_character_is_one_where_git_counts_bytes():
    assert GitIgnore("?.txt").excluding("é.txt") == "?.txt"
    assert GitIgnore("[!a].txt").excluding("é.txt") == "[!a].txt"


SEGMENTS = ("a", "b", "*", "**", "?", "ab", "*f", "a*", "[ab]", "[!a]", "?b", "[b-a]f", "*.?")


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(8))
def test_git_decides_the_same_about_any_lines(git, seed):
    chance = random.Random(seed)
    for _ in range(40):
        lines = [
            chance.choice(("", "", "!"))
            + chance.choice(("", "", "/"))
            + "/".join(chance.choices(SEGMENTS, k=chance.randint(1, 3)))
            + chance.choice(("", "", "/"))
            for _ in range(chance.randint(1, 4))
        ]
        assert our_decisions(lines) == git.decisions(lines), lines


# -- lines ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("", ()),
        ([], ()),
        ("*.o\n# no\n\n  \n!a.o", ("*.o", "!a.o")),
        (["a  ", r"b\   ", " c"], ("a", r"b\ ", " c")),
        ("\ufeff*.o\r\nb\r\n", ("*.o", "b")),
        (["*.o\n*.a", "b\u2028c"], ("*.o", "*.a", "b\u2028c")),
    ],
)
def test_lines_are_those_of_a_file(given, expected):
    assert pattern_lines(given) == expected


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (7, r"patterns= takes lines as in \.gitignore.* not 7"),
        ({"*.o"}, r"patterns= takes lines as in \.gitignore"),
        (["*.o", None], r"patterns= .* each a text; not None"),
        (["*.o", "!"], r"patterns= has '!', which is no pattern"),
        ("a\\", r"patterns= has 'a\\\\', which is no pattern"),
        ("[ab", r"patterns= has '\[ab', .* not closed"),
        ("[a\\", r"patterns= has '\[a\\\\', .* not closed"),
        ("[[:word:]]", r"patterns= has .* no class 'word'.* alnum"),
    ],
)
def test_what_is_no_pattern_is_refused(given, message):
    with pytest.raises(StorageValueError, match=message):
        GitIgnore(given)


def test_without_pathspec_the_fix_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "pathspec", None)
    for module in [name for name in sys.modules if name.startswith("pathspec.")]:
        monkeypatch.setitem(sys.modules, module, None)
    assert not Filters(patterns="# nothing to match")
    with pytest.raises(StorageMissingExtraError, match=r'pip install "genro-storage\[filters\]"'):
        Filters(patterns="*.o")


# -- in the filters --------------------------------------------------------------------------------------


def test_the_reason_names_the_line_also_where_a_directory_is_left_out():
    filters = Filters(patterns=["node_modules/", "*.log", "!keep.log"])
    info = FileInfo("x", "file")
    assert filters.reason(info, "a/node_modules/b/c.js") == "matching pattern 'node_modules/'"
    assert filters.reason(info, "a/b.log") == "matching pattern '*.log'"
    assert filters.reason(info, "a/keep.log") is None
    assert filters.reason(info, "node_modules/keep.log") == "matching pattern 'node_modules/'"


@pytest.mark.parametrize(
    ("patterns", "directory", "expected"),
    [
        ("build/", "a/build", (False, False)),
        ("build/", "a/build/deeper", (False, False)),
        ("/build", "a/build", (True, True)),
        ("build/*", "build", (True, True)),
        ("*\n!*/", "a", (True, True)),
        ("*", "a", (False, False)),
    ],
)
def test_a_directory_that_is_left_out_is_neither_entered_nor_made(patterns, directory, expected):
    filters = Filters(patterns=patterns)
    assert (filters.may_hold(directory), filters.keeps_directory(directory)) == expected


def test_a_very_deep_tree_is_no_matter():
    deep = "/".join("a" * 3000)
    assert GitIgnore("b").excluding(deep) is None
    assert GitIgnore("/a/a").excluding(deep) == "/a/a"


def test_directories_are_forgotten_and_not_held():
    lines = GitIgnore("out/")
    for number in range(10_000):
        assert lines.excluding(f"d{number}/out/f") == "out/"
    assert len(lines._directories) < 5_000


def test_they_travel_to_other_processes():
    filters = pickle.loads(
        pickle.dumps(Filters("*.py", "x*", patterns="b.py", min_size=3, max_age="1h", now=9))
    )
    assert filters.reason(FileInfo("b.py", "file", 9), "b.py") == "matching pattern 'b.py'"
    assert filters.reason(FileInfo("a.py", "file", 2), "a.py") == "smaller than 3 bytes"
    assert filters.reason(FileInfo("a.py", "file", 3), "a.py") == "age unknown"
