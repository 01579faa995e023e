"""StorageNode beside pathlib and the builtin open: the same habits give the same answers."""

from __future__ import annotations

import copy
import io
import os
import pickle
import sys
import tempfile
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from genro_storage import StorageManager, StorageNode, StorageValueError

relaxed = settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)

NAME = st.text(
    st.characters(codec="utf-8", exclude_characters="/\0\\:"), min_size=1, max_size=12
).filter(lambda name: name not in (".", "..") and "\n" not in name)
PATH = st.lists(NAME, min_size=1, max_size=4).map("/".join)


@pytest.fixture
def storage(tmp_path):
    (tmp_path / "disk").mkdir()
    made = StorageManager()
    made.configure(
        [
            {"name": "disk", "type": "local", "path": str(tmp_path / "disk")},
            {"name": "ram", "type": "memory"},
        ]
    )
    return made


# -- names ------------------------------------------------------------------------------------


@relaxed
@given(path=PATH, other=NAME)
def test_names_are_taken_apart_as_by_pathlib(storage, path, other):
    node, pure = storage.node(f"ram:{path}"), PurePosixPath(path)
    assert node.path == str(pure)
    assert node.name == node.basename == pure.name
    assert node.parts == pure.parts
    assert [parent.path for parent in node.parents] == [
        "" if str(parent) == "." else str(parent) for parent in pure.parents
    ]
    assert node.parent.path == ("" if str(pure.parent) == "." else str(pure.parent))
    assert (node / other).path == str(pure / other)
    assert node.with_name(other).path == str(pure.with_name(other))
    assert (node / other).relative_to(node) == other
    assert (node / other).is_relative_to(node)
    assert not node.is_relative_to(node / other)


@relaxed
@given(path=PATH)
def test_suffixes_are_those_of_pathlib(storage, path):
    node, pure = storage.node(f"ram:{path}"), PurePosixPath(path)
    # A name that ends in a dot, or is all dots before one, differs between versions of pathlib.
    assume(not pure.name.endswith(".") and not pure.name.startswith(".."))
    assert (node.stem, node.suffix) == (pure.stem, pure.suffix)
    assert node.suffixes == pure.suffixes
    assert node.with_suffix(".new").path == str(pure.with_suffix(".new"))
    assert node.with_suffix("").path == str(pure.with_suffix(""))
    assert node.with_stem("other").path == str(pure.with_stem("other"))


@relaxed
@given(path=PATH, pattern=st.sampled_from(["*", "*.txt", "a*/b", "[a-m]*", "?", "*/*", "x/*.py"]))
def test_match_is_that_of_pathlib(storage, path, pattern):
    assert storage.node(f"ram:{path}").match(pattern) == PurePosixPath(path).match(pattern)


@pytest.mark.parametrize("name", ["", "a/b", "..", "a\0"])
def test_what_is_no_name_is_refused(storage, name):
    with pytest.raises(ValueError, match=r"ram:|name"):
        storage.node("ram:d/f").with_name(name)


@pytest.mark.parametrize("suffix", ["txt", ".", "/x"])
def test_what_is_no_suffix_is_refused(storage, suffix):
    with pytest.raises(ValueError, match="ram:d/f"):
        storage.node("ram:d/f.x").with_suffix(suffix)


def test_nodes_are_sorted_by_their_full_path(storage):
    nodes = [storage.node(f"ram:{name}") for name in ("b", "a/x", "a")]
    assert [node.path for node in sorted(nodes)] == ["a", "a/x", "b"]


# -- trees ------------------------------------------------------------------------------------

TREE = st.lists(
    st.lists(st.sampled_from(["a", "b", "ab", ".h", "c.py", "d.txt"]), min_size=1, max_size=4),
    max_size=8,
)
PATTERN = st.lists(
    st.sampled_from(["*", "**", "a", "b", "a*", "*.py", "?", "[ab]", ".*", "c.py", "**"]),
    min_size=1,
    max_size=3,
).map("/".join)


def build(root: Path, tree) -> None:
    for parts in tree:
        path = root.joinpath(*parts)
        if path.exists() or any(parent.is_file() for parent in path.parents):
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("/".join(parts))


@relaxed
@given(tree=TREE, pattern=PATTERN)
def test_glob_finds_what_pathlib_finds(tree, pattern):
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        build(root, tree)
        storage = StorageManager()
        storage.configure(
            [
                {"name": "disk", "type": "local", "path": directory},
                {"name": "ram", "type": "memory"},
            ]
        )
        storage.node("disk:").copy_to("ram:")
        for method in ("glob", "rglob"):
            # Since 3.13 a final "**" means files too; here it means directories everywhere.
            expected = {
                path.relative_to(root).as_posix()
                for path in getattr(root, method)(pattern)
                if not pattern.endswith("**") or path.is_dir()
            }
            for mount in ("disk", "ram"):
                found = [n.path or "." for n in getattr(storage.node(f"{mount}:"), method)(pattern)]
                assert len(found) == len(set(found))
                assert set(found) == expected, (method, mount)


@relaxed
@given(tree=TREE, top_down=st.booleans())
def test_walk_is_that_of_os_walk(tree, top_down):
    with tempfile.TemporaryDirectory() as directory:
        build(Path(directory), tree)
        storage = StorageManager()
        storage.configure([{"name": "disk", "type": "local", "path": directory}])
        expected = {
            os.path.relpath(above, directory): (sorted(directories), sorted(files))
            for above, directories, files in os.walk(directory, topdown=top_down)
        }
        found = [
            (node.path or ".", (directories, files))
            for node, directories, files in storage.node("disk:").walk(top_down=top_down)
        ]
        assert dict(found) == expected
        order = [path for path, _ in found]
        assert order.index(".") == (0 if top_down else len(order) - 1)


def test_walk_does_not_enter_what_is_taken_out_of_its_list(storage):
    for path in ("a/1", "b/2", "c/3"):
        storage.node(f"ram:{path}").write_text("x")
    seen = []
    for node, directories, _ in storage.node("ram:").walk():
        seen.append(node.path)
        if "b" in directories:
            directories.remove("b")
    assert seen == ["", "a", "c"]


def test_walk_tells_of_errors_or_raises_them(storage):
    errors = []
    assert list(storage.node("ram:missing").walk(on_error=errors.append)) == []
    assert len(errors) == 1
    with pytest.raises(FileNotFoundError):
        list(storage.node("ram:missing").walk())


def test_children_are_sorted_and_iterdir_gives_the_same(storage):
    for name in ("b", "a-b", "a", "c/d"):
        storage.node(f"disk:{name}").write_text("x")
    children = storage.node("disk:").children()
    assert [child.name for child in children] == ["a", "a-b", "b", "c"]
    assert [node.path for node in storage.node("disk:").iterdir()] == ["a", "a-b", "b", "c"]


# -- open -------------------------------------------------------------------------------------

STEP = st.one_of(
    st.tuples(st.just("write"), st.binary(max_size=40)),
    st.tuples(st.just("read"), st.integers(-1, 30)),
    st.tuples(st.just("seek"), st.integers(0, 60)),
    st.tuples(st.just("end"), st.just(0)),
    st.tuples(st.just("truncate"), st.integers(0, 50)),
    st.tuples(st.just("tell"), st.none()),
    st.tuples(st.just("readline"), st.none()),
)


def perform(handle, steps):
    answers = []
    for verb, argument in steps:
        try:
            if verb == "end":
                answers.append(handle.seek(argument, io.SEEK_END))
            elif argument is None:
                answers.append(getattr(handle, verb)())
            else:
                answers.append(getattr(handle, verb)(argument))
        except (OSError, ValueError):
            answers.append("refused")
    return answers


@settings(relaxed, max_examples=100)
@given(
    mode=st.sampled_from(["rb", "wb", "ab", "xb", "r+b", "w+b", "a+b", "x+b"]),
    before=st.none() | st.binary(max_size=50),
    steps=st.lists(STEP, max_size=8),
    kind=st.sampled_from(["local", "memory"]),
)
def test_open_behaves_as_the_builtin_one(mode, before, steps, kind):
    # An appending handle has no position here before it is closed, and does not seek.
    if mode == "ab":
        steps = [step for step in steps if step[0] == "write"]
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory, "root")
        root.mkdir()
        builtin = Path(directory, "builtin")
        storage = StorageManager()
        entry = {"name": "m", "type": kind}
        storage.configure([{**entry, "path": str(root)} if kind == "local" else entry])
        node = storage.node("m:f")
        if before is not None:
            builtin.write_bytes(before)
            node.write_bytes(before)
        try:
            handle = builtin.open(mode)
        except OSError as error:
            with pytest.raises(type(error)):
                node.open(mode)
            return
        with handle:
            expected = perform(handle, steps)
        with node.open(mode) as ours:
            found = perform(ours, steps)
        assert found == expected
        assert node.read_bytes() == builtin.read_bytes()


@pytest.mark.parametrize("newline", [None, "", "\n", "\r\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "latin-1", "utf-8-sig"])
def test_text_is_written_and_read_as_by_the_builtin_open(storage, tmp_path, newline, encoding):
    text = "one\ntwo\r\nthree\rfour é"
    beside = tmp_path / "beside"
    with beside.open("w", encoding=encoding, newline=newline) as handle:
        handle.write(text)
    for mount in ("disk", "ram"):
        node = storage.node(f"{mount}:f")
        with node.open("w", encoding=encoding, newline=newline) as handle:
            handle.write(text)
        assert node.read_bytes() == beside.read_bytes()
        with (
            node.open("r", encoding=encoding, newline=newline) as ours,
            beside.open("r", encoding=encoding, newline=newline) as theirs,
        ):
            assert list(ours) == list(theirs)
        assert node.read_text(encoding) == beside.read_text(encoding)


def test_text_that_cannot_be_decoded_says_so(storage):
    node = storage.node("disk:f")
    node.write_bytes(b"\xff\xfe\xff")
    with pytest.raises(ValueError, match="disk:f"):
        node.read_text()
    with pytest.raises(StorageValueError, match=r"disk:f.*ascii"):
        node.write_text("é", encoding="ascii")
    assert node.read_bytes() == b"\xff\xfe\xff"


# -- values -----------------------------------------------------------------------------------


def test_a_copied_node_is_the_same_place(storage):
    node = storage.node("ram:d/f")
    node.write_text("x")
    for other in (copy.copy(node), copy.deepcopy(node)):
        assert type(other) is StorageNode
        assert other.fullpath == "ram:d/f"
        assert other.read_text() == "x"
    assert copy.deepcopy(storage) is storage


def test_a_node_is_pickled_with_its_managers_configuration(storage):
    storage.node("disk:f").write_text("x")
    loaded = pickle.loads(pickle.dumps(storage.node("disk:f")))
    assert loaded.fullpath == "disk:f"
    assert loaded.read_text() == "x"
    snapshot = pickle.loads(pickle.dumps(storage.node("disk:f", version="v1")))
    assert snapshot._snapshot == "v1"


def test_a_node_is_a_path_where_it_is_local(storage, tmp_path):
    storage.node("disk:f").write_text("x")
    assert Path(storage.node("disk:f")) == tmp_path / "disk/f"
    with pytest.raises(TypeError, match="local_path"):
        os.fspath(storage.node("ram:f"))


def test_touch_makes_an_empty_file_and_keeps_a_full_one(storage):
    for mount in ("disk", "ram"):
        node = storage.node(f"{mount}:f")
        node.touch()
        assert node.size == 0
        node.write_text("x")
        node.touch()
        assert node.read_text() == "x"
        with pytest.raises(FileExistsError):
            node.touch(exist_ok=False)


def test_unlink_and_rmdir_keep_to_their_kinds(storage):
    for mount in ("disk", "ram"):
        file = storage.node(f"{mount}:d/f")
        file.write_text("x")
        with pytest.raises(IsADirectoryError):
            file.parent.unlink()
        with pytest.raises(NotADirectoryError):
            file.rmdir()
        with pytest.raises(OSError, match="not empty"):
            file.parent.rmdir()
        file.unlink()
        with pytest.raises(FileNotFoundError):
            file.unlink()
        file.unlink(missing_ok=True)
        file.parent.rmdir()
        assert storage.node(f"{mount}:").children() == []


def test_what_is_said_of_a_content_is_never_from_an_old_listing(tmp_path):
    with StorageManager() as storage:
        storage.configure([{"name": "disk", "type": "local", "path": str(tmp_path)}])
        (tmp_path / "a").write_bytes(b"old")
        (tmp_path / "b").write_bytes(b"newer")
        listed = storage.node("disk:").children()[0]
        assert listed.size == 3
        (tmp_path / "a").write_bytes(b"newer")
        assert listed == storage.node("disk:b")
        assert listed.md5hash == storage.node("disk:b").md5hash
        assert listed.size == 5


def test_a_listed_child_forgets_what_the_listing_said_when_a_program_gets_it(storage):
    storage.node("disk:d/f").write_text("long text")
    (child,) = storage.node("disk:d").children()
    assert child.size == 9
    program = "import os, sys; os.truncate(sys.argv[1], 2)"
    child.call(sys.executable, "-c", program, child)
    assert child.size == 2


@pytest.mark.parametrize("mount", ["disk", "ram", "other"])
def test_deleting_what_would_lie_below_a_file_is_no_error(storage, mount):
    storage.add_mount({"name": "other", "type": "fsspec", "filesystem": "memory"})
    storage.node(f"{mount}:a.txt").write_text("x")
    storage.node(f"{mount}:a.txt/b").delete()
    storage._mounts[mount].delete("a.txt/b")
    assert storage.node(f"{mount}:a.txt").read_text() == "x"


class Tagged(StorageNode):
    """A subclass as an application writes it."""

    def __init__(self, manager, mount_name, path="", *, tag):
        super().__init__(manager, mount_name, path)
        self.tag = tag

    def _create_node(self, manager, mount_name, path):
        return type(self)(manager, mount_name, path, tag=self.tag)


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy])
def test_a_node_is_copied_whatever_became_of_its_mount_and_constructor(storage, again):
    storage.node("ram:d/f").write_text("text")
    tagged = Tagged(storage, "ram", "d/f", tag="red")
    (child,) = storage.node("ram:d").children()
    snapshot = storage.node("ram:d/f", version=3)
    storage.delete_mount("ram")
    assert again(tagged).tag == "red"
    assert again(tagged).read_text() == "text"
    assert again(child)._info == child._info
    assert again(child)._manager is storage
    assert again(snapshot)._snapshot == 3
    twin = again(child)
    twin.write_text("other")
    assert (twin._info, child._info) == (None, child._info)
