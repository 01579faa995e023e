"""StorageManager: names for places where files live."""

from __future__ import annotations

import contextlib
import difflib
import math
import os
import re
import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .doctor import examine
from .durations import in_seconds
from .exceptions import MountNotFoundError, StorageConfigError, StorageValueError
from .health import MountHealth, check_mounts
from .mounting import Entry, built, refuse_if_read_only
from .node import StorageNode
from .node.core import LOCAL_PATHS
from .node.virtual_nodes import diff_node, dummy_node, iter_node
from .places import PlaceFinder, parents_first, refuse_circles
from .references import Home, checked_factory, origin_of

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence
    from datetime import timedelta
    from typing import Self

    from .compat import MountTable
    from .config import MountSpec
    from .info import CleanupCount, Finding
    from .mount import Mount

    ConfigSource = str | os.PathLike[str] | list[Any] | tuple[Any, ...] | Mapping[str, Any]
    Kept = dict[tuple[str, Hashable], Any]

__all__ = ["StorageManager"]

#: Nothing is older, in seconds; dates go little further back.
_LONGEST = 1000 * 365 * 86400.0
# What nobody calls a mount, and everybody a path of his machine.
_LOCAL = re.compile(r"[/~\\]|\.{1,2}[/\\]|[A-Za-z]:[/\\]")


class StorageManager:
    """Maps mount names to storages and hands out nodes.

    Thread-safe: configuration replaces the table of mounts in one step, and nodes hold on to the
    mount that they were made with.

    >>> storage = StorageManager()
    >>> storage.configure([{"name": "scratch", "type": "memory"}])
    >>> storage.node("scratch:hello.txt").write_text("hello")
    True
    """

    def __init__(self) -> None:
        self._table: dict[str, Mount] = {}
        # Where each mount's configuration came from: a file's path, or what code passed. This is
        # what pickling keeps, so a secret that a file led to never travels.
        self._origins: dict[str, Path | Mapping[str, Any]] = {}
        self._specs: dict[str, MountSpec] = {}
        self._home = Home()
        # Which mounts hold the file that a mount (an archive) reads its content from.
        self._holders: dict[str, tuple[str, ...]] = {}
        self._kept: Kept = {}
        self._lock = threading.RLock()

    # -- configuration ------------------------------------------------------------------------

    def configure(self, source: ConfigSource) -> None:
        """Add mounts from a YAML, JSON or TOML file, a list of mappings, or ``{"mounts": …}``.

        All or nothing: every mount is validated and built before any is changed. A name that is
        configured already is replaced. Raises ``StorageConfigError`` with the mount, its type and
        the key; ``StorageNotFoundError`` where the file is missing; ``TypeError`` for any other
        kind of source.
        """
        from .config import load

        configuration = load(source)
        origin = configuration.source
        with self._lock:
            try:
                self._apply([Entry(spec, origin) for spec in configuration.mounts])
            except StorageConfigError as error:
                # The checks until here knew the file, building does not.
                if isinstance(source, str | os.PathLike):
                    error.message = f"{Path(source)}: {error.message}"
                raise

    def add_mount(self, config: Mapping[str, Any]) -> None:
        """Add or replace one mount, given as a mapping; raises as :meth:`configure` does."""
        self.configure([config])

    def _apply(self, entries: Sequence[Entry]) -> None:
        table = dict(self._table)
        origins = dict(self._origins)
        specs = dict(self._specs)
        holders = dict(self._holders)
        # Objects that a failed configuration made must not stay: work on a copy.
        kept = dict(self._kept)
        later = {entry.spec.name for entry in entries}
        with contextlib.ExitStack() as undo:
            for entry in entries:
                spec = entry.spec
                later.discard(spec.name)
                origins[spec.name] = entry.origin or dict(spec.literal or {})
                specs[spec.name] = spec
                if spec.relative is not None:
                    table[spec.name] = self._narrowed(spec, table, later)
                else:
                    finder = PlaceFinder(spec.name, table, later, self._mount)
                    table[spec.name] = mount = built(entry, kept, undo, finder)
                    holders[spec.name] = finder.used
                    if finder.used:
                        refuse_circles(table, specs, holders)
                    origin = origin_of(spec.name, self._home, origins, specs, holders, table)
                    table[spec.name] = replace(mount, origin=origin)
            self._follow_parents(table, specs)
            refuse_circles(table, specs, holders)
            undo.pop_all()
        self._kept, self._origins, self._specs, self._holders = kept, origins, specs, holders
        self._install(table)

    def _follow_parents(self, table: dict[str, Mount], specs: dict[str, MountSpec]) -> None:
        """Narrow anew what stands below a replaced mount: it must not keep what that has lost.

        A mount whose parent was deleted stays as it is; one that stands below itself is refused.
        """
        settled = {name for name in table if specs[name].relative is None}
        waiting = [name for name in table if name not in settled]
        while waiting:
            later: list[str] = []
            for name in waiting:
                relative = specs[name].relative
                assert relative is not None
                if relative.parent in settled:
                    fresh = self._narrowed(specs[name], table, set())
                    if not fresh.is_like(table[name]):
                        table[name] = fresh
                elif relative.parent in table:
                    later.append(name)
                    continue
                settled.add(name)
            if len(later) == len(waiting):
                raise StorageConfigError(
                    f"mount {later[0]!r}: stands below itself; the chain of parents must end at a "
                    "mount with a type"
                )
            waiting = later

    @staticmethod
    def _narrowed(spec: MountSpec, table: dict[str, Mount], later: set[str]) -> Mount:
        relative = spec.relative
        assert relative is not None
        parent = table.get(relative.parent)
        if parent is None or relative.parent in later:
            fix = "; define it before this mount" if relative.parent in later else ""
            raise StorageConfigError(
                f"mount {spec.name!r}: Parent mount {relative.parent!r} not found"
                + (fix or _suggestion(relative.parent, table))
            )
        if spec.permissions in ("readwrite", "delete"):
            refuse_if_read_only(spec, parent)
        if parent.backend.capabilities.path_is_content and relative.sub:
            raise StorageConfigError(
                f"mount {spec.name!r}: {relative.parent!r} has no directories; "
                f"use path: '{relative.parent}:'"
            )
        return parent.narrow(spec.name, relative.sub, spec.permissions)

    def _install(self, table: dict[str, Mount]) -> None:
        """Replace the table in one step and close what no mount uses any more."""
        before, self._table = self._table, table
        done = {id(mount.backend) for mount in table.values()}
        for mount in before.values():
            if id(mount.backend) not in done:
                done.add(id(mount.backend))
                mount.close()

    def delete_mount(self, name: str) -> None:
        """Forget a mount; its files stay. Raises ``MountNotFoundError`` (a KeyError)."""
        with self._lock:
            self._mount(name)
            self._install({key: mount for key, mount in self._table.items() if key != name})
            self._kept = {key: kept for key, kept in self._kept.items() if key[0] != name}
            self._origins.pop(name, None)
            self._specs.pop(name, None)
            self._holders.pop(name, None)

    def has_mount(self, name: object) -> bool:
        """Whether a mount of that name is configured now; none has a name that is no text."""
        return isinstance(name, str) and name in self._table

    def get_mount_names(self) -> list[str]:
        """The names in the order in which they were configured."""
        return list(self._table)

    def _mount(self, name: str, written: str | None = None) -> Mount:
        if not isinstance(name, str):
            raise _no_text("the name of a mount is text, such as 'uploads'", name)
        try:
            return self._table[name]
        except KeyError:
            hint = _suggestion(name, self._table)
            if written is not None and ":" not in written:
                hint += "; a node is written 'mount:path'"
            if written is not None and _LOCAL.match(written):
                hint += f"; {LOCAL_PATHS}"
            raise MountNotFoundError(f"Mount point {name!r} not found{hint}", node=name) from None

    @property
    def _mounts(self) -> MountTable:
        """The mounts with the verbs that 0.4 offered on ``storage._mounts[name]``."""
        from .compat import MountTable

        return MountTable(self)

    # -- nodes --------------------------------------------------------------------------------

    def node(
        self,
        mount_or_path: str | None = None,
        *path_parts: str,
        version: int | str | None = None,
    ) -> StorageNode:
        """The node at ``"mount:path"``, or at ``"mount", "path", …``; nothing is looked up.

        ``version`` (an index, -1 the latest, or an id) gives a read-only snapshot. Raises
        ``MountNotFoundError`` for an unknown mount, ``StoragePathError`` for ``..`` and
        ``TypeError`` for what is no text. Without arguments: a node of no place, whose every use
        raises.
        """
        if mount_or_path is None:
            return dummy_node(self)
        for given in (mount_or_path, *path_parts):
            if not isinstance(given, str):
                raise _no_text("a node is written as text, 'mount:path' or 'mount', 'path'", given)
        name, _, path = mount_or_path.partition(":")
        if name not in self._table:
            self._mount(name, None if path_parts else mount_or_path)  # says what is wrong
        if path_parts:
            path = "/".join((path, *path_parts)) if path else "/".join(path_parts)
        return StorageNode(self, name, path, version=version)

    def _local_node(self, path: str) -> StorageNode:
        """The node of a plain local path, which needs no mount and shows as it was written.

        For programs whose user may name any file, as the command line's: what a web client sends
        never belongs here.
        """
        from .local_node import local_node

        return local_node(self, path)

    def iternode(self, *nodes: StorageNode) -> StorageNode:
        """A virtual node that reads as its sources one after the other; ``append``, ``extend``."""
        return iter_node(self, nodes)

    def diffnode(self, node1: StorageNode, node2: StorageNode) -> StorageNode:
        """A virtual node that reads as the unified diff of two text files."""
        return diff_node(self, node1, node2)

    # -- for other libraries ------------------------------------------------------------------

    def fs(self, name: str) -> Any:
        """An fsspec filesystem with the settings of a mount, for libraries that want one.

        It reaches all that the mount's credentials do, holds them, and knows nothing of rights and
        prefixes. Raises ``StorageUnsupportedError`` where the mount stands on none, and
        ``StoragePermissionError`` where the mount may do less than that.
        """
        return self._mount(name).filesystem()

    def store(self, name: str) -> Any:
        """The obstore store of a mount, for libraries that want one; raises as :meth:`fs`."""
        return self._mount(name).store()

    @property
    def reference(self) -> str | None:
        """A function without arguments that makes the same manager in another process.

        Written ``"package.module:function"``. Copies by the processes of an executor open their
        mounts through it, and where it is None through the configuration files, so that no key
        travels. Raises ``StorageValueError`` for what is not written so.

        >>> storage = StorageManager()
        >>> storage.reference = "my_app.places:manager"
        >>> storage.reference
        'my_app.places:manager'
        """
        return self._home.factory

    @reference.setter
    def reference(self, function: str | None) -> None:
        self._home.factory = checked_factory(function)

    # -- life ---------------------------------------------------------------------------------

    def check(self, *names: str, timeout: float | timedelta | str = 60.0) -> list[MountHealth]:
        """Ask the mounts of these names (all, without names) whether they can be used.

        Each connects where it has not yet, and all are asked at the same time. One answer a
        mount, in order; nothing is raised for a mount that cannot be reached, which its ``state``
        and ``reason`` say. ``timeout`` bounds the whole call: seconds, a ``timedelta``, or a text
        such as ``"30s"``. Raises ``MountNotFoundError`` for an unknown name.

        >>> storage = StorageManager()
        >>> storage.configure([{"name": "scratch", "type": "memory"}])
        >>> [(health.mount, health.state) for health in storage.check()]
        [('scratch', 'reachable')]
        """
        mounts = [self._mount(name) for name in names] if names else list(self._table.values())
        return check_mounts(mounts, _duration(timeout, "timeout"))

    def doctor(self, name: str, *, write: bool = False) -> list[Finding]:
        """Everything that is in force in one mount, with the reason, and whether it works.

        ``write`` also stores, reads and deletes a small file of its own in the mount's root.
        Nothing is raised for what does not work: its finding is not ``ok``. Raises
        ``MountNotFoundError`` for an unknown name.

        >>> storage = StorageManager()
        >>> storage.configure([{"name": "scratch", "type": "memory"}])
        >>> [finding.name for finding in storage.doctor("scratch", write=True) if finding.ok]
        ['permissions', 'storage', 'list', 'put', 'get', 'delete']
        """
        return examine(self._mount(name), write=write)

    def cleanup(self, name: str, older_than: float | timedelta | str = 3600.0) -> CleanupCount:
        """Remove the temporary files that killed writers left in a mount.

        Only what is at least ``older_than`` old (seconds, a ``timedelta``, or a text such as
        ``"1h"``) and held by no living writer goes.
        Returns how many files went; its ``left`` says how many younger ones there are.
        """
        lasting = min(_duration(older_than, "older_than"), _LONGEST)
        return self._mount(name).cleanup("", lasting)

    def close(self) -> None:
        """Release every connection and forget all mounts.

        A node that was made before holds its mount: it still works, and connects anew. The files of
        a memory mount are gone when no such node is left.
        """
        with self._lock:
            self._install({})
            self._kept = {}
            self._origins = {}
            self._specs = {}
            self._holders = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"StorageManager(mounts=[{', '.join(self._table) or 'none'}])"

    # A copy would be a second manager over the same places, with empty memory mounts.
    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def __getstate__(self) -> dict[str, Any]:
        from .config.portable import require_portable

        for name, origin in self._origins.items():
            if not isinstance(origin, Path):
                require_portable(name, origin)
        return {"origins": [(name, self._origins[name]) for name in self._parents_first()]}

    def _parents_first(self) -> list[str]:
        """The names in an order in which they can be configured again."""
        return parents_first(self._table, self._specs, self._holders)

    def __setstate__(self, state: dict[str, Any]) -> None:
        from .config import load

        StorageManager.__init__(self)
        files: dict[Path, dict[str, MountSpec]] = {}
        entries: list[Entry] = []
        for name, origin in state["origins"]:
            if not isinstance(origin, Path):
                entries.append(Entry(load([origin]).mounts[0], None))
                continue
            if origin not in files:
                files[origin] = {spec.name: spec for spec in load(origin).mounts}
            if name not in files[origin]:
                raise StorageConfigError(f"mount {name!r}: {origin} does not define it any more")
            entries.append(Entry(files[origin][name], origin))
        self._apply(entries)


def _duration(value: object, name: str) -> float:
    try:
        found = in_seconds(value, name)
    except ValueError as error:
        raise StorageValueError(str(error)) from None
    if isinstance(found, bool) or not isinstance(found, int | float) or math.isnan(found):
        raise StorageValueError(
            f"{name} is {value!r}; give a number of seconds, a timedelta, or a text such as 30s"
        )
    return found


def _no_text(wanted: str, given: object) -> TypeError:
    """The kind of what was given is told, not itself: it may be a configuration with secrets."""
    fix = ""
    if isinstance(given, StorageNode):  # which is a PathLike too
        fix = "; a node has its own as 'fullpath'"
    elif isinstance(given, os.PathLike):
        fix = f"; inside a mount write as_posix() of it, and {LOCAL_PATHS}"
    return TypeError(f"{wanted}, not {type(given).__name__}{fix}")


def _suggestion(name: str, table: Mapping[str, Any]) -> str:
    near = difflib.get_close_matches(name, table, n=1)
    if near:
        return f"; did you mean {near[0]!r}?"
    return f"; configured are: {', '.join(list(table)[:20])}" if table else "; none is configured"
