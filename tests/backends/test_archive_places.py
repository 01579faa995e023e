"""Where an archive may lie, what is fetched of it, and what happens when it changes."""

from __future__ import annotations

import http.server
import io
import os
import subprocess
import sys
import threading
import time
import zipfile

import pytest

from genro_storage import (
    StorageConfigError,
    StorageError,
    StorageManager,
    StorageNotFoundError,
    StoragePermissionError,
    StorageUnsupportedError,
    StorageValueError,
)
from genro_storage.backends.archives import backend as archive_backend
from genro_storage.backends.archives import sources as archive_sources
from genro_storage.backends.archives import writing as archive_writing
from tests.support.archives import faraway, pack_zip, replace_whole

CONTENTS = {"a.txt": b"alpha", "d/b.txt": b"beta" * 100}


@pytest.fixture
def storage():
    with StorageManager() as manager:
        yield manager


def mount(storage, **config):
    storage.add_mount({"name": "packed", "type": "zip", **config})
    return storage.node("packed:")


def tree(node):
    return {info.path: node._mount.read_bytes(info.path) for info in files(node)}


def files(node):
    return [info for info in node._mount.find("") if info.type == "file"]


# -- where it lies ------------------------------------------------------------------------------


@pytest.mark.parametrize("written", ["sub/a.zip", "./sub/a.zip", "~/sub/a.zip"])
def test_a_relative_path_starts_at_the_configuration_file(storage, tmp_path, monkeypatch, written):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "sub").mkdir()
    pack_zip(tmp_path / "sub/a.zip", CONTENTS)
    (tmp_path / "mounts.yaml").write_text(f"- {{name: packed, type: zip, file: '{written}'}}\n")
    storage.configure(tmp_path / "mounts.yaml")
    assert tree(storage.node("packed:")) == CONTENTS


def test_in_code_a_path_must_be_absolute(storage):
    with pytest.raises(StorageConfigError, match=r"mount 'packed' \(zip\).*not absolute"):
        mount(storage, file="a.zip")


def test_a_path_object_is_a_path(storage, tmp_path):
    assert tree(mount(storage, file=pack_zip(tmp_path / "a.zip", CONTENTS))) == CONTENTS


def test_a_colon_in_a_path_is_no_mount(storage, tmp_path):
    assert tree(mount(storage, file=str(pack_zip(tmp_path / "a:b.zip", CONTENTS)))) == CONTENTS


def test_a_link_to_an_archive_elsewhere_is_followed(storage, tmp_path):
    (tmp_path / "here").mkdir()
    (tmp_path / "there").mkdir()
    pack_zip(tmp_path / "there/a.zip", CONTENTS)
    (tmp_path / "here/current.zip").symlink_to(tmp_path / "there/a.zip")
    node = mount(storage, file=str(tmp_path / "here/current.zip"))
    assert tree(node) == CONTENTS
    (node / "new.txt").write_bytes(b"new")
    assert (tmp_path / "here/current.zip").is_symlink()
    assert zipfile.ZipFile(tmp_path / "there/a.zip").read("new.txt") == b"new"


def test_an_archive_on_another_mount(storage, tmp_path):
    storage.add_mount({"name": "disk", "type": "local", "path": str(tmp_path)})
    node = mount(storage, file="disk:d/a.zip")
    (node / "x.txt").write_bytes(b"x")
    assert zipfile.ZipFile(tmp_path / "d/a.zip").namelist() == ["x.txt"]


def test_both_mounts_may_come_in_one_configuration(storage):
    storage.configure(
        [
            {"name": "ram", "type": "memory"},
            {"name": "packed", "type": "zip", "file": "ram:a.zip", "permissions": "delete"},
        ]
    )
    storage.node("packed:x.txt").write_bytes(b"x")
    assert storage.node("packed:").capabilities.temporary
    assert storage.node("ram:a.zip").size


def test_an_archive_inside_an_archive(storage, tmp_path):
    inner = pack_zip(tmp_path / "inner.zip", CONTENTS)
    outer = pack_zip(tmp_path / "outer.zip", {"d/inner.zip": inner.read_bytes()})
    storage.add_mount({"name": "outer", "type": "zip", "file": str(outer)})
    node = mount(storage, file="outer:d/inner.zip")
    assert tree(node) == CONTENTS
    (node / "new.txt").write_bytes(b"new")
    assert tree(node) == {**CONTENTS, "new.txt": b"new"}
    assert zipfile.ZipFile(outer).testzip() is None


def test_a_url_is_opened_through_fsspec(storage):
    import fsspec

    fs = fsspec.filesystem("memory")
    fs.pipe_file("/archives/a.zip", pack_zip(io.BytesIO(), CONTENTS).getvalue())
    try:
        assert tree(mount(storage, file="memory://archives/a.zip")) == CONTENTS
        node = mount(storage, file="archives/a.zip", target_protocol="memory")
        assert tree(node) == CONTENTS
        (node / "new.txt").write_bytes(b"new")
        assert zipfile.ZipFile(io.BytesIO(fs.cat_file("/archives/a.zip"))).read("new.txt") == b"new"
    finally:
        fs.rm("/archives", recursive=True)


class _Ranges(http.server.BaseHTTPRequestHandler):
    """Serves one content by ranges, and counts what it sends."""

    content = b""
    sent = 0

    def do_HEAD(self):
        self._head(200, len(self.content))

    def do_GET(self):
        asked = self.headers.get("Range")
        start, end = 0, len(self.content)
        if asked:
            first, _, last = asked.removeprefix("bytes=").partition("-")
            start, end = int(first), int(last) + 1 if last else end
        part = self.content[start:end]
        self._head(206 if asked else 200, len(part), f"bytes {start}-{start + len(part) - 1}")
        self.wfile.write(part)
        type(self).sent += len(part)

    def _head(self, status, length, part=None):
        self.send_response(status)
        self.send_header("Content-Length", str(length))
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("ETag", f'"{hash(self.content)}"')
        if part:
            self.send_header("Content-Range", f"{part}/{len(self.content)}")
        self.end_headers()

    def log_message(self, *args):
        pass


def test_a_web_server_is_asked_for_ranges(storage):
    _Ranges.content = pack_zip(
        io.BytesIO(), {**CONTENTS, "big.bin": os.urandom(5_000_000)}
    ).getvalue()
    _Ranges.sent = 0
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Ranges) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            node = mount(storage, file=f"http://127.0.0.1:{server.server_port}/a.zip?x=1")
            assert [child.name for child in node.children()] == ["a.txt", "big.bin", "d"]
            assert (node / "d/b.txt").read_bytes() == CONTENTS["d/b.txt"]
            assert _Ranges.sent < 300_000
            _Ranges.content = pack_zip(io.BytesIO(), {"new.txt": b"new"}).getvalue()
            assert tree(node) == {"new.txt": b"new"}
            with pytest.raises(StorageUnsupportedError):
                (node / "x").write_bytes(b"x")
            storage.delete_mount("packed")
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("file", ["file://{}/a.zip", "local://{}/a.zip"])
def test_a_local_url_is_a_local_file(storage, tmp_path, file):
    pack_zip(tmp_path / "a.zip", CONTENTS)
    assert tree(mount(storage, file=file.format(tmp_path))) == CONTENTS


@pytest.mark.parametrize(
    ("config", "fix"),
    [
        ({"file": "nowhere:a.zip"}, "configure it first"),
        ({"file": "packed:a.zip"}, "configure it first"),
        ({"file": "https://a/b.zip", "target_protocol": "s3"}, "keep one of them"),
        ({"file": "/a/b.zip", "target_options": {"key": "s3cret"}}, "target_protocol"),
        ({"file": "https://a/b/"}, "name the archive's file"),
        ({"file": "/a/b/"}, "name the archive's file"),
        ({"file": "zip://x::https://a/b.zip"}, "outer archive"),
        ({"file": ""}, "file"),
        ({}, "missing required field: 'file'"),
        ({"file": "/a.zip", "max_entries": 0}, "max_entries"),
        ({"file": "/a.zip", "mode": "rw"}, "mode"),
        ({"file": "/a.zip", "encoding": "utf-99"}, "no such encoding"),
    ],
)
def test_wrong_options_are_refused_with_the_fix(storage, config, fix):
    with pytest.raises(StorageConfigError, match="mount 'packed'") as caught:
        mount(storage, **config)
    assert fix in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_an_unknown_filesystem_is_an_error_at_the_first_use(storage):
    node = mount(storage, file="nosuch://host/a.zip")
    with pytest.raises(StorageConfigError, match=r"mount 'packed' \(zip\): fsspec knows no such"):
        node.children()


def test_no_secret_of_a_url_is_shown(storage):
    node = mount(
        storage,
        file="http://me:s3cret@127.0.0.1:9/a.zip?token=s3cret",
        target_options={"headers": {"Authorization": "s3cret"}},
    )
    with pytest.raises(StorageError) as caught:
        node.children()
    shown = f"{caught.value} {node._mount.backend!r} {node._mount!r}"
    assert "s3cret" not in shown


def test_configuring_opens_nothing_and_imports_nothing(tmp_path):
    script = f"""
import sys
from genro_storage import StorageManager
storage = StorageManager()
storage.configure([
    {{"name": "z", "type": "zip", "file": "{tmp_path}/missing.zip", "mode": "r"}},
    {{"name": "t", "type": "tar", "file": "{tmp_path}/missing.tar"}},
    {{"name": "l", "type": "libarchive", "file": "{tmp_path}/missing.7z"}},
    {{"name": "u", "type": "zip", "file": "https://127.0.0.1:9/a.zip"}},
])
assert storage.node("z:").capabilities.readonly
assert storage.node("u:").capabilities.readonly
assert not storage.node("z:x").capabilities.write
loaded = [name for name in ("fsspec", "libarchive", "backports.zstd", "aiohttp")
          if name in sys.modules]
print(loaded)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


# -- rights of whoever holds it -----------------------------------------------------------------


def test_a_read_only_mount_makes_a_read_only_archive(storage, tmp_path):
    pack_zip(tmp_path / "a.zip", CONTENTS)
    storage.configure(
        [
            {"name": "disk", "type": "local", "path": str(tmp_path), "permissions": "readonly"},
            {"name": "packed", "type": "zip", "file": "disk:a.zip"},
        ]
    )
    node = storage.node("packed:a.txt")
    assert node.capabilities.readonly
    with pytest.raises(StorageUnsupportedError, match=r"packed:a\.txt"):
        node.write_bytes(b"x")
    assert node.read_bytes() == b"alpha"
    with pytest.raises(StorageConfigError, match="read-only"):
        mount(storage, file="disk:a.zip", permissions="readwrite")
    # The archive follows the mount that holds it.
    storage.add_mount({"name": "disk", "type": "local", "path": str(tmp_path)})
    node.write_bytes(b"x")
    assert node.read_bytes() == b"x"


def test_the_archive_follows_a_mount_that_is_replaced_or_gone(storage, tmp_path):
    storage.add_mount({"name": "ram", "type": "memory"})
    node = mount(storage, file="ram:a.zip")
    (node / "x.txt").write_bytes(b"x")
    storage.add_mount({"name": "ram", "type": "local", "path": str(tmp_path)})
    assert node.children() == []
    storage.delete_mount("ram")
    with pytest.raises(StorageNotFoundError, match="'ram'"):
        node.children()


# -- missing ------------------------------------------------------------------------------------


def test_a_missing_archive_is_made_by_the_first_write(storage, tmp_path):
    node = mount(storage, file=str(tmp_path / "a.zip"))
    assert node.children() == []
    assert node.isdir
    node._mount.check()
    assert not (node / "x.txt").exists
    with pytest.raises(StorageNotFoundError):
        (node / "x.txt").delete() or (node / "x.txt").unlink()
    assert not (tmp_path / "a.zip").exists()
    (node / "x.txt").write_bytes(b"x")
    assert zipfile.ZipFile(tmp_path / "a.zip").namelist() == ["x.txt"]


@pytest.mark.parametrize(
    "config",
    [
        {"type": "zip", "mode": "r"},
        {"type": "tar"},
        {"type": "libarchive"},
    ],
)
def test_a_missing_archive_that_is_only_read_is_an_error(storage, tmp_path, config):
    node = mount(storage, **config, file=str(tmp_path / "a.bin"))
    for step in (node.children, node.stat, (node / "x").read_bytes, node._mount.check):
        with pytest.raises(StorageNotFoundError, match=r"a.bin' does not exist; create it or"):
            step()


def test_a_missing_directory_is_not_made_by_a_slip_of_the_pen(storage, tmp_path):
    node = mount(storage, file=str(tmp_path / "no/such/a.zip"))
    for step in (lambda: (node / "x").write_bytes(b"x"), node.children, node._mount.check):
        with pytest.raises(StorageNotFoundError, match=r"directory '.*no/such' .*does not exist"):
            step()
    assert not (tmp_path / "no").exists()


def test_a_directory_is_no_archive(storage, tmp_path):
    node = mount(storage, file=str(tmp_path))
    with pytest.raises(StorageNotFoundError, match="is a directory"):
        node.children()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_archive_that_may_not_be_read_is_refused_not_missing(storage, tmp_path):
    path = pack_zip(tmp_path / "a.zip", CONTENTS)
    path.chmod(0)
    with pytest.raises(StoragePermissionError, match=r"the archive '.*a.zip'"):
        mount(storage, file=str(path)).children()


# -- what is fetched ----------------------------------------------------------------------------


@pytest.fixture
def far(storage, tmp_path):
    (tmp_path / "far").mkdir()
    with faraway(tmp_path) as built:
        storage.add_mount({"name": "far", "type": "faraway", "path": str(tmp_path / "far")})
        yield built[0]


def test_listing_a_gigabyte_elsewhere_fetches_the_end_only(storage, far, tmp_path):
    path = tmp_path / "far/big.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("small.txt", b"small")
    content = path.read_bytes()
    with path.open("r+b") as stream:  # a gigabyte of nothing in front, as of a program
        stream.truncate(0)
        stream.seek(1024**3)
        stream.write(content)
    node = mount(storage, file="far:big.zip")
    assert [child.name for child in node.children()] == ["small.txt"]
    assert far.fetched <= 64 * 1024
    assert (node / "small.txt").read_bytes() == b"small"
    assert far.fetched <= 130 * 1024


def test_a_range_of_a_stored_entry_is_fetched_alone(storage, far, tmp_path):
    data = os.urandom(20 * 1024 * 1024)
    pack_zip(tmp_path / "far/a.zip", {"big.bin": data}, compression=zipfile.ZIP_STORED)
    node = mount(storage, file="far:a.zip") / "big.bin"
    assert node._mount.read_bytes("big.bin", 10_000_000, 10_000_100) == data[10_000_000:10_000_100]
    assert far.fetched < 400 * 1024
    assert node.read_bytes() == data
    with node.open("rb") as stream:
        stream.seek(-5, io.SEEK_END)
        assert stream.read() == data[-5:]


def test_the_index_is_fetched_once_as_long_as_nothing_changes(storage, far, tmp_path):
    path = pack_zip(tmp_path / "far/a.zip", CONTENTS)
    os.utime(path, (time.time() - 86_400,) * 2)
    node = mount(storage, file="far:a.zip")
    assert len(files(node)) == 2
    fetched, looks = far.fetched, far.looks
    for _ in range(10):
        assert (node / "a.txt").exists
    assert far.fetched == fetched
    assert far.looks == looks + 10
    # A walk is of one state of the archive, for one look.
    assert len(files(node)) == 2
    assert far.looks == looks + 11


def test_an_uncompressed_tar_elsewhere_is_not_downloaded(storage, far, tmp_path):
    import tarfile

    with tarfile.open(tmp_path / "far/a.tar", "w") as archive:
        for number in range(3):
            info = tarfile.TarInfo(f"{number}.bin")
            info.size = 8 * 1024 * 1024
            archive.addfile(info, io.BytesIO(bytes([number]) * info.size))
    node = mount(storage, type="tar", file="far:a.tar")
    assert [child.name for child in node.children()] == ["0.bin", "1.bin", "2.bin"]
    assert far.fetched < 600 * 1024
    assert node._mount.read_bytes("1.bin", 100, 110) == b"\1" * 10
    assert far.fetched < 900 * 1024


# -- the archive changes ------------------------------------------------------------------------


@pytest.mark.parametrize("file", ["{}/far/a.zip", "far:a.zip"])
def test_a_change_by_another_program_is_seen_at_once(storage, far, tmp_path, file):
    path = pack_zip(tmp_path / "far/a.zip", {"f.txt": b"0"}, compression=zipfile.ZIP_STORED)
    node = mount(storage, file=file.format(tmp_path)) / "f.txt"
    for number in range(30):  # all of one size, within one tick of the clock
        data = str(number % 10).encode()
        replace_whole(path, pack_zip(io.BytesIO(), {"f.txt": data}).getvalue())
        assert node.read_bytes() == data
        with path.open("r+b") as stream:  # in place as well
            changed = pack_zip(io.BytesIO(), {"f.txt": b"x"}).getvalue()
            stream.write(changed)
        assert node.read_bytes() == b"x"


def test_an_open_reader_of_a_local_archive_keeps_what_it_began_with(storage, tmp_path):
    data = os.urandom(1_000_000)
    path = pack_zip(tmp_path / "a.zip", {"f.bin": data, "g.txt": b"g"})
    node = mount(storage, file=str(path))
    with (node / "f.bin").open("rb") as stream:
        head = stream.read(10)
        (node / "f.bin").write_bytes(b"new")
        assert head + stream.read() == data
    assert (node / "f.bin").read_bytes() == b"new"


def test_a_reader_elsewhere_never_mixes_two_states(storage, far, tmp_path):
    states = [bytes([65 + number]) * 3_000_000 for number in range(2)]
    path = tmp_path / "far/a.zip"
    pack_zip(path, {"f.bin": states[0]}, compression=zipfile.ZIP_STORED)
    node = mount(storage, file="far:a.zip") / "f.bin"
    with node.open("rb") as stream:
        assert stream.read(10) == states[0][:10]
        replace_whole(path, pack_zip(io.BytesIO(), {"f.bin": states[1]}).getvalue())
        with pytest.raises(StorageError, match=r"packed:f\.bin.*changed while it was being read"):
            stream.read()
    assert node.read_bytes() == states[1]


@pytest.mark.parametrize("changes", [8, 1000])
def test_a_reader_tries_on_while_others_write(storage, tmp_path, monkeypatch, changes):
    """Each change is another one's success, so that there are not many in a row; but patience ends."""
    storage.add_mount({"name": "kept", "type": "memory"})
    archive = storage.node("kept:a.zip")
    archive.write_bytes(pack_zip(io.BytesIO(), {"f.txt": b"x"}).getvalue())
    node = mount(storage, file="kept:a.zip") / "f.txt"
    fetch, left = archive_sources.RangeSource._fetch, changes

    def meddle(self, *arguments):
        nonlocal left
        if left:
            left -= 1
            archive.write_bytes(pack_zip(io.BytesIO(), {"f.txt": str(left).encode()}).getvalue())
        fetch(self, *arguments)

    monkeypatch.setattr(archive_sources.RangeSource, "_fetch", meddle)
    if changes > 8:
        monkeypatch.setattr(archive_backend, "_PATIENCE", 0)
        with pytest.raises(StorageError, match=r"packed:f\.txt.*changed while it was being read"):
            node.read_bytes()
        assert left == changes - archive_backend.TRIES
    else:
        assert node.read_bytes() == b"0"


# -- writers ------------------------------------------------------------------------------------


def test_writers_through_several_mounts_lose_nothing(storage, tmp_path):
    storage.add_mount({"name": "disk", "type": "local", "path": str(tmp_path)})
    for number, file in enumerate((f"{tmp_path}/a.zip", "disk:a.zip", f"file://{tmp_path}/a.zip")):
        storage.add_mount({"name": f"m{number}", "type": "zip", "file": file})

    def work(number):
        for turn in range(8):
            storage.node(f"m{number % 3}:t{number}/{turn}.txt").write_bytes(b"x" * turn)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(files(storage.node("m0:"))) == 48
    assert zipfile.ZipFile(tmp_path / "a.zip").testzip() is None


@pytest.mark.slow
def test_writers_in_several_processes_lose_nothing(tmp_path):
    script = f"""
import sys
from genro_storage import StorageManager
storage = StorageManager()
storage.configure([{{"name": "z", "type": "zip", "file": "{tmp_path}/a.zip"}}])
for turn in range(15):
    storage.node(f"z:{{sys.argv[1]}}/{{turn}}.txt").write_bytes(b"x" * turn)
"""
    children = [
        subprocess.Popen([sys.executable, "-c", script, str(number)]) for number in range(3)
    ]
    assert [child.wait(120) for child in children] == [0, 0, 0]
    archive = zipfile.ZipFile(tmp_path / "a.zip")
    assert sum(not name.endswith("/") for name in archive.namelist()) == 45
    assert archive.testzip() is None
    assert os.listdir(tmp_path) == ["a.zip"]


@pytest.mark.parametrize("file", ["{}/far/a.zip", "far:a.zip"])
def test_a_change_in_the_middle_of_a_write_is_not_lost(storage, far, tmp_path, file, monkeypatch):
    path = pack_zip(tmp_path / "far/a.zip", CONTENTS)
    node = mount(storage, file=file.format(tmp_path))
    swap = archive_writing.WritableArchive._swap
    meddled = []

    def meddle(self, *args, **options):
        if not meddled:
            meddled.append(True)
            other = pack_zip(io.BytesIO(), {**CONTENTS, "other.txt": b"other"})
            replace_whole(path, other.getvalue())
        return swap(self, *args, **options)

    monkeypatch.setattr(archive_writing.WritableArchive, "_swap", meddle)
    (node / "mine.txt").write_bytes(b"mine")
    assert tree(node) == {**CONTENTS, "other.txt": b"other", "mine.txt": b"mine"}


def test_an_archive_that_never_rests_is_an_error(storage, tmp_path, monkeypatch):
    path = pack_zip(tmp_path / "a.zip", CONTENTS)
    node = mount(storage, file=str(path))
    swap = archive_writing.WritableArchive._swap

    def meddle(self, *args, **options):
        replace_whole(path, path.read_bytes())
        return swap(self, *args, **options)

    monkeypatch.setattr(archive_writing.WritableArchive, "_swap", meddle)
    with pytest.raises(StorageError, match=r"packed:mine\.txt.*keeps changing"):
        (node / "mine.txt").write_bytes(b"mine")
    assert tree(node) == CONTENTS
    assert os.listdir(tmp_path) == ["a.zip"]


@pytest.mark.parametrize("limit", [0, 10, 200, 5_000, 100_000])
@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_a_storage_that_fails_in_the_middle_keeps_the_old_archive(
    storage, far, tmp_path, limit, kind
):
    node = mount(storage, type=kind, file="far:a", mode="a")
    for name, data in {**CONTENTS, "big.bin": os.urandom(100_000)}.items():
        (node / name).write_bytes(data)
    before, seen = (tmp_path / "far/a").read_bytes(), tree(node)
    far.fail_after = limit
    steps = [
        lambda: (node / "new.bin").write_bytes(os.urandom(100_000)),
        lambda: (node / "d").delete() if limit < 100_000 else (node / "x").write_bytes(bytes(9**6)),
        lambda: (node / "a.txt").move_to(node / "moved.txt"),
    ]
    for step in steps[: 3 if limit < 100_000 else 1]:
        with pytest.raises(StorageError, match="no space left"):
            step()
        assert (tmp_path / "far/a").read_bytes() == before
        assert tree(node) == seen
    assert os.listdir(tmp_path / "far") == ["a"]
    far.fail_after = None
    (node / "new.bin").write_bytes(b"now")
    assert tree(node) == {**seen, "new.bin": b"now"}


def test_what_a_killed_writer_left_is_cleaned_up(storage, tmp_path):
    from genro_storage.backends.temporary_names import numbered_name

    node = mount(storage, file=str(tmp_path / "a.zip"))
    (node / "x.txt").write_bytes(b"x")
    mine, foreign = numbered_name("a.zip", 3), numbered_name("b.zip", 0)
    (tmp_path / mine).write_bytes(b"half")
    (tmp_path / foreign).write_bytes(b"half")
    assert storage.cleanup("packed", older_than=0) == 1
    assert sorted(os.listdir(tmp_path)) == sorted([foreign, "a.zip"])


def test_an_archive_is_not_copied_into_itself(storage, tmp_path):
    storage.add_mount({"name": "disk", "type": "local", "path": str(tmp_path)})
    node = mount(storage, file="disk:d/a.zip")
    (node / "x.txt").write_bytes(b"x")
    with pytest.raises(StorageError):
        storage.node("disk:d").copy_to(node / "d")
    assert tree(node) == {"x.txt": b"x"}
    twin = StorageManager()
    twin.configure([{"name": "twin", "type": "zip", "file": str(tmp_path / "d/a.zip")}])
    assert twin.node("twin:x.txt")._mount.same_place("x.txt", node._mount, "x.txt")
    assert not node.samefile("disk:d/a.zip")


def test_what_stands_in_the_way_of_a_copy_into_an_archive_is_named(storage, tmp_path):
    (tmp_path / "in").mkdir()
    storage.add_mount({"name": "disk", "type": "local", "path": str(tmp_path)})
    mount(storage, file="disk:in/a.zip")
    with pytest.raises(
        StorageValueError,
        match=r"^cannot copy disk: into itself: packed:all is inside it, because the archive of packed: "
        r"is 'disk:in/a.zip'; leave out 'in/a.zip', or keep the archive elsewhere$",
    ):
        storage.node("disk:").copy_to("packed:all")
    with pytest.raises(
        StorageValueError,
        match=r"^cannot move disk:in into itself: packed:all is inside it, because the archive of "
        r"packed: is 'disk:in/a.zip'; keep the archive elsewhere$",
    ):
        storage.node("disk:in").move_to("packed:all")
    storage.node("packed:d/b.txt").write_text("b")
    with pytest.raises(StorageValueError, match=r"packed:d/e is inside it$"):
        storage.node("packed:d").copy_to("packed:d/e")


@pytest.mark.parametrize("there", [True, False])
@pytest.mark.parametrize("filters", [{"exclude": "*.zip"}, {"include": ["b.*", "in/c*"]}])
def test_a_directory_goes_into_its_archive_where_patterns_leave_that_out(
    storage, tmp_path, there, filters
):
    (tmp_path / "in").mkdir()
    (tmp_path / "b.txt").write_bytes(b"b")
    (tmp_path / "in/c.txt").write_bytes(b"c")
    storage.add_mount({"name": "disk", "type": "local", "path": str(tmp_path)})
    root = mount(storage, file="disk:in/a.zip")
    if there:
        root.child("old").write_bytes(b"old")
    storage.node("disk:").copy_to("packed:all", **filters)
    copied = {"all/b.txt": b"b", "all/in/c.txt": b"c"}
    assert tree(root) == (copied | {"old": b"old"} if there else copied)


@pytest.mark.parametrize(
    "filters", [{"exclude": "b.zip"}, {"filter": lambda node, path: path != "a.zip"}]
)
def test_other_filters_do_not_let_a_directory_into_its_archive(storage, tmp_path, filters):
    storage.add_mount({"name": "disk", "type": "local", "path": str(tmp_path)})
    mount(storage, file="disk:a.zip")
    with pytest.raises(StorageValueError, match="into itself"):
        storage.node("disk:").copy_to("packed:all", **filters)


def test_an_archive_in_an_archive_is_not_left_out_by_its_own_name(storage, tmp_path):
    storage.add_mount({"name": "disk", "type": "local", "path": str(tmp_path)})
    storage.add_mount({"name": "outer", "type": "zip", "file": "disk:outer.zip"})
    storage.node("outer:a.txt").write_text("a")
    mount(storage, file="outer:inner.zip")
    with pytest.raises(
        StorageValueError, match=r"is 'outer:inner.zip'; keep the archive elsewhere"
    ):
        storage.node("disk:").copy_to("packed:all", exclude="*inner.zip")


def test_a_check_says_that_an_archive_is_still_to_be_made(storage, tmp_path):
    root = mount(storage, file=str(tmp_path / "a.zip"))
    reader = {"name": "reader", "path": "packed:", "permissions": "readonly"}
    storage.add_mount(reader)
    there = f"its archive '{tmp_path / 'a.zip'}' is not there yet"
    assert [(each.ok, each.reason) for each in storage.check()] == [
        (True, f"{there}; the first file makes it"),
        (True, there),
    ]
    root.child("a").write_text("a")
    assert [(each.ok, each.reason) for each in storage.check()] == [(True, ""), (True, "")]


def test_a_zip_archive_is_only_made_where_it_may_be(storage, tmp_path):
    file = tmp_path / "a.zip"
    root = mount(storage, file=str(file), create=False)
    with pytest.raises(StorageNotFoundError, match="does not exist"):
        root.children()
    with pytest.raises(StorageNotFoundError, match="does not exist"):
        root.child("a").write_text("a")
    assert [each.state for each in storage.check()] == ["missing"]
    assert list(tmp_path.iterdir()) == []
    pack_zip(file, CONTENTS)
    root.child("a").write_text("a")
    assert tree(root) == CONTENTS | {"a": b"a"}
    file.unlink()
    mount(storage, file=str(file), create=True).child("b").write_text("b")
    assert file.exists()
