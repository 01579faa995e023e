"""What the user named: ``mount:path`` or a plain local path; and what went wrong with it."""

from __future__ import annotations

import contextlib
import os
import re
import sys
import traceback
from typing import TYPE_CHECKING

from ..exceptions import (
    MountNotFoundError,
    StorageConfigError,
    StorageError,
    StorageMissingExtraError,
    StorageNotFoundError,
    StoragePermissionError,
    StorageUnsupportedError,
)
from .output import say

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from ..manager import StorageManager
    from ..node import StorageNode

__all__ = ["FAILED", "INTERRUPTED", "PIPE_CLOSED", "Session", "exit_code"]

FAILED = 1
_CONFIGURATION = 3
_NOT_FOUND = 4
_REFUSED = 5
INTERRUPTED = 130
PIPE_CLOSED = 141
_PATTERN = re.compile(r"[*?]|\[.+\]")
_ADVICE = "name the directory, and give ls or cp --include 'PATTERN'"
_LOCAL = ("/", "./", "../", "~")


def exit_code(error: StorageError) -> int:
    """The exit code for an error, as the help text documents it."""
    if isinstance(error, StorageConfigError | StorageMissingExtraError):
        return _CONFIGURATION
    if isinstance(error, StorageNotFoundError):
        return _NOT_FOUND
    if isinstance(error, StoragePermissionError | StorageUnsupportedError):
        return _REFUSED
    return FAILED


class Session:
    """One run of the program: its configuration, read when first needed, and its failures."""

    def __init__(self, config: Path | None = None, *, debug: bool = False) -> None:
        from ..manager import StorageManager

        self.config = config
        self.debug = debug
        self.failure: int = 0
        #: How many errors were told.
        self.reported: int = 0
        self._noted: set[str] = set()
        self._manager = StorageManager()
        self._configured = False

    @property
    def manager(self) -> StorageManager:
        """The manager with the configured mounts. ``StorageConfigError`` where that fails."""
        if not self._configured:
            if self.config is not None:
                try:
                    self._manager.configure(self.config)
                except StorageError as error:
                    if exit_code(error) == _CONFIGURATION:
                        raise
                    raise StorageConfigError(error.message, node=error.node) from error
            self._configured = True
        return self._manager

    def resolve(self, text: str) -> StorageNode:
        """The node that ``text`` names; nothing is read but the configuration.

        A configured mount comes first, then a local file of that very name, then a local path.
        ``MountNotFoundError`` where neither fits what stands before the colon.
        """
        prefix, colon, _ = text.partition(":")
        local = not colon or "/" in prefix or text.startswith(_LOCAL)
        if not local and self.manager.has_mount(prefix):
            return self.manager.node(text)
        if local or os.path.lexists(text):
            return self._manager._local_node(text)
        try:
            return self.manager.node(text)
        except MountNotFoundError as error:
            raise MountNotFoundError(
                f"{text}: {error.message}{self._advice(text)}", node=text
            ) from error

    def _advice(self, text: str) -> str:
        if self.config is None:
            return " (give --config FILE or set GENRO_STORAGE_CONFIG)"
        return f" (a local file is written ./{text})"

    # -- failures -----------------------------------------------------------------------------

    @contextlib.contextmanager
    def attempt(self) -> Generator[None]:
        """Report what goes wrong inside and go on; the first failure decides the exit code."""
        try:
            yield
        except StorageError as error:
            self.report(error)

    def report(self, error: StorageError) -> None:
        """Say what went wrong, in one line unless there is more to say, and remember it."""
        sys.stdout.flush()
        self.reported += 1
        if self.debug:
            traceback.print_exception(error)
        say(f"error: {error.message}{self._hint(error)}")
        for note in getattr(error, "__notes__", ()):
            say(f"note: {note}")
        self.fail(exit_code(error))

    def note(self, text: str) -> None:
        """Say something that is no failure, once."""
        if text not in self._noted:
            self._noted.add(text)
            sys.stdout.flush()
            say(f"note: {text}")

    def complain(self, message: str, code: int = FAILED) -> None:
        """Report a failure that is no exception."""
        sys.stdout.flush()
        say(f"error: {message}")
        self.fail(code)

    def fail(self, code: int) -> None:
        """Remember a failure; the first one decides."""
        self.failure = self.failure or code

    def _hint(self, error: StorageError) -> str:
        """For a mount's name that was given without its colon, and for patterns."""
        name = error.node
        if isinstance(error, StorageNotFoundError) and name and _PATTERN.search(name):
            return f"; a PATH is no pattern: {_ADVICE}"
        if isinstance(error, StorageNotFoundError) and name and ":" not in name:
            with contextlib.suppress(StorageError):
                if self.manager.has_mount(name):
                    return f"; did you mean the mount {name}: (with its colon)?"
        return ""

    def close(self) -> None:
        """Release every connection."""
        self._manager.close()
