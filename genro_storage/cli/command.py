"""A command whose usage and help speak of what people type, not of Python's types."""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand
from typer.main import get_command

__all__ = ["Command"]

_REQUIRED = re.compile(r"\{(\w+)\}(\.\.\.)?\Z")
_TYPE = re.compile(r" <[\w\[\]]+>\Z")
_RANGE = re.compile(r"(; |  \[)x>=\d+(?=\])")


def _set_config(ctx: typer.Context, value: Path | None) -> None:
    if value is not None:
        ctx.obj.config = value


def _set_debug(ctx: typer.Context, value: bool) -> None:
    if value:
        ctx.obj.debug = True


def _global_options(
    config: Annotated[
        Path | None,
        typer.Option("--config", "-c", hidden=True, expose_value=False, callback=_set_config),
    ] = None,
    debug: Annotated[
        bool, typer.Option("--debug", hidden=True, expose_value=False, callback=_set_debug)
    ] = False,
) -> None:
    """What stands before the command, and may stand behind it: most people put it there."""


@functools.cache
def _everywhere() -> list[Any]:
    program = typer.Typer(add_completion=False)
    program.command()(_global_options)
    return list(get_command(program).params)


class Command(TyperCommand):
    """typer's, with ``PATH...`` for its ``{PATH}...``, and ``PATH`` for its ``PATH <list[str]>``."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Its own, and those of the program."""
        return [*super().get_params(ctx), *_everywhere()]

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Of the one argument of ``cp a:`` it says that DEST is missing, not that SOURCE is."""
        given = list(args)
        try:
            return super().parse_args(ctx, args)
        except typer.BadParameter as error:
            missing: Any = error.param
            if missing is not None and missing.nargs == -1:
                parsed = self.make_parser(ctx).parse_args(args=given)[0]
                other: Any
                for other in self.get_params(ctx):
                    one = other.param_type_name == "argument" and other.nargs == 1
                    if one and not parsed.get(missing.name) and parsed.get(other.name):
                        error.param = other
            raise

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """What follows the name in the line of usage."""
        return [_REQUIRED.sub(r"\1\2", piece) for piece in super().collect_usage_pieces(ctx)]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """The arguments, then the options."""
        sections: dict[str, list[tuple[str, str]]] = {"Arguments": [], "Options": []}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is None:
                continue
            name, text = record
            if parameter.param_type_name == "argument":
                sections["Arguments"].append((_TYPE.sub("", name), _plain(text)))
            else:
                sections["Options"].append((name, _plain(text)))
        for title, rows in sections.items():
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)


def _plain(text: str) -> str:
    """Without the range of a number, whose error says it, and the zero behind a whole one."""
    text = _RANGE.sub(lambda match: "  [" if match[1] != "; " else "", text).removesuffix("  []")
    return re.sub(r"(default: \d+)\.0\b", r"\1", text)
