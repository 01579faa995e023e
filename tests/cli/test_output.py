"""What reaches the terminal is safe, whatever the names are."""

from __future__ import annotations

import io
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genro_storage.cli import output


class Terminal(io.StringIO):
    def isatty(self):
        return True


@given(st.text(st.characters(codec=None)))
def test_nothing_printable_steers_a_terminal(text):
    assert output.printable(text).isprintable()


@pytest.mark.parametrize("text", ["[red]x", "plain", "naïve ☃", "a b"])
def test_ordinary_names_stay_as_they_are(text):
    assert output.printable(text) == text


def test_a_name_is_escaped_for_people_and_untouched_for_programs(monkeypatch):
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    assert output.shown("a\x1b[31m") == "a\x1b[31m"
    monkeypatch.setattr(sys, "stdout", Terminal())
    assert output.shown("a\x1b[31m") == "a\\x1b[31m"


def test_colours_are_for_terminals_that_want_them(monkeypatch):
    monkeypatch.setattr(sys, "stdout", Terminal())
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert output.paint("d", "directory") == "\x1b[1;34md\x1b[0m"
    monkeypatch.setenv("NO_COLOR", "1")
    assert output.paint("d", "directory") == "d"


def test_tables_take_no_word_for_markup(monkeypatch, capsys):
    output.print_table(("NAME", "ROOT"), [("[red]x", "a\x1b[2J"), ("y", "[/]")])
    assert capsys.readouterr().out.splitlines() == [
        "NAME    ROOT",
        "[red]x  a\\x1b[2J",
        "y       [/]",
    ]


@pytest.mark.parametrize(
    ("count", "text"),
    [(999, "999"), (1025, "1.0K"), (10_189, "10K"), (1_048_575, "1.0M"), (1023 * 1024, "1.0M")],
)
def test_sizes_take_at_most_four_characters(count, text):
    assert output.size(count) == text


@given(st.integers(0, 2**63))
def test_no_size_is_longer(count):
    assert len(output.size(count)) <= 4


@pytest.mark.parametrize("moment", [1e30, -1e30, float(2**62)])
def test_times_that_no_calendar_reaches_are_shown(moment):
    assert output.utc(moment)
    assert output.age(moment)


ROWS = [
    ("a", "s3", "unreachable", "2.0 s", "the server of this mount cannot be reached at all; look"),
    ("photos", "local", "reachable", "0.1 ms", ""),
    ("b", "s3", "denied", "3.0 ms", "no key"),
]


@pytest.mark.parametrize(
    ("width", "expected"),
    [
        (
            50,
            [
                "NAME    TYPE   STATE        TIME    REASON",
                "a       s3     unreachable  2.0 s",
                "    the server of this mount cannot be reached at",
                "    all; look",
                "photos  local  reachable    0.1 ms",
                "b       s3     denied       3.0 ms  no key",
            ],
        ),
        (
            120,
            [
                "NAME    TYPE   STATE        TIME    REASON",
                f"a       s3     unreachable  2.0 s   {ROWS[0][-1]}",
                "photos  local  reachable    0.1 ms",
                "b       s3     denied       3.0 ms  no key",
            ],
        ),
    ],
)
def test_what_does_not_fit_stands_below_its_row(monkeypatch, width, expected):
    monkeypatch.setattr(sys, "stdout", Terminal())
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setenv("COLUMNS", str(width))
    output.print_table(("NAME", "TYPE", "STATE", "TIME", "REASON"), ROWS)
    assert sys.stdout.getvalue().splitlines() == expected


@given(
    st.lists(st.tuples(*[st.text(st.characters(codec="utf-8"), max_size=30)] * 3), max_size=4),
    st.integers(20, 60),
)
def test_a_table_loses_nothing_however_narrow(rows, width):
    stream, before = Terminal(), sys.stdout
    sys.stdout = stream
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("TERM", "dumb")
            patch.setenv("COLUMNS", str(width))
            output.print_table(("NAME", "VALUE", "WHY"), rows)
    finally:
        sys.stdout = before
    plain = "".join(stream.getvalue().split())
    for name, _, why in rows:
        for cell in (name, why):
            assert "".join(output.printable(cell).split()) in plain
