"""Copying, mirroring, moving and removing in random order, beside a model that is a dictionary.

After each step both mounts hold what the model holds, and what is raised is what it foresees.
``GENRO_STORAGE_EXAMPLES=2000`` runs that many sequences of each kind, at random.
"""

from __future__ import annotations

import fnmatch
import os
import random
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from genro_storage import StorageManager
from genro_storage.exceptions import (
    StorageError,
    StorageExistsError,
    StorageIsDirectoryError,
    StorageNotDirectoryError,
    StorageNotFoundError,
    StoragePermissionError,
    StorageValueError,
)
from genro_storage.transfer import Filters

EXAMPLES = os.environ.get("GENRO_STORAGE_EXAMPLES")

NAMES = ["a", "b", "a-b", "a.txt", "a b", "é", "A"]
CONTENTS = [b"", b"1", b"2", b"22", b"33", b"333"]
SIDES = st.sampled_from("xy")
PATTERNS = st.sampled_from([*[None] * 6, "*.txt", "a*", "a/*", "*b*", ["b/*", "A"]])
SKIPS = st.sampled_from(["never", "exists", "size", "mtime", "hash", "custom"])


def above(path):
    """The directories that a path is in, the innermost first, without the root."""
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path


def below(path, root):
    """The path as seen from ``root``, None where it is not inside."""
    if not root:
        return path or None
    return path[len(root) + 1 :] if path.startswith(root + "/") else None


def join(root, path):
    return f"{root}/{path}" if root and path else root or path


class Tree:
    """What one mount holds: contents with their times, and directories."""

    def __init__(self, has_directories):
        self.has_directories = has_directories
        self.files = {}
        self.directories = set()

    def copy(self):
        twin = Tree(self.has_directories)
        twin.files, twin.directories = dict(self.files), set(self.directories)
        return twin

    def kind(self, path):
        """``file``, ``directory``, ``below a file`` or None."""
        if not path or path in self.directories:
            return "directory"
        if path in self.files:
            return "file"
        return "below a file" if any(each in self.files for each in above(path)) else None

    def put(self, path, file):
        """Write; the error that this is, or None."""
        kind = self.kind(path)
        if kind == "directory":
            return StorageIsDirectoryError
        if kind == "below a file":
            return StorageNotDirectoryError
        self.files[path] = file
        self.directories.update(above(path))
        return None

    def make(self, path):
        """Make sure that a directory is there; the error, or None."""
        if not self.has_directories or self.kind(path) == "directory":
            return None
        if self.kind(path) is not None:
            return StorageNotDirectoryError
        self.directories.update((path, *above(path)))
        return None

    def remove(self, path):
        for place in [path, *self.within(path)]:
            self.files.pop(place, None)
            self.directories.discard(place)
        self.settle()

    def within(self, root):
        """All paths of files and directories below ``root``."""
        return [each for each in [*self.files, *self.directories] if below(each, root)]

    def settle(self):
        """Where directories are only names of files, they go with these."""
        if not self.has_directories:
            self.directories = {each for path in self.files for each in above(path)}


class Outcome:
    """What a copy comes to: the target's tree, the counts, and of each failure the error."""

    def __init__(self, tree):
        self.tree = tree
        self.copied = self.skipped = self.deleted = 0
        self.failures = {}
        self.refused = ()


def foreseen(source, here, target, there, *, same_mount, skip, filters, delete):
    """What copying ``here`` of the source to ``there`` of the target must come to."""
    found = Outcome(target.copy())
    kind = source.kind(here)
    if kind is None:
        found.refused = (StorageNotFoundError,)
    elif kind == "below a file":
        # To a store of objects such a name is as any other.
        found.refused = (StorageNotDirectoryError, StorageNotFoundError)
    elif delete and kind == "file":
        found.refused = (StorageValueError,)
    elif same_mount and here == there:
        return found
    elif (kind == "directory" and same_mount and below(there, here)) or (
        kind == "directory" and same_mount and delete and below(here, there)
    ):
        found.refused = (StorageValueError,)
    elif target.kind(there) == "below a file" or (
        kind == "directory" and target.kind(there) == "file"
    ):
        found.refused = (StorageNotDirectoryError,)
    elif kind == "file" and target.kind(there) == "directory":
        found.refused = (StorageIsDirectoryError,)
    if found.refused:
        return found
    if kind == "file":
        _copy_one(found, source.files[here], there, "", skip)
        return found
    _copy_tree(found, source, here, target, there, skip=skip, filters=filters, delete=delete)
    return found


def _copy_one(found, file, path, relpath, skip):
    """One file, unless the target has it already by what ``skip`` says."""
    old = found.tree.files.get(path)
    if old is not None and _is_same(skip, file, old):
        found.skipped += 1
        return
    error = found.tree.put(path, file)
    if error is None:
        found.copied += 1
    else:
        found.failures[relpath] = error


def _is_same(skip, new, old):
    (content, time), (there, its_time) = new, old
    return {
        "never": False,
        "exists": True,
        "size": len(content) == len(there),
        "mtime": len(content) == len(there) and time == its_time,
        "hash": content == there,
        "custom": len(content) % 2 == 0,
    }[skip]


def _copy_tree(found, source, here, target, there, *, skip, filters, delete):
    patterns = Filters(**filters)
    decides = delete or skip != "never"

    def is_listed(relpath):
        return all(patterns.may_hold(each) for each in above(relpath))

    entries = {
        relpath: path for path in source.within(here) if is_listed(relpath := below(path, here))
    }
    blocked = []
    made = bool(there) and found.tree.kind(there) is None
    if made:
        found.tree.make(there)
    # Parents first; the order is else of no account, since no two have one target.
    for relpath, path in sorted(entries.items()):
        if any(each in blocked for each in above(relpath)):
            continue
        place = join(there, relpath)
        if path in source.directories:
            if found.tree.kind(place) == "directory":
                continue
            if not found.tree.has_directories:
                if found.tree.kind(place) is not None:
                    found.failures[relpath] = StorageNotDirectoryError
                    blocked.append(relpath)
                continue
            error = found.tree.make(place)
            made = made or error is None
            if error is not None:
                found.failures[relpath] = error
                if decides:  # then nothing in it is even tried
                    blocked.append(relpath)
        elif is_chosen(relpath, filters):
            _copy_one(found, source.files[path], place, relpath, skip)
    if delete and not found.failures:
        _remove_extras(found, set(entries), source, here, target, there, filters, made)


def is_chosen(relpath, filters):
    def matches(name):
        given = filters[name]
        patterns = [given] if isinstance(given, str) else given or []
        return any(fnmatch.fnmatchcase(relpath, pattern) for pattern in patterns)

    return (filters["include"] is None or matches("include")) and not matches("exclude")


def _remove_extras(found, entries, source, here, target, there, filters, made):
    patterns = Filters(**filters)

    def is_ours(relpath, path):
        """Whether the source has the same, a file for a file or a directory for a directory."""
        twin = join(here, relpath)
        where = source.files if path in target.files else source.directories
        return relpath in entries and twin in where

    extras = {
        relpath: path
        for path in target.within(there)
        if not is_ours(relpath := below(path, there), path)
        and all(patterns.may_hold(each) for each in above(relpath))
    }
    # A directory that has the name of a file which is left out stays, with all that is in it.
    spared = {
        relpath
        for relpath in entries
        if join(here, relpath) in source.files and not is_chosen(relpath, filters)
    }
    extras = {
        relpath: path
        for relpath, path in extras.items()
        if not any(each in spared for each in above(relpath))
        and not (relpath in spared and path in target.directories)
    }
    files = {
        relpath: path
        for relpath, path in extras.items()
        if path in target.files and is_chosen(relpath, filters)
    }
    if files and not (found.copied or found.skipped):
        found.refused = (StorageError,)
        return
    for path in files.values():
        del found.tree.files[path]
    found.deleted = len(files)
    for relpath, path in sorted(extras.items(), reverse=True):
        is_gone = path in target.directories and patterns.may_hold(relpath)
        if is_gone and target.has_directories and not found.tree.within(path):
            found.tree.directories.discard(path)
            found.deleted += 1
    found.tree.settle()


class Machine(RuleBasedStateMachine):
    """Two mounts, ``x`` and ``y``, and what they must hold."""

    def __init__(self, kinds, make_mount):
        super().__init__()
        self.where = Path(tempfile.mkdtemp(prefix="genro-stateful-"))
        self.storage = StorageManager()
        self.kinds = dict(zip("xy", kinds, strict=True))
        self.models = {}
        for name, kind in self.kinds.items():
            self.storage.configure([{"name": name, **make_mount(kind, self.where / name)}])
            self.models[name] = Tree(kind != "s3")
        self.has_times = "s3" not in kinds
        self.clock = 1_000_000
        self.last = None

    def teardown(self):
        self.storage.close()
        shutil.rmtree(self.where)

    # -- the truth ------------------------------------------------------------------------------

    def truth(self, name):
        """What the mount holds; a local one is looked into without the library."""
        found = Tree(self.models[name].has_directories)
        if self.kinds[name] == "local":
            root = self.where / name
            for path in root.rglob("*"):
                relpath = path.relative_to(root).as_posix()
                if path.is_dir():
                    found.directories.add(relpath)
                else:
                    found.files[relpath] = path.read_bytes(), path.stat().st_mtime
            return found
        for directory, _, files in self.storage.node(f"{name}:").walk():
            found.directories.add(directory.path)
            for each in (directory / name for name in files):
                found.files[each.path] = each.read_bytes(), each.mtime
        found.directories.discard("")
        return found

    def seen(self, file):
        """What is compared of a file: not its time, where a store has its own."""
        return file if self.has_times or file is None else file[0]

    def check(self):
        for name, model in self.models.items():
            found = self.truth(name)
            assert {path: self.seen(file) for path, file in found.files.items()} == {
                path: self.seen(file) for path, file in model.files.items()
            }, name
            assert found.directories == model.directories, name

    def expect(self, errors, act):
        """Nothing changes, and one of these is raised."""
        with pytest.raises(errors) as caught:
            act()
        assert type(caught.value) in errors, repr(caught.value)
        self.check()

    def node(self, name, path):
        return self.storage.node(f"{name}:{path}")

    # -- steps ----------------------------------------------------------------------------------

    # Which steps are taken, and on what terms, is hypothesis's choice; the trees are chosen by a
    # seed, since it likes small ones that are all alike.
    @initialize(seed=st.integers(0, 2**64 - 1))
    def fill(self, seed):
        self.random = random.Random(seed)
        for name in "xy":
            for _ in range(self.random.randrange(14)):
                self.write(name, self.any_path())
            for _ in range(self.random.randrange(4)):
                self.mkdir(name)

    def any_path(self):
        return "/".join(self.random.choices(NAMES, k=self.random.choice((1, 2, 2, 3))))

    def path(self, *names):
        """Nearly always one that some of these mounts have."""
        known = sorted({each for name in names for each in self.models[name].within("")})
        way = self.random.random()
        if known and way < 0.75:
            return self.random.choice(known)
        return "" if way < 0.85 else self.any_path()

    def places(self, source, target):
        """Two paths to copy between, most of which go together."""
        here, model = self.path(source), self.models[target]
        twins = sorted(model.files if here in self.models[source].files else model.directories)
        way = self.random.random()
        if way < 0.2:  # where the most goes wrong
            return "", ""
        if way < 0.35:
            return here, here
        if twins and way < 0.7:
            return here, self.random.choice(twins)
        return here, self.path(target, source)

    @rule(name=SIDES)
    def change(self, name):
        self.write(name, self.path(name) or "a")

    @rule(name=SIDES)
    def add(self, name):
        self.write(name, self.any_path())

    def write(self, name, path):
        content = self.random.choice(CONTENTS)
        model, node = self.models[name], self.node(name, path)
        self.clock += 10
        error = model.copy().put(path, (content, self.clock))
        if error is not None:
            if model.has_directories:
                self.expect((error,), lambda: node.write_bytes(content))
            return
        model.put(path, (content, self.clock))
        node.write_bytes(content)
        if self.has_times:
            node._mount.set_mtime(path, self.clock)
        self.check()

    @rule(name=SIDES)
    def mkdir(self, name):
        path = self.path(name) if self.random.random() < 0.3 else self.any_path()
        if not path:
            return
        model, node = self.models[name], self.node(name, path)
        if not model.has_directories:
            return
        kind = model.kind(path)
        parent = next(above(path), "")
        if kind in ("file", "directory"):
            self.expect((StorageExistsError,), node.mkdir)
        elif kind == "below a file":
            self.expect((StorageNotDirectoryError,), node.mkdir)
        elif parent and model.kind(parent) is None:
            self.expect((StorageNotFoundError,), node.mkdir)
        else:
            model.make(path)
            node.mkdir()
            self.check()

    @rule(name=SIDES)
    def delete(self, name):
        path = self.path(name)
        if not path:
            self.expect((StoragePermissionError,), self.node(name, "").delete)
            return
        self.models[name].remove(path)
        self.node(name, path).delete()
        self.check()

    @rule(
        source=SIDES,
        onto=SIDES,
        again=st.booleans(),
        skip=SKIPS,
        include=PATTERNS,
        exclude=PATTERNS,
        delete=st.sampled_from([False, False, False, True]),
        concurrency=st.sampled_from([1, 4]),
        collect=st.booleans(),
    )
    def copy(self, source, onto, again, collect, concurrency, **options):
        places = source, onto, *self.places(source, onto)
        if self.last is not None and again:
            places = self.last  # once more, of what may have changed since
        self.last = places
        source, target, here, there = places
        if options["skip"] == "mtime" and not self.has_times:
            options["skip"] = "hash"
        skip, delete = options["skip"], options["delete"]
        filters = {name: options[name] for name in ("include", "exclude")}
        old = self.models[target]
        found = foreseen(
            self.models[source],
            here,
            old,
            there,
            same_mount=source == target,
            skip=skip,
            filters=filters,
            delete=delete,
        )
        clashes = found.failures or StorageNotDirectoryError in found.refused
        if clashes and not old.has_directories:
            return  # a store of objects may hold both
        if skip == "custom":
            options["skip_fn"] = lambda ours, theirs: ours.size % 2 == 0
        options["concurrency"] = concurrency
        node, to = self.node(source, here), self.node(target, there)

        def act(on_error):
            return node.sync(to, on_error=on_error, **options)

        if found.refused:
            if found.tree.files != old.files:
                raise AssertionError("what is refused changes no file")
            # A mirror is refused at its end: directories were made by then.
            self.models[target] = found.tree
            self.expect(found.refused, lambda: act("collect"))
            return
        # A tree that is copied to where it lies in: what was not copied must not be replaced by what
        # comes next, so that the first failure ends it on any terms.
        is_within = source == target and here != there and bool(below(here, there))
        if found.failures and (is_within or not collect):
            with pytest.raises(tuple(set(found.failures.values()))):
                act("collect" if collect else "raise")
            self.stopped(target, found)
            return
        report = act("collect")
        assert {each.relpath: type(each.error) for each in report.failures} == found.failures
        counts = report.copied, report.skipped, report.deleted, report.failed
        assert counts == (found.copied, found.skipped, found.deleted, len(found.failures))
        self.models[target] = found.tree
        self.check()

    @rule(source=SIDES, onto=SIDES)
    def copies(self, source, onto):
        """One place kept up to date with another, on ever other terms, while both change."""
        pick = self.random.choice
        for _ in range(6):
            self.write(source, self.path(source) or "a")
            self.copy(
                source,
                onto,
                again=self.random.random() < 0.7,
                collect=pick((True, True, False)),
                concurrency=pick((1, 4)),
                skip=pick(("never", "exists", "size", "mtime", "hash", "hash", "custom")),
                include=pick((None, None, None, "a*", "*.txt")),
                exclude=pick((None, None, "*b*", "a/*")),
                delete=pick((False, True)),
            )

    def stopped(self, target, found):
        """After an error each file is as it was, or as it was to become; so it goes on."""
        old, new, now = self.models[target], found.tree, self.truth(target)
        for path in {*old.files, *new.files, *now.files}:
            found = self.seen(now.files.get(path))
            assert found in (self.seen(old.files.get(path)), self.seen(new.files.get(path))), path
        assert old.directories <= now.directories <= old.directories | new.directories
        self.models[target] = now
        self.check()

    @rule(source=SIDES, onto=SIDES)
    def move(self, source, onto):
        here, there = self.places(source, onto)
        target = onto
        ours, theirs = self.models[source], self.models[target]
        node, to = self.node(source, here), self.node(target, there)
        same_mount = source == target
        if not here:
            self.expect((StoragePermissionError,), lambda: node.move_to(to))
            return
        filters = {"include": None, "exclude": None}
        found = foreseen(
            ours,
            here,
            theirs,
            there,
            same_mount=same_mount,
            skip="never",
            filters=filters,
            delete=False,
        )
        clashes = found.failures or StorageNotDirectoryError in found.refused
        if clashes and not theirs.has_directories:
            return
        if found.refused:
            also = (StorageValueError,) if same_mount and below(there, here) else ()
            self.expect((*found.refused, *also), lambda: node.move_to(to))
            return
        if found.failures:
            with pytest.raises(tuple(set(found.failures.values()))):
                node.move_to(to)
            # All that was to go is still where it was.
            if not same_mount:
                assert self.truth(source).files.keys() == ours.files.keys()
            self.stopped(target, found)
            return
        if not (same_mount and here == there):
            self.models[target] = found.tree
            self.left(source, here, target, there, ours.copy())
        node.move_to(to)
        self.check()

    def left(self, source, here, target, there, ours):
        """Remove from the model what was moved, but not what has arrived at its place."""
        moved = [here, *ours.within(here)]
        arrived = set()
        if source == target:
            places = {join(there, below(each, here) or "") for each in moved}
            arrived = places | {each for place in places for each in above(place)}
        model = self.models[source]
        for path in moved:
            if path not in arrived:
                model.files.pop(path, None)
                model.directories.discard(path)
        model.settle()


def run(kinds, make_mount, examples, steps):
    """A few sequences that are always the same, or as many as were asked for."""
    run_state_machine_as_test(
        lambda: Machine(kinds, make_mount),
        settings=settings(
            max_examples=int(EXAMPLES or examples),
            stateful_step_count=steps,
            derandomize=EXAMPLES is None,
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            print_blob=True,
        ),
    )


def make_plain(kind, where):
    if kind == "local":
        return {"type": "local", "path": str(where), "create": True}
    return {"type": "memory"}


PAIRS = [("local", "local"), ("local", "memory"), ("memory", "memory")]


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("kinds", PAIRS, ids="-".join)
def test_trees_are_what_the_model_says(kinds):
    run(kinds, make_plain, 100, 30)


@pytest.mark.slow
@pytest.mark.services
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("kinds", [("local", "s3"), ("s3", "s3")], ids="-".join)
def test_trees_are_what_the_model_says_in_a_bucket(kinds, moto_server):
    def make_mount(kind, where):
        return moto_server.mount() if kind == "s3" else make_plain(kind, where)

    run(kinds, make_mount, 6, 8)
