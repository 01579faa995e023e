"""Which paths the lines of a ``.gitignore`` leave out. Pure: no I/O.

The package pathspec translates a line; what git does with the lines stands here: the last line
that matches a path decides, and below a directory that is left out nothing is taken back.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from ...exceptions import StorageMissingExtraError, StorageValueError
from .brackets import extract_brackets

__all__ = ["GitIgnore", "pattern_lines"]

_Match = Callable[[str], object]
# How pathspec says, in a regular expression, where the name of a directory ends.
_MARK = "(?P<ps_d>/)"
# Directories whose fate is remembered: listings come in key order, so few are needed at once.
_REMEMBERED = 4096


def pattern_lines(text: str | Sequence[str]) -> tuple[str, ...]:
    r"""The lines that say something, of a text (such as a file's) or of a sequence of lines.

    Empty ones and comments are left away.

    >>> pattern_lines("# made by tools\n*.pyc\n\n!keep.pyc\r\n")
    ('*.pyc', '!keep.pyc')
    """
    if not isinstance(text, str | list | tuple):
        raise StorageValueError(
            f"patterns= takes lines as in .gitignore: a text, or a list of texts; not {text!r}"
        )
    found: list[str] = []
    for each in [text] if isinstance(text, str) else text:
        if not isinstance(each, str):
            raise StorageValueError(
                f"patterns= takes lines as in .gitignore, each a text; not {each!r}"
            )
        # Only line feeds end a line: names may hold the other characters that split lines.
        lines = each.removeprefix("\ufeff").split("\n")
        found += [_without_end(line.removesuffix("\r")) for line in lines]
    return tuple(line for line in found if line.strip() and not line.startswith("#"))


def _without_end(line: str) -> str:
    """Without the spaces at the end, of which a backslash keeps the first."""
    kept = line.rstrip(" ")
    return f"{kept} " if kept.endswith("\\") and kept != line else kept


class GitIgnore:
    """Lines of a ``.gitignore`` that stands in the root, as git takes them.

    ``StorageMissingExtraError`` without the extra ``filters``; ``StorageValueError`` for a line
    that is no pattern.

    >>> lines = GitIgnore(["*.log", "!keep.log", "build/"])
    >>> lines.excluding("a/b.log"), lines.excluding("keep.log"), lines.excluding("a/build/x.py")
    ('*.log', None, 'build/')
    """

    __slots__ = ("_any", "_directories", "_rules", "lines")

    def __init__(self, lines: str | Sequence[str]) -> None:
        self.lines: tuple[str, ...] = pattern_lines(lines)
        self._directories: dict[str, str | None] = {"": None}
        rules: list[tuple[_Match, str | None]] = []
        sources: list[str] = []
        factory = _factory() if self.lines else None
        for line in self.lines:
            found = _translated(factory, line)
            if found is not None:
                source, excludes = found
                sources.append(source)
                rules.append((re.compile(source, re.DOTALL).fullmatch, line if excludes else None))
        # The last line that matches decides; one alternation says whether there is any.
        self._rules = rules[::-1]
        everything = "|".join(f"(?:{source})" for source in sources)
        self._any: _Match | None = re.compile(everything, re.DOTALL).fullmatch if rules else None

    def __bool__(self) -> bool:
        return self._any is not None

    def __reduce__(self) -> tuple[type[GitIgnore], tuple[tuple[str, ...]]]:
        return GitIgnore, (self.lines,)

    def excluding(self, relpath: str) -> str | None:
        """The line that leaves out the file of that path, or a directory that it is in."""
        directory = relpath.rpartition("/")[0]
        if directory:
            try:
                line = self._directories[directory]
            except KeyError:
                line = self.excluding_directory(directory)
            if line is not None:
                return line
        if self._any is None or not self._any(relpath):
            return None
        return self._deciding(relpath)

    def excluding_directory(self, relpath: str) -> str | None:
        """The line that leaves out that directory, or one that it is in; "" is the root."""
        known = self._directories
        if relpath in known:
            return known[relpath]
        line: str | None = None
        end = -1
        while line is None and end < len(relpath):
            end = relpath.find("/", end + 1)
            end = len(relpath) if end < 0 else end
            above = relpath[:end]
            if above in known:
                line = known[above]
            elif self._any is not None and self._any(above + "/"):
                line = self._deciding(above + "/")
        if len(known) >= _REMEMBERED:
            # A new one, since other threads may be reading this one.
            known = dict[str, str | None]({"": None})
            self._directories = known
        known[relpath] = line
        return line

    def _deciding(self, subject: str) -> str | None:
        return next((line for match, line in self._rules if match(subject)), None)


def _factory() -> Any:
    try:
        from pathspec.patterns.gitignore.spec import GitIgnoreSpecPattern
    except ImportError as error:
        raise StorageMissingExtraError(
            'patterns as in .gitignore need the pathspec package: pip install "genro-storage[filters]"'
        ) from error
    return GitIgnoreSpecPattern


def _translated(factory: Any, line: str) -> tuple[str, bool] | None:
    """A regular expression that is to match all of a path, and whether it excludes.

    A directory's path ends in a slash. None where git, too, makes nothing of the line.
    pathspec's expression also matches what is below a directory that it matches; here the
    directory is asked itself.
    """
    try:
        plain, brackets = extract_brackets(line)
        # Two that pathspec takes otherwise than git: nothing, and the directories below one.
        if plain.rstrip() == "!/":
            return None
        if plain.rstrip().endswith("/**/"):
            plain = plain.rstrip() + "*/"
        source, excludes = factory.pattern_to_regex(plain)
    except ValueError as error:
        raise StorageValueError(f"patterns= has {line!r}, which is no pattern: {error}") from None
    if source is None:
        return None
    for stand_in, bracket in brackets.items():
        source = source.replace(stand_in, bracket)
    anchored = source if source.startswith("^") else f".*{source}"
    if _MARK in source:
        # "name" and "name/": up to the end of the name, or of the directory's.
        return anchored.replace(_MARK, "/"), bool(excludes)
    # "directory/**" and "*": all that lies behind it, but not it.
    return (".+" if source == "." else f"{anchored}.+"), bool(excludes)
