"""What ``cp`` and ``sync`` share: how files are copied, who hears of it, and what is said at the end."""

from __future__ import annotations

import contextlib
import re
import sys
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

import typer

from ..exceptions import StorageError, StorageValueError
from ..transfer import (
    Bandwidth,
    ChecksumCache,
    Conflict,
    CopyFile,
    DeleteDirectory,
    DeleteFile,
    FileFailed,
    Finished,
    JsonLines,
    MakeDirectory,
    PlanSummary,
    RichProgress,
    SkipFile,
    Started,
    TransferReport,
)
from ..transfer.applying import refuse_collisions
from ..transfer.execution.mirroring import refusal_to_remove
from .options import DryRun, Json
from .output import console, is_terminal, print_json, say, shown, size
from .targets import FAILED, INTERRUPTED

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from types import TracebackType

    from ..node import StorageNode
    from ..transfer import Action, CopyPlan, Event, Reporter
    from .targets import Session

__all__ = [
    "Checksums",
    "Run",
    "Skip",
    "TransferOptions",
    "checksum_cache",
    "in_options",
    "note_that_it_passes",
    "sentence",
    "where",
]

_RETRIES = 3
_KEYWORD = re.compile(r"\b(?:(?:max_)?delete=|max_delete\b)")
_OPTIONS = {"delete=": "--delete", "max_delete=": "--max-delete ", "max_delete": "--max-delete"}


def _bandwidth(text: str) -> Bandwidth:
    """The rate of an option."""
    try:
        return Bandwidth(text)
    except StorageValueError:
        raise typer.BadParameter(
            f"expected bytes per second above 0, such as 500K or 10M, got {text!r}"
        ) from None


Skip = Annotated[
    Literal["never", "exists", "size", "mtime", "hash"],
    typer.Option("--skip", "-s", help="When to leave a file alone that is there."),
]
Checksums = Annotated[
    str | None,
    typer.Option("--checksums", metavar="FILE", help="Remember digests of local files in it."),
]


@dataclass(frozen=True, slots=True)
class TransferOptions:
    """How files are copied, and what is said about it."""

    dry_run: DryRun = False
    concurrency: Annotated[
        int | None,
        typer.Option(
            "--concurrency",
            min=1,
            metavar="N",
            help="So many files at a time; else as many as pay.",
        ),
    ] = None
    verify: Annotated[
        Literal["size", "checksum"] | None,
        typer.Option("--verify", help="Compare each copy with its source."),
    ] = None
    keep_going: Annotated[
        bool, typer.Option("--keep-going", help="After an error, copy the other files first.")
    ] = False
    retries: Annotated[
        int,
        typer.Option("--retries", min=0, metavar="N", help="Try a file again so many times."),
    ] = _RETRIES
    bandwidth: Annotated[
        Bandwidth | None,
        typer.Option(
            "--bandwidth", parser=_bandwidth, metavar="RATE", help="Bytes per second: 500K, 10M."
        ),
    ] = None
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with large files that were interrupted.")
    ] = False
    checksums: Checksums = None
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print errors only.")] = False
    as_json: Json = False
    json_lines: Annotated[
        bool, typer.Option("--json-lines", help="Print events as lines of JSON, as they happen.")
    ] = False

    def for_files(self) -> list[str]:
        """The options that were given and that mean nothing for a stream."""
        given = {
            "--concurrency": self.concurrency is not None,
            "--verify": self.verify is not None,
            "--keep-going": self.keep_going,
            "--retries": self.retries != _RETRIES,
            "--bandwidth": self.bandwidth is not None,
            "--resume": self.resume,
            "--checksums": self.checksums is not None,
            "--json-lines": self.json_lines,
        }
        return [name for name, is_given in given.items() if is_given]

    def keywords(self) -> dict[str, Any]:
        """Those of ``CopyPlan.apply``."""
        return {
            "concurrency": self.concurrency,
            "on_error": "collect" if self.keep_going else "raise",
            "verify": self.verify,
            "retries": self.retries,
            "bandwidth": self.bandwidth,
            "resume": self.resume,
        }


@contextlib.contextmanager
def checksum_cache(file: str | None) -> Generator[ChecksumCache | None]:
    """The digests that are remembered in a file, if in any; ``BadParameter`` where it cannot be."""
    if file is None:
        yield None
        return
    try:
        cache = ChecksumCache(file)
    except StorageValueError as error:
        raise typer.BadParameter(error.message, param_hint="--checksums") from None
    with cache:
        yield cache


def note_that_it_passes(session: Session, target: StorageNode) -> None:
    """What goes into memory is gone in a moment, which nobody would guess."""
    mount = target._mount
    if mount.capabilities.temporary and not mount.capabilities.path_is_content:
        session.note(f"{mount.label('')} is kept in memory, and gone when this command ends")


class Run:
    """All that one command copies. At its end, also when it is interrupted, it says what that was."""

    def __init__(self, session: Session, options: TransferOptions, *, alone: bool) -> None:
        """``alone``: there is one source, so that the sum of all reports is its own."""
        if options.as_json and options.json_lines:
            raise typer.BadParameter(
                "one document, or a line for each event: give one of the two",
                param_hint="--json / --json-lines",
            )
        if options.dry_run and options.json_lines:
            raise typer.BadParameter(
                "nothing happens in a dry run; --json has its counts", param_hint="--json-lines"
            )
        self._session = session
        self._options = options
        self._alone = alone
        self._silent = options.quiet or options.as_json or options.json_lines
        self._lines = JsonLines(sys.stdout) if options.json_lines else None
        self._cache: ChecksumCache | None = None
        self._open = contextlib.ExitStack()
        self._reports: list[TransferReport] = []
        self._summaries: list[PlanSummary] = []
        self._places: list[str] = []

    def __enter__(self) -> Self:
        self._cache = self._open.enter_context(checksum_cache(self._options.checksums))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._open.close()
        if isinstance(error, KeyboardInterrupt):
            say("interrupted")
            self._finish()
            raise typer.Exit(INTERRUPTED) from None
        if error is None or isinstance(error, SystemExit):
            self._finish()

    def carry_out(self, source: StorageNode, target: StorageNode, **keywords: Any) -> None:
        """Copy one source, or say what would be done; the keywords are those of ``plan_copy``."""
        plan = source.plan_copy(target, checksums=self._cache, **keywords)
        if self._options.dry_run:
            self._rehearse(plan)
            return
        note_that_it_passes(self._session, target)
        try:
            with self._listening(source, target) as listener:
                report = plan.apply(reporter=listener, fresh=True, **self._options.keywords())
        except StorageError as error:
            if self._alone and not self._options.quiet:
                _forget_counts(error)  # they are what is printed at the end
            raise
        if report.new_path is not None:
            self._places.append(target._mount.fullpath(report.new_path))
        if report.failed and plan.delete:
            self._session.note(f"{target.fullpath}: nothing was removed, since not all has arrived")

    def _rehearse(self, plan: CopyPlan) -> None:
        if plan.info.type == "directory" and not plan.same:
            refuse_collisions(plan)
        removals: Counter[type] = Counter()
        summary = PlanSummary.of(self._listed(plan, removals))
        self._summaries.append(summary)
        is_empty = not (summary.to_copy or summary.compared)
        refusal = refusal_to_remove(plan, removals[DeleteFile], is_empty=is_empty)
        if refusal is not None:
            self._session.complain(in_options(refusal.message).replace(" was ", " would be "))

    def _listed(self, plan: CopyPlan, counts: Counter[type]) -> Iterator[Action]:
        """The actions of a plan, of which each is said as it comes."""
        for action in plan:
            counts[type(action)] += 1
            if isinstance(action, Conflict):
                self._session.fail(FAILED)  # as the copy itself would
                if self._silent:
                    self._session.complain(_described(plan, action))
            line = "" if self._silent else _described(plan, action)
            if line:
                print(line)
            yield action

    @contextlib.contextmanager
    def _listening(self, source: StorageNode, target: StorageNode) -> Generator[_Listener]:
        others: list[Reporter] = []
        with contextlib.ExitStack() as stack:
            if self._lines is not None:
                others.append(_Named(self._lines, source.fullpath, target.fullpath))
            elif not self._silent and is_terminal(sys.stderr):
                screen = RichProgress(source.fullpath, console=console(sys.stderr), transient=True)
                others.append(stack.enter_context(screen))
            listener = _Listener(self._session, others, tells_failures=self._options.keep_going)
            try:
                yield listener
            finally:
                if listener.report is not None:
                    self._reports.append(listener.report)

    def _finish(self) -> None:
        """Say what was done, or would be."""
        total: TransferReport | PlanSummary
        if self._options.dry_run:
            total = PlanSummary(**_sum(self._summaries))
        else:
            sums: dict[str, Any] = {**_sum(self._reports), "failed": self._session.reported}
            total = TransferReport(**sums)
        if self._lines is not None and isinstance(total, TransferReport):
            self._lines(Finished(total))
        elif self._options.as_json:
            print_json({"dry_run": self._options.dry_run, **total.to_dict()})
        elif not self._silent:
            print(sentence(total) + where(self._places))


class _Listener:
    """Hears of one copy: tells the others, and keeps the report, also of one that has failed."""

    def __init__(self, session: Session, others: list[Reporter], *, tells_failures: bool) -> None:
        self.report: TransferReport | None = None
        #: Without the others nobody asks how many files there are, and so they are not held.
        self.needs_totals: bool = bool(others)
        self.follows_files: bool = bool(others)
        self.from_any_thread: bool = True  # as all of the others
        self._session = session
        self._others = others
        self._tells_failures = tells_failures

    def __call__(self, event: Event) -> None:
        if isinstance(event, Finished):
            self.report = event.report
        for other in self._others:
            other(event)
        if self._tells_failures and isinstance(event, FileFailed):
            error = event.error
            if not isinstance(error, StorageError):  # a fault of this program
                raise error
            self._session.report(error)


@dataclass(frozen=True, slots=True)
class _StartedFrom(Started):
    """``relpath`` in what follows is below these two."""

    source: str = ""
    target: str = ""


class _Named:
    """The events of one copy among several, which end together."""

    def __init__(self, tell: Reporter, source: str, target: str) -> None:
        self._tell = tell
        self._names = source, target

    def __call__(self, event: Event) -> None:
        if isinstance(event, Started):
            event = _StartedFrom(event.files, event.bytes, *self._names)
        if not isinstance(event, Finished):
            self._tell(event)


# -- what is said ---------------------------------------------------------------------------------


def in_options(message: str) -> str:
    """A message about a mirror in the words of the command line.

    >>> in_options("delete= is for directories; say max_delete=3")
    '--delete is for directories; say --max-delete 3'
    """
    return _KEYWORD.sub(lambda found: _OPTIONS[found[0]], message)


def _forget_counts(error: BaseException) -> None:
    """Without the note of how far the copy came."""
    notes = getattr(error, "__notes__", [])
    notes[:] = [note for note in notes if " stopped: " not in note]


def where(places: list[str]) -> str:
    """Where copies are whose content has decided it (base64)."""
    if not places:
        return ""
    are = "the copy is at" if len(places) == 1 else "the copies are at"
    return f"; {are} {', '.join(map(shown, places))}"


def _described(plan: CopyPlan, action: Action) -> str:
    path = "/".join(part for part in (plan.target.path, action.relpath) if part)
    target = shown(plan.target.mount.label(path))
    if isinstance(action, CopyFile):
        source = shown(plan.source.mount.label(action.source.path))
        return f"would copy {source} -> {target} ({action.reason})"
    if isinstance(action, SkipFile):
        return f"would skip {target} ({action.reason})"
    if isinstance(action, Conflict):
        return f"would fail {target} ({shown(action.message)})"
    if isinstance(action, MakeDirectory):
        return f"would make {target}/" if action.relpath else ""
    if isinstance(action, DeleteFile):
        return f"would remove {target}"
    if isinstance(action, DeleteDirectory):
        return f"would remove {target}/"
    return ""


def _sum(reports: list[Any]) -> dict[str, Any]:
    """The fields of one report or summary of several: numbers added, reasons counted together."""
    total: dict[str, Any] = {}
    for report in reports:
        for name in report.__dataclass_fields__:
            value = getattr(report, name)
            if isinstance(value, int | float | tuple):
                total[name] = total.get(name, type(value)()) + value
            elif isinstance(value, dict):
                counts = total.setdefault(name, {})
                for reason, count in value.items():
                    counts[reason] = counts.get(reason, 0) + count
            elif value is not None:
                total[name] = value
    return total


def sentence(total: TransferReport | PlanSummary) -> str:
    """The last line."""
    count = total.bytes_copied if isinstance(total, TransferReport) else total.bytes_to_copy
    moved = total.copied if isinstance(total, TransferReport) else total.to_copy
    detail = ""
    if moved:
        amount = f"{count} {'byte' if count == 1 else 'bytes'}" if count < 1024 else size(count)
        detail = f"; {amount}"
        if isinstance(total, TransferReport) and total.seconds >= 1:
            detail += f" in {total.seconds:.1f} s"
    return f"{total}{detail}"
