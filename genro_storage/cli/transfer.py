"""``cp`` and ``mv``."""

from __future__ import annotations

import sys
import unicodedata
from collections import Counter
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

import typer

from ..exceptions import StorageExistsError, StorageUnsupportedError
from ..transfer import (
    Conflict,
    CopyFile,
    Filtered,
    Filters,
    MakeDirectory,
    PlanSummary,
    SkipFile,
    TransferReport,
)
from ..transfer.applying import executor_for
from ..transfer.report import reason_kind
from .options import DryRun, Json
from .output import console, is_terminal, print_json, shown, size
from .streams import STREAM, copy_stream, is_directory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from ..info import FileInfo
    from ..node import StorageNode
    from ..transfer import Action, CopyPlan, Done, Transfer
    from .targets import Session

__all__ = ["cp", "mv"]

Sources = Annotated[list[str], typer.Argument(metavar="SOURCE", help="Files or directories.")]
Target = Annotated[str, typer.Argument(metavar="DEST", help="Where to.")]


def _destinations(
    session: Session,
    sources: list[str],
    dest: str,
    *,
    merging: Callable[[FileInfo], bool] | None,
) -> Iterator[tuple[StorageNode, StorageNode]]:
    """Each source with its target; a source that cannot be had is reported and left out.

    DEST itself is the target, unless there are several sources, DEST ends in ``/``, or the
    source is a file and DEST a directory: then it is the source's name inside DEST. A source
    without a name (a mount's root, ``.``) is merged onto DEST; of what is in it, ``merging`` says
    what goes (None: nothing ever does). Of several sources, the first has a name to itself.
    """
    target = session.resolve(dest)
    inside = len(sources) > 1 or dest.endswith("/")
    taken = _Taken(target) if len(sources) > 1 else None
    for text in sources:
        found = None
        with session.attempt():
            node = session.resolve(text)
            info = node._look()
            there = target
            if node.name and (inside or (not info.is_dir and is_directory(target))):
                there = target.child(node.name)
            elif not (target.name or info.is_dir):
                target._mount.check()  # which says what is missing: a root is a directory
            if taken is not None:
                taken.refuse(node, _names(node, info, merging))
            found = node, there
        if found is not None:
            yield found


def _names(
    node: StorageNode, info: FileInfo, merging: Callable[[FileInfo], bool] | None
) -> dict[str, str]:
    """What a source gives to the directory DEST: each name, and the place that it comes from."""
    if node.name:
        return {node.name: node.fullpath}
    if merging is None or not info.is_dir:
        return {}
    entries = filter(merging, node._mount.scan(node._path))
    return {entry.name: node._mount.fullpath(entry.path) for entry in entries}


class _Taken:
    """The names in DEST that sources have gone to, so that no other source replaces one."""

    def __init__(self, target: StorageNode) -> None:
        self._target = target
        self._origins: dict[str, str] = {}
        self._spellings: dict[str, set[str]] = {}

    def refuse(self, node: StorageNode, names: dict[str, str]) -> None:
        """``StorageExistsError`` where a name is taken; else all of them are, from now on."""
        for name in sorted(names):
            first = self._origin(name)
            if first is not None:
                left = (
                    "it is not replaced" if node.name else f"nothing of {node.fullpath} goes there"
                )
                raise StorageExistsError(
                    f"{names[name]}: {first} has just gone to "
                    f"{self._target.child(name).fullpath}; {left}",
                    node=names[name],
                )
        for name, origin in names.items():
            self._origins[name] = origin
            self._spellings.setdefault(_folded(name), set()).add(name)

    def _origin(self, name: str) -> str | None:
        """Where the name came from, also in another spelling that is the same to the storage."""
        if name in self._origins:
            return self._origins[name]
        others = sorted(self._spellings.get(_folded(name), ()))
        child = self._target.child
        if not others or not child(name).exists:
            return None
        listed = {entry.name for entry in self._target._mount.scan(self._target._path)}
        for other in others:
            if not {name, other} <= listed and child(other).exists:
                return self._origins[other]
        return None


def _folded(name: str) -> str:
    """What the spellings have in common that some storage takes for one name."""
    return unicodedata.normalize("NFC", name).casefold()


# -- cp -------------------------------------------------------------------------------------------


def cp(
    ctx: typer.Context,
    sources: Sources,
    dest: Target,
    skip: Annotated[
        Literal["never", "exists", "size", "hash"],
        typer.Option("--skip", "-s", help="When to leave a file alone that is there."),
    ] = "never",
    include: Annotated[
        list[str] | None,
        typer.Option("--include", metavar="PATTERN", help="Only these files of a directory."),
    ] = None,
    exclude: Annotated[
        list[str] | None,
        typer.Option("--exclude", metavar="PATTERN", help="Not these files of a directory."),
    ] = None,
    dry_run: DryRun = False,
    recursive: Annotated[  # noqa: ARG001 - habit writes it, and it changes nothing
        bool, typer.Option("--recursive", "-r", help="Taken for granted: directories go whole.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print errors only.")] = False,
    as_json: Json = False,
) -> None:
    """Copy files and directories.

    Each file arrives whole or not at all.

    "cp a: b:x" makes b:x the copy: a directory merges into what is there, nothing is removed.
    With several sources or a DEST that ends in / each source goes inside DEST, under its own
    name; so does a single file where DEST is a directory. A mount's root has no name, nor has
    the current directory: what is in it goes inside DEST. Two sources never give DEST one name;
    the second is refused as a whole.

    A SOURCE of - is standard input, which DEST names the file for; a DEST of - is standard output.

    A PATTERN is matched against the path inside the directory, and * matches / too; --include
    and --exclude may be repeated. --exclude "build/*" leaves a directory out, without a look into it.
    """
    session: Session = ctx.obj
    if STREAM in (*sources, dest):
        if dest == STREAM and as_json:
            raise typer.BadParameter("standard output (-) is for the file", param_hint="--json")
        if dest != STREAM:
            _note_that_it_passes(session, session.resolve(dest))
        silent = quiet or as_json
        given = {"--include": include, "--exclude": exclude}
        total: Any = copy_stream(
            session, sources, dest, skip=skip, patterns=given, dry_run=dry_run, quiet=silent
        )
        if as_json:
            print_json({"dry_run": dry_run, **total.to_dict()})
        elif dest != STREAM and not (silent or dry_run):
            place = total.new_path
            where = [] if place is None else [session.resolve(dest)._mount.fullpath(place)]
            print(_sentence(total) + _where(where))
        return
    reports: list[TransferReport] = []
    summaries: list[PlanSummary] = []
    places: list[str] = []
    filters = Filters(include, exclude)

    def merging(info: FileInfo) -> bool:
        return info.is_dir or filters.reason(info, info.name) is None

    for node, target in _destinations(session, sources, dest, merging=merging):
        with session.attempt():
            plan = node.plan_copy(target, include=include, exclude=exclude, skip=skip)
            if dry_run:
                summaries.append(PlanSummary.of(_show_plan(plan, silent=quiet or as_json)))
                continue
            _note_that_it_passes(session, target)
            bar = _progress(plan, quiet=quiet or as_json)
            try:
                with bar:
                    report = plan.apply(executor=bar)
            except BaseException as error:
                reports.append(bar.so_far())
                if len(sources) == 1 and not quiet:
                    _forget_counts(error)  # they are what is printed at the end
                raise
            reports.append(report)
            if report.new_path is not None:
                places.append(target._mount.fullpath(report.new_path))
    if dry_run:
        total = PlanSummary(**_sum(summaries))
    else:
        sums: dict[str, Any] = {**_sum(reports), "failed": session.reported}
        total = TransferReport(**sums)
    if as_json:
        print_json({"dry_run": dry_run, **total.to_dict()})
    elif not quiet:
        print(_sentence(total) + _where(places))


def _forget_counts(error: BaseException) -> None:
    """Without the note of how far the copy came."""
    notes = getattr(error, "__notes__", [])
    notes[:] = [note for note in notes if " stopped: " not in note]


def _note_that_it_passes(session: Session, target: StorageNode) -> None:
    """What goes into memory is gone in a moment, which nobody would guess."""
    mount = target._mount
    if mount.capabilities.temporary and not mount.capabilities.path_is_content:
        session.note(f"{mount.label('')} is kept in memory, and gone when this command ends")


def _where(places: list[str]) -> str:
    """Where copies are whose content has decided it (base64)."""
    if not places:
        return ""
    are = "the copy is at" if len(places) == 1 else "the copies are at"
    return f"; {are} {', '.join(map(shown, places))}"


def _show_plan(plan: CopyPlan, *, silent: bool) -> Iterator[Action]:
    for action in plan:
        if not silent:
            line = _describe(plan, action)
            if line:
                print(line)
        yield action


def _describe(plan: CopyPlan, action: Action) -> str:
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
    return ""


def _sum(reports: list[Any]) -> dict[str, Any]:
    """The fields of one report or summary of several: numbers added, reasons counted together."""
    total: dict[str, Any] = {}
    for report in reports:
        for name, value in vars(report).items():
            if isinstance(value, int | float):
                total[name] = total.get(name, 0) + value
            elif isinstance(value, dict):
                counts = total.setdefault(name, {})
                for reason, count in value.items():
                    counts[reason] = counts.get(reason, 0) + count
            elif value is not None:
                total[name] = value
    return total


def _sentence(total: Any) -> str:
    count = total.bytes_copied if isinstance(total, TransferReport) else total.bytes_to_copy
    moved = total.copied if isinstance(total, TransferReport) else total.to_copy
    detail = ""
    if moved:
        amount = f"{count} {'byte' if count == 1 else 'bytes'}" if count < 1024 else size(count)
        detail = f"; {amount}"
        if isinstance(total, TransferReport) and total.seconds >= 1:
            detail += f" in {total.seconds:.1f} s"
    return f"{total}{detail}"


class _Tally:
    """Carries out and counts what is done, where nobody looks.

    Not by callbacks: whoever is to hear of the files that are left out has them all listed.
    """

    def __init__(self, plan: CopyPlan) -> None:
        self._plan = plan
        self._copied = self._skipped = self._filtered = self._bytes = 0
        self._reasons: Counter[str] = Counter()

    def run(self, actions: Iterable[Action], transfer: Transfer) -> Iterator[Done]:
        """As any other executor."""
        for done in executor_for(self._plan, transfer).run(actions, transfer):
            if done.error is None:
                self.advance(done.action)
            yield done

    def advance(self, action: object) -> None:
        """One file is done."""
        if isinstance(action, CopyFile):
            self._copied += 1
            self._bytes += action.source.size or 0
        elif isinstance(action, SkipFile):
            self._skipped += 1
            self._reasons[reason_kind(action.reason)] += 1
        elif isinstance(action, Filtered):
            self._filtered += 1

    def so_far(self) -> TransferReport:
        """What was done of a copy that has failed."""
        return TransferReport(
            copied=self._copied,
            skipped=self._skipped,
            filtered=self._filtered,
            bytes_copied=self._bytes,
            skip_reasons=dict(self._reasons.most_common()),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None


class _Bar(_Tally):
    """Files, bytes, speed and the time that is left, on standard error."""

    def __init__(self, plan: CopyPlan) -> None:
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
            TransferSpeedColumn,
        )

        super().__init__(plan)
        self._bar = Progress(
            TextColumn("{task.fields[files]} files", markup=False),
            BarColumn(bar_width=None),
            DownloadColumn(binary_units=True),
            TransferSpeedColumn(),
            TimeRemainingColumn(compact=True),
            console=console(sys.stderr),
            transient=True,
            expand=True,
        )

    def __enter__(self) -> Self:
        self._bar.start()
        self._task = self._bar.add_task("", total=None, files="0")
        self._files, count = self._measure()
        self._bar.update(self._task, total=count, files=self._label())
        return self

    def _measure(self) -> tuple[int, int]:
        plan = self._plan
        if plan.info.type != "directory":
            return 1, plan.info.size or 0
        files = count = 0
        start = len(plan.source.path) + 1 if plan.source.path else 0
        for info in plan.source_listing():
            if info.type == "file" and plan.filters.reason(info, info.path[start:]) is None:
                files += 1
                count += info.size or 0
        return files, count

    def _label(self) -> str:
        return f"{self._copied + self._skipped}/{self._files}"

    def advance(self, action: object) -> None:
        super().advance(action)
        if isinstance(action, CopyFile | SkipFile):
            self._bar.update(self._task, advance=action.source.size or 0, files=self._label())

    def __exit__(self, *_: object) -> None:
        self._bar.stop()


def _progress(plan: CopyPlan, *, quiet: bool) -> _Tally:
    return _Tally(plan) if quiet or not is_terminal(sys.stderr) else _Bar(plan)


# -- mv -------------------------------------------------------------------------------------------


def mv(
    ctx: typer.Context,
    sources: Sources,
    dest: Target,
    as_json: Json = False,
) -> None:
    """Move or rename files and directories.

    What goes inside DEST is as for cp. The source goes only after everything has arrived. A file
    at the target is replaced. A mount in memory is refused: it ends with the command.
    """
    session: Session = ctx.obj
    if STREAM in (*sources, dest):
        raise typer.BadParameter(
            "- is standard input and output, which cp copies from and to; a file of that name is "
            "written ./-",
            param_hint="DEST" if dest == STREAM else "SOURCE",
        )
    moved: list[dict[str, str]] = []
    # The root of a mount cannot be moved.
    for node, target in _destinations(session, sources, dest, merging=None):
        with session.attempt():
            mount = target._mount
            is_content = mount.capabilities.path_is_content
            if mount.capabilities.temporary and not is_content:
                raise StorageUnsupportedError(
                    f"{target.fullpath}: {mount.label('')} is kept in memory, and gone when this "
                    "command ends; nothing is moved there",
                    node=target.fullpath,
                )
            node.rename(target)
            moved.append({"source": node.fullpath, "target": target.fullpath})
            if is_content and not as_json:
                print(f"{shown(node.fullpath)} is at {shown(target.fullpath)} now")
    if as_json:
        print_json({"moved": moved})
