"""What people and their disks get wrong: a clear error with a fix, and nothing is lost."""

from __future__ import annotations

import contextlib
import io
import os
import resource
import signal
import subprocess
import sys
import time
import zipfile

import pytest

from genro_storage import (
    StorageConfigError,
    StorageError,
    StorageManager,
    StorageNotFoundError,
    StoragePermissionError,
)
from genro_storage.exceptions import StorageFullError, StoragePathError

IS_ROOT = hasattr(os, "geteuid") and os.geteuid() == 0


@pytest.fixture
def root(tmp_path):
    made = tmp_path / "root"
    made.mkdir()
    return made


@pytest.fixture
def storage(root):
    made = StorageManager()
    made.configure(
        [
            {"name": "disk", "type": "local", "path": str(root)},
            {"name": "ram", "type": "memory"},
            {"name": "fs", "type": "fsspec", "filesystem": "file", "path": str(root)},
        ]
    )
    return made


@pytest.fixture(params=["disk", "ram", "fs"])
def mount(request):
    return request.param


# -- paths ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        *("..", "../x", "a/..", "a/../b", "/..", "//../x", "./..", "a/./../../b"),
        *("..\\x", "a\\..\\b", "\\..\\x", "a\\..", "..\\..\\etc"),
        *("a\0b", "\0", "..\0", "C:/x", "C:\\x", "c:", "Z:/"),
    ],
)
def test_a_path_that_cannot_be_a_nodes_is_refused_with_its_name(storage, mount, path):
    for make in (
        lambda: storage.node(f"{mount}:{path}"),
        lambda: storage.node(mount, path),
        lambda: storage.node(f"{mount}:d").child(path),
        lambda: storage._mounts[mount].exists(path),
    ):
        with pytest.raises(StoragePathError) as caught:
            make()
        assert "\0" not in str(caught.value)
        assert len(str(caught.value)) > len(path) + 20  # more than the name alone


@pytest.mark.parametrize(
    "path", ["...", "..a", "a..", "a/...", ".", "a:b", "%2e%2e", "~", "-rf", "\\"]
)
def test_odd_names_that_harm_nobody_are_names(storage, mount, path):
    node = storage.node(f"{mount}:d/{path}") if path != "." else storage.node(f"{mount}:d/./f")
    node.write_text("x")
    assert node.read_text() == "x"
    assert len(storage.node(f"{mount}:d").children()) == 1


def test_an_absolute_path_starts_at_the_mount(storage, root):
    storage.node("disk:/etc/passwd").write_text("x")
    assert (root / "etc/passwd").read_text() == "x"


@pytest.mark.parametrize("name", ["x" * 256, "é" * 128, "x" * 5000])
@pytest.mark.parametrize("kind", ["disk", "fs"])
def test_a_name_that_is_too_long_says_so(storage, root, kind, name):
    node = storage.node(f"{kind}:d/{name}")
    for act in (lambda: node.write_text("x"), lambda: node.mkdir(parents=True)):
        with pytest.raises(StorageError, match="long"):
            act()
    (root / "f").write_text("old")
    with pytest.raises(StorageError):
        storage.node("disk:f").move_to(node)
    assert (root / "f").read_text() == "old"


def test_who_has_a_limit_of_his_own_for_names_says_that_one(storage, root):
    limits = {"disk": "255 bytes a name", "key": "1024"}
    storage.add_mount({
        "name": "key", "type": "s3", "bucket": "b", "region": "eu-west-1", "prefix": "p",
        "key": "k", "secret": "s", "endpoint_url": "http://127.0.0.1:9", "retries": 0,
    })  # fmt: skip
    for mount, limit in limits.items():
        with pytest.raises(StoragePathError, match=f"name too long.*{limit}") as caught:
            storage.node(f"{mount}:d/{'x' * 1100}").write_text("x")
        assert (limit in str(caught.value), "255" in str(caught.value)) == (True, mount == "disk")


def test_of_a_very_long_path_messages_show_the_ends(storage, mount):
    path = "begin/" + "m" * 1000 + "/end"
    node = storage.node(f"{mount}:{path}")
    with pytest.raises(StorageError, match=r"begin/m+…m+/end \(1010 characters\): ") as caught:
        node.read_text()
    assert len(str(caught.value)) < 450
    assert node.fullpath == f"{mount}:{path}"
    kept = "d/" + "x" * 255 + "/" + "y" * 42
    with pytest.raises(StorageNotFoundError, match=f"{mount}:{kept}: "):
        storage.node(f"{mount}:{kept}").read_text()


def test_a_name_of_255_bytes_is_written_whole(storage, mount):
    node = storage.node(f"{mount}:{'x' * 255}")
    node.write_text("x")
    assert node.read_text() == "x"
    assert [len(child.name) for child in storage.node(f"{mount}:").children()] == [255]


def test_a_directory_where_a_file_was_expected_and_the_reverse(storage, mount):
    storage.node(f"{mount}:d/f").write_text("old")
    directory, file = storage.node(f"{mount}:d"), storage.node(f"{mount}:d/f")
    storage.node("ram:source/f/deeper").write_text("x")
    storage.node("ram:file").write_text("x")
    for act in (
        lambda: directory.write_text("x"),
        lambda: directory.open("ab"),
        lambda: directory.open("r+b"),
        lambda: storage.node("ram:file").copy_to(directory),
        lambda: storage.node("ram:file").move_to(directory),
        lambda: storage.node("ram:source").copy_to(file),
        lambda: storage.node("ram:source").copy_to(directory),  # f is a file there
        lambda: storage.node("ram:source").move_to(directory),
        lambda: storage.node("ram:source").copy_to(directory, skip="hash"),
        lambda: file.child("x").write_text("x"),
        lambda: file.child("x").mkdir(parents=True),
        lambda: file.child("x/y").open("wb"),
    ):
        with pytest.raises((IsADirectoryError, NotADirectoryError, StorageError)) as caught:
            act()
        assert isinstance(caught.value, StorageError)
        assert f"{mount}:" in str(caught.value)
        assert file.read_text() == "old"
    assert storage.node("ram:source/f/deeper").read_text() == "x"
    assert storage.node("ram:file").read_text() == "x"


# -- links ------------------------------------------------------------------------------------


@pytest.fixture
def linked(root, tmp_path):
    """A tree with every kind of link; outside it a file and a directory that must stay."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("secret")
    tree = root / "tree"
    (tree / "inner").mkdir(parents=True)
    (tree / "inner/f").write_text("x")
    (tree / "loop").symlink_to("loop")
    (tree / "ping").symlink_to("pong")
    (tree / "pong").symlink_to("ping")
    (tree / "dangling").symlink_to("nowhere")
    (tree / "out-file").symlink_to(outside / "secret")
    (tree / "out-dir").symlink_to(outside)
    (tree / "chain").symlink_to("out-dir")
    (tree / "relative-out").symlink_to("../../outside/secret")
    (tree / "in-file").symlink_to("inner/f")
    (tree / "in-dir").symlink_to("inner")
    (tree / "up").symlink_to("..")
    yield tree
    assert (outside / "secret").read_text() == "secret"
    assert os.listdir(outside) == ["secret"]


BROKEN = ["loop", "ping", "dangling", "out-file", "out-dir", "chain", "relative-out"]


@pytest.mark.parametrize("kind", ["disk", "fs"])
@pytest.mark.parametrize("name", BROKEN)
def test_a_link_that_leads_nowhere_or_out_can_be_seen_and_removed_but_not_used(
    storage, linked, kind, name
):
    node = storage.node(f"{kind}:tree/{name}")
    assert name in [child.name for child in node.parent.children()]
    assert (node.exists, node.isfile, node.isdir) == (False, False, False)
    below = node.child("secret")
    for act in (
        lambda: node.read_bytes(),
        lambda: node.open(),
        lambda: node.size,
        lambda: node.copy_to("ram:x"),
        lambda: node.children(),
        lambda: below.read_bytes(),
        lambda: below.unlink(),
        # What a dangling link inside the mount leads to can be made by writing, as in POSIX.
        *(() if name == "dangling" else (lambda: below.write_text("x"), lambda: below.open("ab"))),
    ):
        with pytest.raises(StorageError, match=f"{kind}:tree/{name}"):
            act()
    with contextlib.suppress(StorageNotFoundError, StoragePermissionError):
        below.delete()
    node.delete()
    assert not os.path.lexists(linked / name)


@pytest.mark.parametrize("kind", ["disk", "fs"])
@pytest.mark.parametrize("name", ["out-file", "out-dir", "chain", "relative-out", "loop"])
def test_writing_to_a_link_out_of_the_mount_is_refused(storage, linked, kind, name):
    node = storage.node(f"{kind}:tree/{name}")
    storage.node("ram:f").write_text("x")
    for act in (
        lambda: node.write_text("changed"),
        lambda: node.open("ab").close(),
        lambda: node.open("r+b").close(),
        lambda: storage.node("ram:f").copy_to(node),
    ):
        with pytest.raises(StorageError, match=f"{kind}:tree/{name}"):
            act()


def test_links_inside_are_followed(storage, linked):
    assert storage.node("disk:tree/in-file").read_text() == "x"
    assert storage.node("disk:tree/in-dir/f").read_text() == "x"
    storage.node("disk:tree/in-file").write_text("through")
    assert (linked / "inner/f").read_text() == "through"
    assert (linked / "in-file").is_symlink()


@pytest.mark.parametrize("kind", ["disk", "fs"])
def test_a_tree_with_bad_links_is_listed_zipped_copied_and_deleted(storage, linked, kind):
    (linked / "up").unlink()  # leads to the tree's own parent; has a test of its own
    node = storage.node(f"{kind}:tree")
    assert len(node.children()) == len(BROKEN) + 1 + 3
    with zipfile.ZipFile(io.BytesIO(node.zip())) as archive:
        assert b"secret" not in [archive.read(name) for name in archive.namelist()]
        assert archive.read("inner/f") == b"x"
    reasons = {}
    node.copy_to("ram:copy", on_skip=lambda n, why: reasons.__setitem__(n.name, why))
    assert set(BROKEN) <= set(reasons)
    assert storage.node("ram:copy/inner/f").read_text() == "x"
    with pytest.raises(StorageError, match="not removed"):
        node.move_to("ram:moved")
    assert (linked / "inner/f").read_text() == "x"
    assert (linked / "out-file").is_symlink()
    storage.node(f"{kind}:tree").delete()
    assert not linked.exists()


@pytest.mark.parametrize("kind", ["disk", "fs"])
def test_a_link_to_a_directory_above_does_not_lead_in_circles(storage, linked, kind):
    node = storage.node(f"{kind}:tree")
    node.copy_to("ram:copy")
    assert storage.node("ram:copy/inner/f").read_text() == "x"
    assert len(node.zip()) > 0
    assert list(node.rglob("f"))


def test_a_directory_swapped_for_a_link_is_noticed(storage, root, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (root / "d").mkdir()
    (root / "d/f").write_text("x")
    node = storage.node("disk:d/f")
    assert node.read_text() == "x"
    (root / "d").rename(root / "was")
    (root / "d").symlink_to(outside)
    for act in (lambda: node.write_text("x"), node.read_text, lambda: node.unlink()):
        with pytest.raises(StoragePermissionError, match="disk:d/f"):
            act()
    assert os.listdir(outside) == []


# -- things that are no files -----------------------------------------------------------------


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
@pytest.mark.parametrize("kind", ["disk", "fs"])
@pytest.mark.timeout(30)
def test_a_pipe_in_a_tree_hangs_nothing(storage, root, kind):
    (root / "d").mkdir()
    os.mkfifo(root / "d/pipe")
    (root / "d/f").write_text("x")
    pipe, tree = storage.node(f"{kind}:d/pipe"), storage.node(f"{kind}:d")
    for act in (
        lambda: pipe.read_bytes(),
        lambda: pipe.open("rb").read(),
        lambda: pipe.write_text("x"),
        lambda: pipe.open("ab").close(),
        lambda: pipe.md5hash,
        lambda: pipe.copy_to("ram:x"),
    ):
        with pytest.raises(StorageError, match=f"{kind}:d/pipe"):
            act()
    assert [child.name for child in tree.children()] == ["f", "pipe"]
    with zipfile.ZipFile(io.BytesIO(tree.zip())) as archive:
        assert archive.namelist() == ["f"]
    tree.copy_to("ram:d")
    assert storage.node("ram:d/f").read_text() == "x"
    tree.delete()
    assert not (root / "d").exists()


# -- disks ------------------------------------------------------------------------------------


@contextlib.contextmanager
def tmpfs(directory, *options):
    """A small file system at ``directory``."""
    directory.mkdir(exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", ",".join(options), "tmpfs", str(directory)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no mount command here")
    if done.returncode:
        pytest.skip(f"no tmpfs can be mounted here: {done.stderr.strip()}")
    try:
        yield directory
    finally:
        subprocess.run(["umount", "-l", str(directory)], check=True)


def names_below(directory):
    return sorted(
        os.path.relpath(os.path.join(above, name), directory)
        for above, _, names in os.walk(directory)
        for name in names
    )


@pytest.mark.parametrize("kind", ["local", "fsspec"])
def test_a_full_disk_leaves_every_old_content_in_place(tmp_path, kind):
    with tmpfs(tmp_path / "small", "size=1m") as small:
        storage = StorageManager()
        extra = {"filesystem": "file"} if kind == "fsspec" else {}
        storage.configure([{"name": "full", "type": kind, "path": str(small), **extra}])
        storage.configure([{"name": "ram", "type": "memory"}])
        node = storage.node("full:f")
        node.write_bytes(b"old" * 1000)
        big = b"x" * 4 * 1024 * 1024
        for number in range(12):
            storage.node(f"ram:tree/{number:02}").write_bytes(big[: 200 * 1024])
        storage.node("ram:big").write_bytes(big)
        source = tmp_path / "big"
        source.write_bytes(big)

        def streamed(mode):
            with node.open(mode) as handle:
                for _ in range(64):
                    handle.write(big[:65536])

        for act in (
            lambda: node.write_bytes(big),
            lambda: streamed("wb"),
            lambda: streamed("ab"),
            lambda: streamed("r+b"),
            lambda: storage.node("ram:big").copy_to(node),
            lambda: storage.node("ram:big").move_to(node),
            lambda: node._mount.upload(source, "f"),
            lambda: storage.node("ram:tree").copy_to("full:tree"),
            lambda: storage.node("ram:tree").move_to("full:tree"),
        ):
            with pytest.raises(StorageFullError) as caught:
                act()
            assert "full:" in str(caught.value)
            assert node.read_bytes() == b"old" * 1000
            for copied in storage.node("full:").rglob("[0-9]*"):
                assert copied.size == 200 * 1024
            storage.node("full:tree").delete()
            assert names_below(small) == ["f"]
        assert storage.node("ram:big").size == len(big)
        assert len(storage.node("ram:tree").children()) == 12
        node.write_bytes(b"and it goes on")
        storage.close()


LARGE = b"x" * (12 * 1024 * 1024)


def streamed(node, mode):
    with node.open(mode) as handle:
        handle.write(LARGE)


@pytest.mark.parametrize(
    "act",
    [
        pytest.param(lambda get: get("ram:big").copy_to("fs:f"), id="fsspec"),
        pytest.param(lambda get: get("ram:big").copy_to("packed:f"), id="archive"),
        pytest.param(lambda get: streamed(get("disk:f"), "ab"), id="appending"),
        pytest.param(lambda get: streamed(get("disk:f"), "r+b"), id="updating"),
        pytest.param(lambda get: get("ram:big").local_path().__enter__(), id="local_path"),
    ],
)
def test_a_full_directory_for_temporary_files_is_not_the_storages_fault(
    storage, root, tmp_path, monkeypatch, act
):
    (root / "f").write_text("old")
    storage.add_mount(
        {"name": "packed", "type": "zip", "file": str(tmp_path / "z.zip"), "mode": "w"}
    )
    storage.node("packed:f").write_text("old")
    storage.node("ram:big").write_bytes(LARGE)
    small = tmp_path / "small"
    with tmpfs(small, "size=4m"):
        monkeypatch.setattr("tempfile.tempdir", str(small))
        with pytest.raises(StorageFullError, match=r":(f|big): .*TMPDIR") as caught:
            act(storage.node)
        assert repr(str(small)) in str(caught.value)
        assert "the storage" not in str(caught.value)
        assert os.listdir(small) == []
    assert (root / "f").read_text() == storage.node("packed:f").read_text() == "old"
    # Whoever removes that directory meanwhile, or has none, is told so too; nothing is "missing".
    with pytest.raises(StorageError, match=r":(f|big): .*TMPDIR") as caught:
        monkeypatch.setattr("tempfile.tempdir", str(small / "gone"))
        act(storage.node)
    assert not isinstance(caught.value, StorageNotFoundError)


def test_no_directory_for_temporary_files_at_all(storage, root, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setattr("tempfile._candidate_tempdir_list", lambda: [str(root / "gone")])
    with pytest.raises(StorageError, match=r"fs:f: no directory for temporary files .*TMPDIR"):
        streamed(storage.node("fs:f"), "wb")


def test_a_limit_on_file_sizes_is_a_full_disk_too(storage, root):
    """Works where no file system can be mounted."""
    (root / "f").write_text("old")
    node = storage.node("disk:f")
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
            with contextlib.suppress(StorageFullError):
                node.write_bytes(b"x" * 1_000_000)
                code = 2
            with contextlib.suppress(StorageFullError):
                with node.open("ab") as handle:
                    handle.write(b"x" * 1_000_000)
                code = 3
            code = 0 if code == 1 else code
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert os.listdir(root) == ["f"]
    assert (root / "f").read_text() == "old"


def test_a_read_only_disk_is_said_and_still_read(tmp_path):
    with tmpfs(tmp_path / "disk", "size=1m") as disk:
        (disk / "d").mkdir()
        (disk / "d/f").write_text("old")
        done = subprocess.run(
            ["mount", "-o", "remount,ro", str(disk)], capture_output=True, text=True, check=False
        )
        if done.returncode:
            pytest.skip(f"nothing can be remounted here: {done.stderr.strip()}")
        storage = StorageManager()
        storage.configure(
            [{"name": "m", "type": "local", "path": str(disk)}, {"name": "ram", "type": "memory"}]
        )
        node = storage.node("m:d/f")
        storage.node("ram:f").write_text("x")
        for act in (
            lambda: node.write_text("x"),
            lambda: node.open("ab").close(),
            lambda: node.delete(),
            lambda: node.unlink(),
            lambda: node.move_to("m:d/g"),
            lambda: node.parent.delete(),
            lambda: storage.node("m:new").mkdir(),
            lambda: storage.node("m:new/f").write_text("x"),
            lambda: storage.node("ram:f").copy_to("m:d/new"),
            lambda: storage.node("m:new").touch(),
        ):
            with pytest.raises(StoragePermissionError, match=r"m:.*read-only"):
                act()
        assert node.read_text() == "old"
        assert node.copy_to("ram:g").read_text() == "old"
        with pytest.raises(StorageError, match="m:d/f"):
            node.move_to("ram:h")
        assert node.fullpath == "m:d/f"
        storage.close()


def said_to_nobody(root, *acts):
    """What each of them raises where another user does it, who may look into ``root``."""
    if not IS_ROOT:
        pytest.skip("only root can become somebody else for this")
    for directory in (root, *root.parents):
        if directory.stat().st_uid == os.getuid() and str(directory).startswith("/tmp/"):
            directory.chmod(directory.stat().st_mode | 0o055)
    heard, say = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.setuid(65534)
            for act in acts:
                try:
                    act()
                    os.write(say, b"nothing raised\n")
                except StoragePermissionError as error:
                    os.write(say, f"{error}\n".encode())
        finally:
            os._exit(0)
    os.close(say)
    os.waitpid(pid, 0)
    with os.fdopen(heard) as answers:
        return answers.read().splitlines()


def test_a_directory_of_somebody_else_is_said(storage, root):
    (root / "d").mkdir()
    (root / "d/f").write_text("old")
    (root / "d").chmod(0o555)
    (root / "closed").mkdir(mode=0o700)
    said = said_to_nobody(
        root,
        lambda: storage.node("disk:d/f").write_text("x"),
        lambda: storage.node("disk:d/g").write_text("x"),
        lambda: storage.node("disk:closed").children(),
        lambda: storage.node("disk:closed/f").exists,
        lambda: storage.node("disk:d/f").delete(),
    )
    assert [line.split(": ")[0] for line in said] == [
        *("disk:d/f", "disk:d/g", "disk:closed", "disk:closed/f", "disk:d/f")
    ]
    assert (root / "d/f").read_text() == "old"


@pytest.mark.parametrize(
    ("tree", "closed"),
    [("disk:t", "disk:t/d/closed"), ("fs:t", "fs:t/d/closed"), ("below:", "below:d/closed")],
)
def test_what_goes_through_a_tree_names_the_very_directory_that_is_closed(
    storage, root, tree, closed
):
    (root / "t/d/closed").mkdir(parents=True, mode=0o700)
    (root / "t/a").write_text("a")
    for each in (root, root / "t", root / "t/d"):
        each.chmod(0o777)
    storage.add_mount({"name": "below", "path": "disk:t"})
    node = storage.node(tree)
    acts = {
        "copied": lambda: node.copy_to("ram:there"),
        "looked for": lambda: list(node.rglob("*.txt")),
        "packed": lambda: list(node.iter_zip()),
        "walked": lambda: list(node.walk()),
        "removed": lambda: node.child("d").delete(),
        "moved": lambda: node.child("d").move_to("ram:elsewhere"),
        "cleaned": lambda: storage.cleanup(tree.partition(":")[0]),
        "emptied": lambda: storage.node(f"{tree.partition(':')[0]}:").delete(root=True),
    }
    said = said_to_nobody(root, *acts.values())
    assert [line.split(": ")[0] for line in said] == [closed] * len(acts), said
    assert (root / "t/d/closed").is_dir()


def test_the_files_that_cannot_be_removed_are_named(storage, root):
    (root / "t/d").mkdir(parents=True)
    for name in ("a", "b"):
        (root / "t/d" / name).write_text("old")
    for each in (root, root / "t"):
        each.chmod(0o777)
    said = said_to_nobody(
        root,
        lambda: storage.node("disk:t").delete(),
        lambda: storage.node("fs:t").delete(),
        lambda: storage.node("disk:t/d").move_to("ram:d"),
    )
    files = {"disk:t/d/a", "disk:t/d/b", "fs:t/d/a", "fs:t/d/b"}
    assert len(said) == 3 and {line.split(": ")[0] for line in said} <= files, said


def test_a_move_across_file_systems_below_one_root(storage, root):
    (root / "d").mkdir()
    (root / "d/f").write_text("x")
    (root / "g").write_text("y")
    with tmpfs(root / "mounted", "size=1m"):
        storage.node("disk:d").move_to("disk:mounted/d")
        storage.node("disk:g").move_to("disk:mounted/g")
        assert (root / "mounted/d/f").read_text() == "x"
        assert (root / "mounted/g").read_text() == "y"
        assert not (root / "d").exists()
        storage.node("disk:mounted/d").move_to("disk:back")
        assert (root / "back/f").read_text() == "x"
        (root / "big").write_bytes(b"x" * 2 * 1024 * 1024)
        with pytest.raises(StorageFullError):
            storage.node("disk:big").move_to("disk:mounted/big")
        assert (root / "big").stat().st_size == 2 * 1024 * 1024
        assert names_below(root / "mounted") == ["g"]


# -- odd trees --------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["disk", "fs"])
def test_names_that_are_not_utf8_are_kept(storage, root, kind):
    (root / "d").mkdir()
    name = os.fsdecode(b"caf\xe9.txt")
    (root / "d" / name).write_text("x")
    (child,) = storage.node(f"{kind}:d").children()
    assert child.name == name
    assert child.read_text() == "x"
    child.write_text("y")
    assert (root / "d" / name).read_text() == "y"
    storage.node(f"{kind}:d").copy_to(f"{kind}:copy")
    assert (root / "copy" / name).read_text() == "y"
    assert len(storage.node(f"{kind}:d").zip()) > 0
    child.delete()
    assert os.listdir(root / "d") == []


@pytest.mark.slow
def test_deep_trees_are_walked_copied_zipped_and_deleted(storage):
    depth = 1500
    path = "/".join(["d"] * depth)
    storage.node(f"ram:{path}/f").write_text("x")
    node = storage.node("ram:d")
    assert sum(1 for _ in node._mount.find("d")) == depth
    node.copy_to("ram:copy")
    assert storage.node(f"ram:copy/{path[2:]}/f").read_text() == "x"
    assert sum(1 for _ in node.walk()) == depth
    assert sum(1 for _ in node.walk(top_down=False)) == depth
    assert [found.name for found in node.rglob("f")] == ["f"]
    assert len(node.zip()) > 0
    storage.node("ram:copy").move_to("ram:moved")
    node.delete()
    assert [child.name for child in storage.node("ram:").children()] == ["moved"]


@pytest.mark.slow
def test_a_tree_deeper_than_a_path_may_be_long_is_an_error_and_no_crash(storage, root):
    """Below 4096 bytes (PATH_MAX) a local tree works at any depth; beyond, it says so."""
    fits = "/".join(["d"] * 1100)  # more than Python's stack takes
    storage.node(f"disk:{fits}/f").write_text("x")
    assert storage.node(f"disk:{fits}/f").read_text() == "x"
    node = storage.node("disk:d")
    assert [found.name for found in node.rglob("f")] == ["f"]
    beyond = storage.node("disk:" + "/".join(["d" * 50] * 100) + "/f")
    with pytest.raises(StorageError, match="long"):
        beyond.write_text("x")
    node.delete()
    assert [name for name in os.listdir(root) if len(name) < 50] == []


# -- configuration ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("- name: m\n  typ: memory\n", ["m", "typ", "type"]),
        ("- name: m\n  type: memroy\n", ["m", "memroy", "memory"]),
        ("- name: m\n  type: local\n  pth: /tmp\n", ["m", "pth", "path"]),
        ("- name: m\n  type: memory\n permissions: x\n", ["line"]),
        ("- name: m\n  type: memory\n  permissions: readony\n", ["m", "readonly"]),
        ("", ["empty"]),
        ("# only a comment\n", ["empty"]),
        ("42\n", ["list"]),
        ("- name: m\n  type: memory\n- name: m\n  type: memory\n", ["m", "twice"]),
        ("- name: m\n  path: nope:sub\n", ["m", "nope"]),
        ("- name: ${NOT_SET_ANYWHERE}\n  type: memory\n", ["NOT_SET_ANYWHERE"]),
        ("a: &a [x, x]\nb: &b [*a, *a]\n", ["mounts"]),
        ("\0", ["yaml"]),
    ],
)
def test_a_wrong_file_names_the_place_and_the_fix(storage, tmp_path, text, words):
    file = tmp_path / "mounts.yaml"
    file.write_text(text)
    before = dict(storage._table)
    with pytest.raises(StorageConfigError) as caught:
        storage.configure(file)
    for word in ["mounts.yaml", *words]:
        assert word in str(caught.value), str(caught.value)
    assert storage._table == before


@pytest.mark.timeout(20)
def test_a_yaml_bomb_is_refused_in_no_time(storage, tmp_path):
    lines = ["a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]"]
    for level in range(1, 30):
        again = ", ".join([f"*a{level - 1}"] * 9)
        lines.append(f"a{level}: &a{level} [{again}]")
    lines.append("mounts: *a29")
    file = tmp_path / "bomb.yaml"
    file.write_text("\n".join(lines))
    started = time.monotonic()
    with pytest.raises(StorageConfigError, match=r"bomb\.yaml"):
        storage.configure(file)
    assert time.monotonic() - started < 15
    file.write_text("- " * 100_000)
    with pytest.raises(StorageConfigError, match=r"bomb\.yaml"):
        storage.configure(file)


def test_ten_thousand_mounts(tmp_path):
    file = tmp_path / "mounts.json"
    import json

    file.write_text(json.dumps([{"name": f"m{n}", "type": "memory"} for n in range(10_000)]))
    storage = StorageManager()
    started = time.perf_counter()
    storage.configure(file)
    configured = time.perf_counter()
    storage.node("m9999:f").write_text("x")
    assert storage.node("m9999:f").read_text() == "x"
    used = time.perf_counter()
    storage.add_mount({"name": "one more", "type": "memory"})
    added = time.perf_counter()
    print(
        f"10,000 mounts: {configured - started:.2f} s, then {used - configured:.4f} s for a node,"
    )
    print(f"{added - used:.4f} s for one more mount", file=sys.stderr)
    assert len(storage.get_mount_names()) == 10_001
    with pytest.raises(StorageNotFoundError, match="m10000"):
        storage.node("m10000:f")
