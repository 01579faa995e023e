"""The options that choose files of a directory."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from ..exceptions import StorageValueError
from ..sizes import in_bytes
from ..transfer import Filters
from .options import duration

__all__ = ["FilterOptions"]


def _size(text: str | int) -> int:
    """The bytes of an option."""
    try:
        return in_bytes(int(text) if str(text).isascii() and str(text).isdigit() else text, "it")
    except ValueError:
        raise typer.BadParameter(
            f"expected a number of bytes, or a size such as 10K or 1.5GiB, got {text!r}"
        ) from None


@dataclass(frozen=True, slots=True)
class FilterOptions:
    """Which files of a directory take part, as the command line says it."""

    include: Annotated[
        list[str] | None,
        typer.Option("--include", metavar="PATTERN", help="Only these files of a directory."),
    ] = None
    exclude: Annotated[
        list[str] | None,
        typer.Option("--exclude", metavar="PATTERN", help="Not these files of a directory."),
    ] = None
    pattern: Annotated[
        list[str] | None,
        typer.Option("--pattern", metavar="LINE", help="Not these: a line as in a .gitignore."),
    ] = None
    filter_from: Annotated[
        list[str] | None,
        typer.Option("--filter-from", metavar="FILE", help="A local file of such lines."),
    ] = None
    min_size: Annotated[
        int | None,
        typer.Option("--min-size", parser=_size, metavar="SIZE", help="No smaller ones: 1, 10K."),
    ] = None
    max_size: Annotated[
        int | None,
        typer.Option("--max-size", parser=_size, metavar="SIZE", help="No larger ones: 5M, 2GiB."),
    ] = None
    min_age: Annotated[
        float | None,
        typer.Option(
            "--min-age", parser=duration, metavar="DURATION", help="No younger ones: 30, 2h, 7d."
        ),
    ] = None
    max_age: Annotated[
        float | None,
        typer.Option("--max-age", parser=duration, metavar="DURATION", help="No older ones."),
    ] = None

    def given(self) -> list[str]:
        """The options that were given."""
        return [
            "--" + each.name.replace("_", "-")
            for each in dataclasses.fields(self)
            if getattr(self, each.name) not in (None, [])
        ]

    def keywords(self) -> dict[str, Any]:
        """The keywords of ``Filters``; ``BadParameter`` for what cannot be one."""
        self._refuse_crossed("size", self.min_size, self.max_size)
        self._refuse_crossed("age", self.min_age, self.max_age)
        # The last line that matches decides: that is to be what was typed.
        texts = [_text_of(name) for name in self.filter_from or ()]
        found: dict[str, Any] = {
            "include": self.include,
            "exclude": self.exclude,
            "patterns": [*texts, *(self.pattern or ())],
            "min_size": self.min_size,
            "max_size": self.max_size,
            "min_age": self.min_age,
            "max_age": self.max_age,
        }
        try:
            Filters(**found)
        except StorageValueError as error:
            raise typer.BadParameter(
                error.message.removeprefix("patterns= has "), param_hint="--pattern"
            ) from None
        return found

    @staticmethod
    def _refuse_crossed(what: str, least: float | None, most: float | None) -> None:
        if least is not None and most is not None and least > most:
            raise typer.BadParameter(
                f"it is more than --max-{what}, so that no file is chosen",
                param_hint=f"--min-{what}",
            )


def _text_of(name: str) -> str:
    """The lines of a file, which may name what is no UTF-8."""
    hint = "--filter-from"
    if name == "-":
        raise typer.BadParameter(
            "- is standard input, which is for a file that is copied; a file of that name is "
            "written ./-",
            param_hint=hint,
        )
    try:
        return Path(name).read_bytes().decode("utf-8-sig", "surrogateescape")
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise typer.BadParameter(
            f"{name}: {why}; name a local file of lines as in a .gitignore", param_hint=hint
        ) from None
