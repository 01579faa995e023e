"""The entry: ``plan_copy`` checks what can be checked at once, ``CopyPlan`` lists, shows, acts."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

from ..exceptions import StorageValueError
from ..hearing import hearing_left_out, hearing_retries
from ..info import FileInfo
from ..strategy import SkipStrategy, parse_strategy
from .applying import Application, Told, refuse_collisions, rehearsed
from .execution.bandwidth import Bandwidth
from .execution.execute import Transfer
from .execution.mirroring import refuse_mirror_of_itself
from .place import Place
from .planning.actions import Action, DeleteDirectory, DeleteFile, MakeDirectory
from .planning.compare import Comparison, naming
from .planning.filters import Filters, Patterns, Predicate
from .planning.inside import leads_around, outermost_first, refuse_into_itself
from .planning.listings import complete, refuse_listing, refuse_other_bucket, within
from .planning.looking import Listings, source_found, target_found
from .planning.plan import plan_file, plan_tree
from .planning.resolving import resolved
from .planning.rules import Decide, SkipFunction, decide_by
from .planning.wire import PlanHeader, dump_plan, load_plan
from .report import PlanSummary, TransferReport
from .terms import (
    OnError,
    Terms,
    Verify,
    checked_on_error,
    checked_verify,
    require_flags,
    require_numbers,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from concurrent.futures import Executor as FuturesExecutor

    from .events import Reporter
    from .execution.executors import Executor
    from .planning.checksums import ChecksumCache
    from .planning.wire import Reader, Writer
    from .reporting.progress import OnFile, OnSkip, Progress

__all__ = ["CopyPlan", "plan_copy"]


class Storage(Protocol):
    """A ``StorageManager``, as far as it is needed."""

    def node(self, fullpath: str, /) -> Any:
        """The node of ``mount:path``."""
        ...


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class CopyPlan:
    """A copy that has been decided on and not carried out: a value to look at, or to apply.

    Iterating lists both sides and yields the actions without changing anything (each time
    anew, in constant memory); ``apply()`` carries them out. Neither lists a directory that no
    file can pass.
    """

    source: Place
    target: Place
    info: FileInfo
    target_info: FileInfo | None
    filters: Filters
    strategy: SkipStrategy
    decide: Decide
    """By what the listings tell; ``CompareFile`` where that is not enough."""
    settle: Decide
    """Whatever it takes."""
    comparison: Comparison
    version: str | None = None
    same: bool = False
    """Source and target are one place: there is nothing to do."""
    overlapping: bool = False
    """The source lies inside the target, so that copying writes among what is being copied."""
    if_absent: bool = False
    """A file that is at the destination by the time it is written is an error."""
    delete: bool = False
    """What only the target has is removed, when everything else is done."""
    max_delete: int | None = None
    given: tuple[Action, ...] | None = None
    """What is to be done, where it was read from a file: nothing is listed for it."""
    listing: Iterable[FileInfo] | None = None
    """What the source holds, where that is known from elsewhere."""
    extra_filters: Filters | None = None
    """Those for what only the target has, where a function among them is told of a node."""
    _listings: Listings = field(default_factory=Listings)

    def heard(self) -> list[BaseException]:
        """The errors that were overcome in making the plan; whoever tells them takes them out."""
        return self._listings.heard

    def left_out(self) -> list[str]:
        """The names that were left out in making the plan; as ``heard``."""
        return self._listings.left_out

    def __iter__(self) -> Iterator[Action]:
        return self.resolved(self.settle)

    def resolved(self, settle: Decide, *, fresh: bool = False) -> Iterator[Action]:
        """The actions, in which ``settle`` has decided about whatever the listings leave open."""
        plan = self if fresh else self._as_of_now()
        transfer = plan.transfer(Terms(version=self.version))
        return resolved(plan.actions(pruned=True), settle, transfer.concurrency)

    def _as_of_now(self) -> CopyPlan:
        """The same plan for what stands at both places now: time may have passed."""
        if self.same or self.given is not None:
            return self
        source = source_found(self.source, self.version, self._enter(self.source))
        assert source.info is not None
        target = target_found(
            self.target, source.info, decides=self._target_decides, enter=self._enter(self.target)
        )
        return replace(
            self,
            info=source.info,
            target_info=target.info,
            _listings=Listings(source.listing, target.listing),
        )

    @property
    def _target_decides(self) -> bool:
        return self.delete or self.strategy is not SkipStrategy.NEVER

    def _enter(self, place: Place) -> Callable[[FileInfo], bool] | None:
        return _enter(self.filters, place)

    def __repr__(self) -> str:
        return f"CopyPlan({str(self.source)!r}, {str(self.target)!r}, skip={self.strategy.value!r})"

    def count(self) -> int:
        """How many actions there are, directories to be made included (no ``len()``: that would list twice in ``list(plan)``)."""
        return sum(1 for _ in self)

    def summary(self) -> PlanSummary:
        """What would be done, in numbers; both sides are listed, nothing is changed."""
        return PlanSummary.of(self)

    def apply(
        self,
        progress: Progress | None = None,
        on_file: OnFile | None = None,
        on_skip: OnSkip | None = None,
        *,
        executor: Executor | FuturesExecutor | None = None,
        concurrency: int | None = None,
        on_error: OnError = "raise",
        verify: Verify | None = None,
        retries: int = 3,
        bandwidth: Bandwidth | float | str | None = None,
        reporter: Reporter | None = None,
        resume: bool = False,
        fresh: bool = False,
    ) -> TransferReport:
        """Carry the plan out; ``Callbacks`` says who is told what.

        ``concurrency`` files are copied at a time, by default as many as pay between the two
        storages; ``executor`` decides instead. ``on_error="raise"`` stops at the first error; what
        was copied until then stays and is noted on it. With ``"collect"`` the others go on, and
        the report names the failures. ``verify`` compares each copied file with its source, by
        ``"size"`` or ``"checksum"``. A file that changes while it is read, or whose transfer the
        network breaks, is tried ``retries`` times more. ``bandwidth`` bounds the bytes per second
        of all transfers together: a number, a text such as ``"10M"``, or a ``Bandwidth`` that several
        copies share. ``reporter`` is called with each ``Event`` of the copy.

        What stands at both places is looked at anew, since time may have passed; not where the
        plan is ``fresh``, made in the line before.

        Directories that no file can pass are not listed, unless ``on_skip`` wants to hear of what
        is in them. The files are held as a list only where ``progress`` or a ``reporter`` needs their number beforehand, or
        ``on_skip`` is to hear of the filtered ones before the first copy.
        """
        require_numbers(1, concurrency=concurrency)
        terms = Terms(
            version=self.version,
            if_absent=self.if_absent,
            verify=checked_verify(verify),
            retries=retries,
            bandwidth=None if bandwidth is None else Bandwidth.of(bandwidth),
            on_error=checked_on_error(on_error),
            resume=resume,
            skip=self.strategy,
            as_planned=self.given is not None,
        )
        told = Told(progress, on_file, on_skip, reporter)
        application = Application(self, terms, told)
        started = time.perf_counter()
        return application.run(
            lambda: self if fresh else self._as_of_now(), executor, concurrency, started
        )

    def rehearse(
        self,
        progress: Progress | None = None,
        on_file: OnFile | None = None,
        on_skip: OnSkip | None = None,
    ) -> PlanSummary:
        """A dry run: everybody is told what ``apply`` would tell them, and nothing is changed."""
        if self.info.type == "directory" and not self.same:
            refuse_collisions(self)
        return PlanSummary.of(rehearsed(self, progress, on_file, on_skip))

    def dump(self, stream: Writer) -> int:
        """Write the plan as lines of JSON, to be looked at, kept, and read by :meth:`load`.

        Both sides are listed for it, in constant memory; nothing is changed, and no secret is in it.
        Returns how many actions there are.

        >>> import io
        >>> from genro_storage import CopyPlan, StorageManager
        >>> storage = StorageManager()
        >>> storage.configure([{"name": "m", "type": "memory"}])
        >>> storage.node("m:a/x.txt").write_text("x")
        True
        >>> stream = io.StringIO()
        >>> storage.node("m:a").plan_copy("m:b").dump(stream)
        2
        >>> print(CopyPlan.load(io.StringIO(stream.getvalue()), storage).apply())
        1 copied, 0 skipped
        """
        header = PlanHeader(
            self.source.mount.fullpath(self.source.path),
            self.target.mount.fullpath(self.target.path),
            self.strategy,
            datetime.now(UTC),
            self.version,
            self.if_absent,
            self.delete,
            self.max_delete,
        )
        return dump_plan(header, self, stream, roots=(self.source.path, self.target.path))

    @staticmethod
    def load(stream: Reader, storage: Storage) -> CopyPlan:
        """The plan that ``dump`` has written, between the mounts that ``storage`` has now.

        It is carried out as it is written, on the terms it was made with: nothing is listed or
        compared again. A file that came since to where the plan saw none is not replaced:
        ``StorageExistsError``. It is read whole before anything else, so that one that breaks off is
        not begun: ``StorageValueError``, with the line that is wrong.
        """
        header, actions = load_plan(stream)
        given = tuple(actions)
        terms = header.terms
        terms["delete"] |= any(isinstance(each, DeleteFile | DeleteDirectory) for each in given)
        source, target = storage.node(header.source), storage.node(header.target)
        plan = plan_copy(
            Place(source._mount, source._path),
            Place(target._mount, target._path),
            skip=SkipStrategy.NEVER,
            **terms,
        )
        return replace(plan, strategy=header.skip, given=given)

    def transfer(self, terms: Terms) -> Transfer:
        """What carries single actions out."""
        return Transfer(
            self.source, self.target, terms=terms, settle=self.settle, comparison=self.comparison
        )

    # -- listing ------------------------------------------------------------------------------

    def source_listing(self, *, pruned: bool = True) -> Iterator[FileInfo]:
        """The source's tree; ``pruned`` of what no file can pass, where nobody asks about it."""
        find, path, filters = self.source.mount.find, self.source.path, self.filters
        if self.listing is not None:
            return within(self.listing, path, filters)
        begun = self._listings.take_source()
        if begun is not None and (pruned or not filters):
            return begun
        enter = self._enter(self.source)
        if enter is None or pruned:
            return find(path, enter=enter)
        # The same tree for those who listen: what is given up is named, and not made.
        return within(find(path), path, filters)

    def _target_listing(self) -> Iterator[FileInfo]:
        begun = self._listings.take_target()
        return self.new_listing(self.target) if begun is None else begun

    def new_listing(self, place: Place) -> Iterator[FileInfo]:
        """The tree of either place as it is now, without what no file can pass."""
        if place is self.source and self.listing is not None:
            return within(self.listing, place.path, self.filters)
        return place.mount.find(place.path, enter=self._enter(place))

    def actions(
        self, kept: list[FileInfo] | None = None, *, pruned: bool = False
    ) -> Iterator[Action]:
        """What is to be done, by what the listings tell; ``kept`` is the source's, filtered."""
        if self.same:
            return iter(())
        if self.given is not None:
            return iter(self.given)
        if self.info.type != "directory":
            return iter((plan_file(self.info, self.target_info, self.decide),))
        return self._tree_actions(kept, pruned=pruned)

    def _tree_actions(self, kept: list[FileInfo] | None, *, pruned: bool) -> Iterator[Action]:
        listing: Iterable[FileInfo] = (
            kept if kept is not None else self.source_listing(pruned=pruned)
        )
        source, target = self.source, self.target
        sure = source.mount.can_compare_places(source.path, target.mount, target.path)
        if self.overlapping:
            listing = list(listing)
        elif not sure:
            # What is copied must not turn up in what is still being listed, which two stores
            # that do not know of each other cannot exclude.
            listing = complete(listing)
        there: Iterable[FileInfo] | None
        if self.target_info is None:
            there = ()
            if self.target.path:
                yield MakeDirectory("")
        elif self._target_decides:
            there = self._target_listing()
        else:
            there = None
        actions = plan_tree(
            listing,
            there,
            self.decide,
            filters=None if kept is not None and not self.delete else self.filters,
            source_root=self.source.path,
            target_root=self.target.path,
            delete=self.delete,
            extra_filters=self.extra_filters,
            around=leads_around(source.mount, target, self.filters),
        )
        if isinstance(listing, list) and self.overlapping:
            yield from outermost_first(list(actions), listing, self.source, self.target)
        else:
            yield from actions


def plan_copy(
    source: Place,
    target: Place,
    *,
    include: Patterns = None,
    exclude: Patterns = None,
    filter: Predicate | None = None,
    extra_filter: Predicate | None = None,
    skip: str | SkipStrategy = SkipStrategy.NEVER,
    skip_fn: SkipFunction | None = None,
    version: str | None = None,
    if_absent: bool = False,
    delete: bool = False,
    max_delete: int | None = None,
    checksums: ChecksumCache | None = None,
    listing: Iterable[FileInfo] | None = None,
    writes: bool = True,
    **limits: Any,
) -> CopyPlan:
    """Decide how to copy a file or directory onto ``target``; nothing is written yet.

    A directory's content merges into the target directory. ``filter(info, relpath)``, the
    patterns and limits choose files of a directory (a single file is always chosen); ``skip`` says
    when one that is there already is left alone, ``skip_fn(source, target)`` decides for
    ``custom``; with ``if_absent`` nothing that is there, or comes meanwhile, is replaced. With
    ``delete`` the target becomes a mirror: what only it has is removed. A plan that is only looked
    at (``writes=False``) needs no rights on the target. ``listing`` is what the source holds, where
    that is known from elsewhere (``Inventory``).
    Raised at once: unknown values, a target that may not be written, a missing source, a file in a
    directory's place or the reverse, a directory copied into itself.
    """
    require_flags(delete=delete, if_absent=if_absent)
    require_numbers(0, max_delete=max_delete)
    strategy = parse_strategy(skip)
    filters = Filters(include, exclude, filter, **limits)
    source = Place(source.mount.bind(), source.path)
    target = Place(target.mount.bind(), target.path)
    comparison = Comparison(source, target, version=version, cache=checksums)
    own = None if skip_fn is None else naming(skip_fn, source)
    decide = decide_by(
        strategy, same=comparison.listed_same, same_time=comparison.listed_same_time, skip_fn=own
    )
    if writes:
        target.mount.require_write(target.path, "copying to it")
    if delete and writes:
        target.mount.require_delete(target.path, "removing what the source has not")
    decides = delete or strategy is not SkipStrategy.NEVER
    refuse_other_bucket(source, listing)
    listings = Listings()
    heard = listings.heard
    with hearing_retries(heard.append), hearing_left_out(listings.left_out.append):
        found = source_found(source, version, _enter(filters, source))
    info = found.info
    assert info is not None
    if delete and info.type != "directory":
        raise StorageValueError(
            f"{source}: a single file cannot be mirrored; delete= is for directories",
            node=str(source),
        )
    if listing is not None:
        refuse_listing(source, info, listing, delete=delete)
    same = version is None and target.mount.same_place(target.path, source.mount, source.path)
    overlapping = False
    target_info: FileInfo | None = None
    listings.source = found.listing
    if not same:
        if info.type == "directory":
            refuse_into_itself(source, target, filters=filters)
            overlapping = target.mount.contains(target.path, source.mount, source.path)
            if delete:
                refuse_mirror_of_itself(source, target)
        with hearing_retries(heard.append):
            there = target_found(target, info, decides=decides, enter=_enter(filters, target))
        target_info, listings.target = there
    return CopyPlan(
        source,
        target,
        info,
        target_info,
        filters,
        strategy,
        decide,
        decide_by(strategy, same=comparison.same, same_time=comparison.same_time, skip_fn=own),
        comparison,
        version,
        same,
        overlapping,
        if_absent,
        delete,
        max_delete,
        None,
        listing,
        filters if extra_filter is None else filters.with_predicate(extra_filter),
        listings,
    )


def _enter(filters: Filters, place: Place) -> Callable[[FileInfo], bool] | None:
    """Which directories are listed at all."""
    if not filters:
        return None
    start = len(place.path) + 1 if place.path else 0
    return lambda info: len(info.path) < start or filters.may_hold(info.path[start:])
