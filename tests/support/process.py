"""What the tests need of their own process, whoever started it."""

from __future__ import annotations

import gc
import signal

__all__ = ["pytest_collection_finish", "pytest_configure"]


def pytest_configure() -> None:
    """A shell that runs the tests in the background has them ignore Control-C, children too.

    Some of the tests interrupt themselves or a child.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_finish() -> None:
    """Tens of thousands of tests live as long as the process: no collection need look at them."""
    gc.collect()
    gc.freeze()
