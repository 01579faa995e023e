"""What reaches the terminal: safe names, sizes, ages, JSON, tables, errors."""

from __future__ import annotations

import codecs
import contextlib
import io
import itertools
import json
import logging
import os
import sys
import time
import warnings
from typing import TYPE_CHECKING, Any

from ..paths import printable

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Sequence

    from rich.console import Console

__all__ = [
    "age",
    "amount",
    "colours",
    "console",
    "is_terminal",
    "paint",
    "prepare_streams",
    "print_json",
    "print_table",
    "printable",
    "say",
    "shown",
    "size",
    "utc",
    "warnings_said",
]

_STYLES = {
    "directory": "1;34",
    "link": "36",
    "other": "33",
    "faint": "2",
    "head": "1",
    "error": "1;31",
    "warning": "1;33",
    "note": "1;36",
}
_UNITS = ("K", "M", "G", "T", "P", "E")
#: Columns of a table that are never folded.
_WHOLE = frozenset({"NAME", "TYPE", "PERMISSIONS", "STATE", "TIME", "REACHABLE", "SIZE", "MARK"})
_GAP = 2
_INDENT = "    "
#: No column is folded to fewer characters.
_LEAST = 12
_AGES = ((60, "s"), (60, "m"), (24, "h"), (365, "d"))


# -- streams --------------------------------------------------------------------------------------


def _encode_anyhow(error: UnicodeError) -> tuple[str | bytes, int]:
    """The byte that an undecodable name came from; an escape for what the stream cannot show."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    character = error.object[error.start]
    if 0xDC80 <= ord(character) <= 0xDCFF:
        return bytes([ord(character) - 0xDC00]), error.start + 1
    return character.encode("ascii", "backslashreplace"), error.start + 1


codecs.register_error("genro_storage.output", _encode_anyhow)


def prepare_streams() -> None:
    """No name, however odd, may stop the output in an encoding that cannot express it.

    A stream that was closed before we began is one that cannot be written, with an error that says so;
    what is told to nobody goes nowhere.
    """
    given: Any = (sys.stdout, sys.stderr)
    if given[0] is None:
        sys.stdout = os.fdopen(os.open(os.devnull, os.O_RDONLY), "w", encoding="utf-8")
    if given[1] is None:
        sys.stderr = os.fdopen(os.open(os.devnull, os.O_WRONLY), "w", encoding="utf-8")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="genro_storage.output")


def is_terminal(stream: Any) -> bool:
    """Whether a person is looking."""
    return bool(stream.isatty())


def colours(stream: Any) -> bool:
    """Whether to colour: on a terminal, unless ``NO_COLOR`` or ``TERM=dumb`` says otherwise."""
    return is_terminal(stream) and not os.environ.get("NO_COLOR") and os.getenv("TERM") != "dumb"


def console(stream: Any = None) -> Console:
    """A rich console that changes no text; what is printed through it is a ``Text`` already."""
    from rich.console import Console

    file = sys.stdout if stream is None else stream
    wide = None if is_terminal(file) else 10_000  # a pipe has no width to wrap at
    return Console(file=file, width=wide, markup=False, highlight=False, emoji=False)


# -- text -----------------------------------------------------------------------------------------


def shown(text: str) -> str:
    """A name for standard output: escaped on a terminal, as it is for another program."""
    return printable(text) if is_terminal(sys.stdout) else text


def paint(text: str, style: str) -> str:
    """``text`` in the colours of a style, where standard output has any."""
    code = _STYLES.get(style)
    return f"\x1b[{code}m{text}\x1b[0m" if code and text and colours(sys.stdout) else text


def say(line: str) -> None:
    """One line for people on standard error; the word that it begins with may have a colour."""
    text = "\n".join(printable(each) for each in line.split("\n"))
    word, colon, rest = text.partition(":")
    code = _STYLES.get(word) if colon and colours(sys.stderr) else None
    print(f"\x1b[{code}m{word}:\x1b[0m{rest}" if code else text, file=sys.stderr)


class _Sayer(logging.Handler):
    """Says what the library logs for people, each thing once."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._said: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        self.warn(record.getMessage())

    def warn(self, text: str) -> None:
        if text not in self._said:
            self._said.add(text)
            sys.stdout.flush()
            say(f"warning: {text}")


@contextlib.contextmanager
def warnings_said() -> Generator[None]:
    """For the block, warnings are lines like errors, whether they are logged or Python's own."""
    sayer = _Sayer()
    logger = logging.getLogger("genro_storage")
    before = warnings.showwarning
    logger.addHandler(sayer)
    warnings.showwarning = lambda message, *_, **__: sayer.warn(str(message))
    try:
        yield
    finally:
        warnings.showwarning = before
        logger.removeHandler(sayer)


def size(count: int | None) -> str:
    """Bytes for people, in powers of 1024.

    >>> [size(number) for number in (None, 0, 1023, 1024, 10 * 1024 * 1024, 2**63)]
    ['-', '0', '1023', '1.0K', '10M', '8.0E']
    """
    if count is None:
        return "-"
    value = float(count)
    unit = ""
    for each in _UNITS:
        if value < 999.5 or (not unit and count < 1024):
            break
        value, unit = value / 1024, each
    if not unit:
        return str(count)
    return f"{value:.1f}{unit}" if value < 9.95 else f"{value:.0f}{unit}"


def amount(count: int) -> str:
    """``size`` where a number stands alone, and needs its unit.

    >>> [amount(number) for number in (0, 4, 2048)]
    ['0 B', '4 B', '2.0K']
    """
    return f"{count} B" if count < 1024 else size(count)


def age(mtime: float | None, now: float | None = None) -> str:
    """How long ago, in one unit.

    >>> [age(moment, now=10**6) for moment in (None, 10**6 - 5, 10**6 - 7200, 2 * 10**6)]
    ['-', '5s', '2h', 'future']
    """
    if mtime is None:
        return "-"
    elapsed = (time.time() if now is None else now) - mtime
    # Two machines rarely agree to the second.
    if elapsed < -60:
        return "future"
    elapsed = max(elapsed, 0.0)
    for limit, unit in _AGES:
        if elapsed < limit:
            return f"{int(elapsed)}{unit}"
        elapsed /= limit
    return f"{int(elapsed)}y"


def utc(mtime: float | None) -> str:
    """ISO 8601 with seconds, in UTC; ``-`` where unknown.

    >>> utc(0.0)
    '1970-01-01T00:00:00Z'
    """
    if mtime is None:
        return "-"
    try:
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(mtime))
    except (OverflowError, ValueError, OSError):
        return f"{mtime:.0f}"  # a year that no calendar reaches


# -- documents ------------------------------------------------------------------------------------


def print_json(value: Any, *, line: bool = False) -> None:
    """One JSON document, or one line of a stream of them. ASCII only, so that any name fits."""
    print(json.dumps(value, indent=None if line else 2))


def print_table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Aligned columns; no word of a cell is markup.

    Where the terminal is too narrow for the last column, what does not fit stands below its row;
    without heads it is folded in its place.
    """
    cells = [[printable(cell) for cell in row] for row in rows]
    where = console()
    if any(heads) and _natural_width(heads, cells) > where.width:
        _print_below(where, heads, cells)
        return
    from rich.table import Table
    from rich.text import Text

    table = Table(
        box=None,
        pad_edge=False,
        padding=(0, 2, 0, 0),
        header_style="bold",
        show_header=any(heads),
    )
    for head in heads:
        table.add_column(head, overflow="fold")
    for row in cells:
        table.add_row(*map(Text, row))
    with where.capture() as capture:
        where.print(table)
    for line in capture.get().splitlines():
        print(line.rstrip())


def _widths(heads: Sequence[str], cells: list[list[str]]) -> list[int]:
    from rich.cells import cell_len

    return [max(map(cell_len, column)) for column in zip(heads, *cells, strict=True)]


def _natural_width(heads: Sequence[str], cells: list[list[str]]) -> int:
    widths = _widths(heads, cells)
    return sum(widths) + _GAP * (len(widths) - 1)


def _print_below(where: Console, heads: Sequence[str], cells: list[list[str]]) -> None:
    from rich.cells import cell_len
    from rich.text import Text

    def folded(text: str, width: int) -> list[str]:
        return [line.plain.rstrip() for line in Text(text).wrap(where, width, overflow="fold")]

    def line_of(row: Iterable[str], last: str) -> str:
        padded = [
            cell + " " * (width - cell_len(cell)) for cell, width in zip(row, widths, strict=True)
        ]
        return (" " * _GAP).join([*padded, last]).rstrip()

    *widths, _ = _widths(heads, cells)
    if heads[-2] not in _WHOLE:
        room = where.width - sum(widths[:-1]) - _GAP * (len(widths) - 1)
        widths[-1] = min(widths[-1], max(room, _LEAST))
    room = where.width - sum(widths) - _GAP * len(widths)
    fits = [cell_len(row[-1]) <= room for row in cells]
    stays = any(row[-1] and fit for row, fit in zip(cells, fits, strict=True))
    stays = stays and cell_len(heads[-1]) <= room
    print(paint(line_of(heads[:-1], heads[-1] if stays else ""), "head"))
    for (*row, last), fit in zip(cells, fits, strict=True):
        lines = [folded(cell, width) or [""] for cell, width in zip(row, widths, strict=True)]
        ends = itertools.chain([last if fit else ""], itertools.repeat(""))
        for parts, end in zip(itertools.zip_longest(*lines, fillvalue=""), ends, strict=False):
            print(line_of(parts, end))
        for line in [] if fit else folded(last, max(where.width - len(_INDENT), _LEAST)):
            print(f"{_INDENT}{line}")
