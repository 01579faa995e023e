"""The command ``genro-storage``. Needs the extra ``cli``: ``pip install "genro-storage[cli]"``."""

from __future__ import annotations

import gc
import signal
import sys
import threading
from importlib.util import find_spec
from typing import Any

__all__ = ["main"]

#: When garbage is looked for, as ``gc.set_threshold`` has it.
_RARELY = (20_000, 50, 100)


def main(arguments: list[str] | None = None) -> int:
    """Run the program with ``arguments`` (default: the process's); returns the exit code."""
    for needed in ("typer", "rich"):
        if find_spec(needed) is None:
            print(
                f"error: the command line needs the module {needed!r}; install it with: "
                'pip install "genro-storage[cli]"',
                file=sys.stderr,
            )
            return 3
    if arguments is None:
        # The process is ours. Nearly all that it makes is modules, which live as long as it does:
        # to look through them for garbage, as often as usual, takes a third of its start.
        gc.set_threshold(*_RARELY)
    try:
        from .app import app

        # The default would end the process with temporary files still there.
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, _terminate)
        app(arguments, prog_name="genro-storage")
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except SystemExit as finished:
        return finished.code if isinstance(finished.code, int) else int(bool(finished.code))
    return 0


def _terminate(_number: int, _frame: Any) -> None:
    raise SystemExit(128 + signal.SIGTERM)
