"""The program: global options, the commands, and what happens to an error that reaches the top."""

from __future__ import annotations

import contextlib
import os
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from ..exceptions import StorageError
from . import (
    changing,
    checking,
    comparing,
    configuring,
    copying,
    doctoring,
    listing,
    moving,
    reading,
    sharing,
    syncing,
    versioning,
)
from .command import Command
from .output import prepare_streams, say, warnings_said
from .targets import FAILED, INTERRUPTED, PIPE_CLOSED, Session

__all__ = ["app"]

_EPILOG = """\
\b
Exit codes (of several failures the first decides):
  0    all went well
  1    an operation failed
  2    wrong usage
  3    the configuration is wrong, or a package is missing
  4    not found
  5    permission denied, or not supported
  130  interrupted
  141  whoever read the output went away
"""


class _Program(TyperGroup):
    """Turns errors into one line and an exit code, whichever command they come from."""

    def invoke(self, ctx: Any) -> Any:
        prepare_streams()
        try:
            with warnings_said():
                self._run(ctx)
        except BrokenPipeError:
            _forget_output()
            raise typer.Exit(PIPE_CLOSED) from None
        except KeyboardInterrupt:
            say("interrupted")
            raise typer.Exit(INTERRUPTED) from None
        except OSError as error:
            # Storages raise StorageError only, so this is the output (a full disk, say).
            if _debugging(ctx):
                raise
            say(f"error: writing the output: {error.strerror or error}")
            _forget_output()
            raise typer.Exit(FAILED) from None
        session = ctx.obj
        if isinstance(session, Session) and session.failure:
            raise typer.Exit(session.failure)

    def _run(self, ctx: Any) -> None:
        try:
            super().invoke(ctx)
        except typer.BadParameter as error:
            _reword(error)
            raise
        except StorageError as error:
            ctx.obj.report(error)
        finally:
            if isinstance(ctx.obj, Session):
                ctx.obj.close()
        sys.stdout.flush()


def _reword(error: typer.BadParameter) -> None:
    """In the words of this program, where typer has left them to pydantic."""
    errors: Any = getattr(error.__cause__, "errors", None)
    if errors is not None:
        from ..config.problems import explain

        error.message = explain(errors()[0])


def _forget_output() -> None:
    """What is still buffered cannot be written; the interpreter would try, and complain, at its end."""
    with contextlib.suppress(
        OSError
    ):  # a standard output that is no file (in a test) keeps nothing
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _debugging(ctx: Any) -> bool:
    return isinstance(ctx.obj, Session) and ctx.obj.debug


app: typer.Typer = typer.Typer(
    cls=_Program,
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=_EPILOG,
)


def _version(wanted: bool) -> None:
    if wanted:
        try:
            number = version("genro-storage")
        except PackageNotFoundError:  # run from its source directory
            number = "(not installed)"
        print(f"genro-storage {number}")
        raise typer.Exit


@app.callback()
def start(
    ctx: typer.Context,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            "-c",
            metavar="FILE",
            envvar="GENRO_STORAGE_CONFIG",
            help="The mounts: a YAML, JSON or TOML file.",
        ),
    ] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks with errors.")] = False,
    show_version: Annotated[  # noqa: ARG001 - its callback answers
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Files on any storage, by name.

    A PATH is mount:path (uploads:2026/a.txt) or a plain local path (./x, /tmp/x, ~/x, x/y).
    A name with a colon is a local one only where its first part names no configured mount and
    the file is there; ./a:b always is.
    """
    ctx.obj = Session(config, debug=debug)


_PANELS = {
    "Looking": (
        configuring.mounts,
        checking.check,
        doctoring.doctor,
        listing.ls,
        listing.tree,
        reading.stat,
        reading.cat,
        reading.hash,
        comparing.compare,
        versioning.versions,
    ),
    "Changing": (
        copying.cp,
        syncing.sync,
        moving.mv,
        changing.rm,
        changing.mkdir,
        versioning.restore,
        changing.cleanup,
    ),
    "Sharing": (sharing.url, sharing.upload_url),
}
for _panel, _commands in _PANELS.items():
    for _command in _commands:
        _name = _command.__name__.replace("_", "-")
        app.command(_name, cls=Command, rich_help_panel=_panel)(_command)
app.add_typer(configuring.app, name="config", rich_help_panel="Configuration")
