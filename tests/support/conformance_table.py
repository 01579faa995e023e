"""The end of a run: what was skipped and why, and what each backend has passed, seen each way.

A class of the suite counts under its own name, without ``Test``. What it skips is what the
backend does not declare, which other tests of the suite hold it to, and is only counted.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

import pytest

from genro_storage.testing import Ground, processes

__all__ = ["pytest_collection_modifyitems", "pytest_terminal_summary"]

_KEY = "conformance"
_VARIANTS = ("plain", "narrowed", "readonly")
#: Whose other variants belong to the quick tests too: a narrowed or read-only mount is the same code
#: whatever it stands on.
_QUICK_IN_ALL = ("TestMemory",)
#: Whose plain mounts run all rows of the suite's tables (names, ranges, verbs) in the quick tests; all
#: else runs the first row of each, which goes the same way.
_QUICK_IN_FULL = ("TestLocal", "TestMemory")
#: Tests that see the read-only view of a mount without a parameter that says so.
_READ_ONLY = "PermissionConformance"


@pytest.hookimpl(tryfirst=True)  # before -m chooses by the marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Note on each test of the suite which backend it is about, and how it sees it."""
    for item in items:
        kind = getattr(item, "cls", None)
        if kind is None or not issubclass(kind, Ground) or not kind.__name__.startswith("Test"):
            continue
        spec = getattr(item, "callspec", None)
        shown = {value for value in spec.params.values() if value in _VARIANTS} if spec else set()
        function: Any = getattr(item, "function", None)
        if function is not None and function.__qualname__.startswith(_READ_ONLY):
            shown = {"readonly"}
        # What asks no variant looks at the mount itself.
        variant = shown.pop() if shown else "plain"
        item.user_properties.append((_KEY, (_label(kind), variant)))
        starts_processes = getattr(function, "__module__", "") == processes.__name__
        other_variant = variant != "plain" and kind.__name__ not in _QUICK_IN_ALL
        every_row = variant == "plain" and kind.__name__ in _QUICK_IN_FULL
        further_row = not every_row and _is_further_row(spec)
        if starts_processes or other_variant or further_row:
            item.add_marker(pytest.mark.slow)


def _is_further_row(spec: Any) -> bool:
    """Whether a test of a table is another than its first, however the mount is seen."""
    if spec is None:
        return False
    return any(
        index > 0 for name, index in spec.indices.items() if spec.params[name] not in _VARIANTS
    )


def _label(kind: type) -> str:
    """``sftp OpenSsh`` of ``TestOpenSsh`` in ``test_sftp_conformance.py``."""
    module = kind.__module__.rpartition(".")[2].removeprefix("test_").removesuffix("_conformance")
    name = kind.__name__.removeprefix("Test")
    return name if name.lower() == module.replace("_", "") else f"{module} {name}"


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print the table, if any test of the suite has run."""
    passed: dict[str, Counter[str]] = defaultdict(Counter)
    others: dict[str, Counter[str]] = defaultdict(Counter)
    seconds: dict[str, float] = defaultdict(float)
    reasons: Counter[str] = Counter()
    for outcome in ("passed", "skipped", "failed", "error"):
        for report in terminalreporter.stats.get(outcome, ()):
            found = dict(getattr(report, "user_properties", ())).get(_KEY)
            if outcome == "skipped" and (found is None or "install" in report.longrepr[2]):
                reasons[report.longrepr[2].removeprefix("Skipped: ")] += 1
            if found is None:
                continue
            backend, variant = found
            seconds[backend] += getattr(report, "duration", 0.0)
            if outcome == "passed":
                passed[backend][variant] += 1
            else:
                others[backend]["failed" if outcome == "error" else outcome] += 1
    if reasons:
        terminalreporter.section("skipped, and why")
        for reason, count in sorted(reasons.items()):
            terminalreporter.write_line(f"{count:5}  {reason}")
    backends = sorted({*passed, *others}, key=str.lower)
    if not backends:
        return
    terminalreporter.section("conformance tests passed, by backend")
    heads = ("backend", "plain", "narrowed", "read-only", "total", "skipped", "failed", "seconds")
    rows = [
        (
            backend,
            *(str(passed[backend][variant]) for variant in _VARIANTS),
            str(passed[backend].total()),
            str(others[backend]["skipped"]),
            str(others[backend]["failed"]),
            f"{seconds[backend]:.1f}",
        )
        for backend in backends
    ]
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    for row in (heads, *rows):
        cells = [row[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        terminalreporter.write_line("  ".join(cells))
    total = sum(passed[backend].total() for backend in backends)
    terminalreporter.write_line(f"{len(backends)} backends, {total} tests passed")
