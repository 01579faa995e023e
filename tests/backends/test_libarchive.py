"""Archives through libarchive: what the system's tools make is read, and what was wrong with it."""

from __future__ import annotations

import gc
import io
import os
import subprocess
import sys
import tarfile
import threading
import time
import unicodedata
import zipfile

import pytest

from genro_storage import (
    StorageError,
    StorageIOError,
    StorageManager,
    StorageNotFoundError,
    StoragePermissionError,
    StorageUnsupportedError,
)
from genro_storage.backends.archives import libarchive_backend as libarchive_archive
from genro_storage.testing import AWKWARD_NAMES
from tests.services.base import find_program, skip_or_fail
from tests.support.archives import pack_tar, pack_zip

CONTENTS = {"a.txt": b"alpha", "d/b.bin": os.urandom(300_000), "d/\u00fc.txt": b"umlaut"}


@pytest.fixture
def storage():
    with StorageManager() as manager:
        yield manager


@pytest.fixture
def tree(tmp_path):
    tree = tmp_path / "tree"
    for name, data in CONTENTS.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_bytes(data)
    (tree / "empty").mkdir()
    return tree


def need(program, package):
    if find_program(program) is None:
        skip_or_fail(f"{program} is missing; install it with: apt install {package}")


def run(*command, cwd):
    subprocess.run(command, cwd=cwd, check=True, capture_output=True)


def mount(storage, path, **options):
    storage.add_mount({"name": "packed", "type": "libarchive", "file": str(path), **options})
    return storage.node("packed:")


def contents(root):
    return {
        info.path: root._mount.read_bytes(info.path)
        for info in root._mount.find("")
        if info.type == "file"
    }


FORMATS = {
    "7z": ("7z", "p7zip-full", ["7z", "a", "{}", "."]),
    "7z solid": ("7z", "p7zip-full", ["7z", "a", "-ms=on", "-t7z", "{}", "."]),
    "7z lzma": ("7z", "p7zip-full", ["7z", "a", "-m0=LZMA", "-t7z", "{}", "."]),
    "iso": ("xorriso", "xorriso", ["xorriso", "-as", "mkisofs", "-R", "-J", "-o", "{}", "."]),
    **{
        layout: ("bsdtar", "libarchive-tools", ["bsdtar", "-cf", "{}", f"--format={layout}", "."])
        for layout in ("cpio", "newc", "xar", "zip", "7zip", "iso9660", "pax", "gnutar")
    },
    "tar.lz4": ("bsdtar", "libarchive-tools", ["bsdtar", "-cf", "{}", "--lz4", "."]),
    "tar.zst": ("bsdtar", "libarchive-tools", ["bsdtar", "-cf", "{}", "--zstd", "."]),
    "tar.Z": ("bsdtar", "libarchive-tools", ["bsdtar", "-cf", "{}", "-Z", "."]),
}


@pytest.mark.parametrize("name", list(FORMATS))
def test_what_the_tools_of_the_system_make_is_read(storage, tree, tmp_path, name):
    program, package, command = FORMATS[name]
    need(program, package)
    path = tmp_path / "archive"
    run(*(part.format(path) for part in command), cwd=tree)
    if not path.exists():  # 7z adds its suffix
        path = tmp_path / "archive.7z"
    root = mount(storage, path)
    assert contents(root) == CONTENTS
    kinds = {info.path: info.type for info in root._mount.find("")}
    assert kinds["empty"] == kinds["d"] == "directory"
    assert [child.name for child in root.children()] == ["a.txt", "d", "empty"]
    mtime = (root / "a.txt").mtime
    assert mtime == pytest.approx((tree / "a.txt").stat().st_mtime, abs=2)
    with (root / "d/b.bin").open("rb") as stream:
        stream.seek(200_000)
        assert stream.read(10) == CONTENTS["d/b.bin"][200_000:200_010]
        stream.seek(5)
        assert stream.read(5) == CONTENTS["d/b.bin"][5:10]


def test_what_is_missing_is_an_error_not_nothing(storage, tmp_path):
    root = mount(storage, pack_zip(tmp_path / "a.zip", CONTENTS))
    for step in (
        (root / "missing").read_bytes,
        lambda: root._mount.read_bytes("missing", 0, 10),
        lambda: (root / "missing").open("rb"),
    ):
        with pytest.raises(StorageNotFoundError, match="packed:missing"):
            step()


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_awkward_names_are_themselves(storage, tmp_path, kind):
    # libarchive itself composes letters and their accents, and some versions take a backslash in a
    # zip archive for a separator.
    names = [
        name
        for name in AWKWARD_NAMES
        if "\\" not in name and unicodedata.is_normalized("NFC", name)
    ]
    data = {f"d/{name}": name.encode() for name in names}
    if kind == "zip":
        path = pack_zip(tmp_path / "a", data)
    else:
        path = pack_tar(tmp_path / "a", [(tarfile.TarInfo(n), d) for n, d in data.items()])
    root = mount(storage, path)
    assert contents(root) == data
    assert (root / "d" / "data[1].txt").read_bytes() == b"data[1].txt"


def test_accents_come_composed(storage, tmp_path):
    name = unicodedata.normalize("NFD", "\u00fcber.txt")
    root = mount(storage, pack_zip(tmp_path / "a.zip", {name: b"x"}))
    assert [child.name for child in root.children()] == [unicodedata.normalize("NFC", name)]


@pytest.mark.slow
@pytest.mark.parametrize("locale", ["C", "POSIX", "C.UTF-8"])
@pytest.mark.parametrize("kind", ["zip", "tar", "7zip"])
def test_names_do_not_depend_on_the_locale(tmp_path, tree, locale, kind):
    need("bsdtar", "libarchive-tools")
    path = tmp_path / "archive"
    run("bsdtar", "-cf", str(path), f"--format={'pax' if kind == 'tar' else kind}", ".", cwd=tree)
    script = f"""
from genro_storage import StorageManager
storage = StorageManager()
storage.configure([{{"name": "packed", "type": "libarchive", "file": "{path}"}}])
print([ascii(info.path) for info in storage.node("packed:d")._mount.find("d")])
print(storage.node("packed:d/\\u00fc.txt").read_bytes())
storage.close()
"""
    done = subprocess.run(
        [sys.executable, "-X", "utf8=0", "-c", script],
        env={**os.environ, "LC_ALL": locale, "LANG": locale, "PYTHONCOERCECLOCALE": "0"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert not done.stderr and done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["[\"'d/b.bin'\", \"'d/\\\\xfc.txt'\"]", "b'umlaut'"]


def test_eight_threads_read_their_own_files(storage, tmp_path):
    need("7z", "p7zip-full")
    tree = tmp_path / "tree"
    tree.mkdir()
    data = {f"{n}.bin": os.urandom(100_000) for n in range(8)}
    for name, content in data.items():
        (tree / name).write_bytes(content)
    run("7z", "a", str(tmp_path / "a.7z"), ".", cwd=tree)
    root = mount(storage, tmp_path / "a.7z")
    failures = []

    def work(number):
        try:
            for turn in range(12):
                name = f"{(number + turn) % 8}.bin"
                assert (root / name).read_bytes() == data[name]
                with (root / name).open("rb") as stream:
                    assert stream.read(1000) == data[name][:1000]
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_reading_all_in_order_walks_once(storage, tmp_path, monkeypatch):
    data = {f"{n:03}": b"x" * n for n in range(100)}
    path = pack_tar(tmp_path / "a.tar", [(tarfile.TarInfo(n), d) for n, d in data.items()])
    root = mount(storage, path)
    for _ in range(2):  # what was made a moment ago is looked at twice
        assert len(root.children()) == 100
        time.sleep(0.2)
    walks = []

    class Counted(libarchive_archive.Walk):
        def _open(self):
            walks.append(self)
            super()._open()

    monkeypatch.setattr(libarchive_archive, "Walk", Counted)
    assert contents(root) == data
    assert len(walks) <= 2
    with (root / "099").open("rb") as held, (root / "050").open("rb") as other:
        assert (held.read(), other.read()) == (data["099"], data["050"])


def test_every_encrypted_zip_is_opened_by_the_password(storage, tmp_path):
    need("7z", "p7zip-full")
    (tmp_path / "s.txt").write_bytes(b"secret content")
    for method in ("AES256", "AES128", "ZipCrypto"):
        path = tmp_path / f"{method}.zip"
        run("7z", "a", "-ps3cret", f"-mem={method}", str(path), "s.txt", cwd=tmp_path)
        assert (mount(storage, path, password="s3cret") / "s.txt").read_bytes() == b"secret content"
        for options in ({}, {"password": "wr0ng"}):
            root = mount(storage, path, **options)
            assert [child.name for child in root.children()] == ["s.txt"]
            with pytest.raises(
                StoragePermissionError, match=r"packed:s\.txt.*'password'"
            ) as caught:
                (root / "s.txt").read_bytes()
            assert "wr0ng" not in str(caught.value)


def test_an_encrypted_7z_says_that_it_is(storage, tmp_path):
    need("7z", "p7zip-full")
    (tmp_path / "s.txt").write_bytes(b"secret content")
    run("7z", "a", "-ps3cret", str(tmp_path / "a.7z"), "s.txt", cwd=tmp_path)
    run("7z", "a", "-ps3cret", "-mhe=on", str(tmp_path / "b.7z"), "s.txt", cwd=tmp_path)
    with pytest.raises(StoragePermissionError, match="encrypted"):
        (mount(storage, tmp_path / "a.7z", password="s3cret") / "s.txt").read_bytes()
    with pytest.raises(StoragePermissionError, match="encrypted"):
        mount(storage, tmp_path / "b.7z", password="s3cret").children()


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_wrong_checksum_is_an_error_not_content(storage, tmp_path, method):
    data = b"some text that is long enough. " * 100
    path = pack_zip(tmp_path / "a.zip", {"a.txt": data, "b.txt": b"b"}, compression=method)
    packed = bytearray(path.read_bytes())
    at = packed.index(b"PK\1\2")
    packed[at + 16] ^= 1
    packed[14] ^= 1
    path.write_bytes(packed)
    root = mount(storage, path)
    with pytest.raises(StorageIOError, match=r"packed:a\.txt.*'a\.txt'"):
        (root / "a.txt").read_bytes()
    assert (root / "b.txt").read_bytes() == b"b"


def test_hard_and_symbolic_links_stay_inside(storage, tmp_path):
    hard, soft = {"type": tarfile.LNKTYPE}, {"type": tarfile.SYMTYPE}
    members = []
    for name, fields in {
        "d/one": {}, "two": {"linkname": "d/one", **hard}, "out": {"linkname": "/etc/passwd", **soft},
        "soft": {"linkname": "./d/../d/one", **soft}, "bad": {"linkname": "../etc/passwd", **hard},
    }.items():  # fmt: skip
        info = tarfile.TarInfo(name)
        for field, value in fields.items():
            setattr(info, field, value)
        members.append((info, b"" if fields else b"content"))
    root = mount(storage, pack_tar(tmp_path / "a.tar", members))
    assert contents(root) == dict.fromkeys(("d/one", "two", "soft"), b"content")
    for name in ("out", "bad"):
        with pytest.raises(StorageError):
            (root / name).read_bytes()


def test_a_text_that_names_files_of_this_machine_is_no_archive(storage, tmp_path):
    (tmp_path / "a").write_text("#mtree\npasswd type=file contents=/etc/passwd size=10\n")
    with pytest.raises(StorageIOError, match="knows no archive"):
        mount(storage, tmp_path / "a").children()


def test_it_only_reads(storage, tmp_path):
    root = mount(storage, pack_zip(tmp_path / "a.zip", CONTENTS))
    assert root.capabilities.readonly
    with pytest.raises(StorageUnsupportedError):
        (root / "x").write_bytes(b"x")


def test_an_image_elsewhere_is_not_downloaded(storage, tmp_path):
    need("xorriso", "xorriso")
    from tests.support.archives import faraway

    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "big.bin").write_bytes(bytes(40 * 1024 * 1024))
    (tree / "small.txt").write_bytes(b"small")
    (tmp_path / "far").mkdir()
    run("xorriso", "-as", "mkisofs", "-R", "-o", str(tmp_path / "far/a.iso"), ".", cwd=tree)
    with faraway(tmp_path) as built:
        storage.add_mount({"name": "far", "type": "faraway", "path": str(tmp_path / "far")})
        root = mount(storage, "far:a.iso")
        assert [child.name for child in root.children()] == ["big.bin", "small.txt"]
        assert (root / "small.txt").read_bytes() == b"small"
        assert built[0].fetched < 20 * 1024 * 1024


@pytest.mark.slow
@pytest.mark.parametrize(
    ("prepare", "fix"),
    [
        ("sys.modules['libarchive'] = sys.modules['libarchive.ffi'] = None",
         'pip install "genro-storage[libarchive]"'),
        ("os.environ['LIBARCHIVE'] = '/no/such/library.so'", "apt install libarchive13"),
    ],
)  # fmt: skip
def test_what_is_missing_on_the_machine_is_named(tmp_path, prepare, fix):
    pack_zip(tmp_path / "a.zip", CONTENTS)
    script = f"""
import os, sys
{prepare}
from genro_storage import StorageManager, StorageMissingExtraError
storage = StorageManager()
storage.configure([{{"name": "packed", "type": "libarchive", "file": "{tmp_path}/a.zip"}}])
for step in (storage.node("packed:").children, storage.node("packed:a.txt").read_bytes,
             storage.node("packed:")._mount.check):
    try:
        step()
    except StorageMissingExtraError as error:
        print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    lines = done.stdout.splitlines()
    assert len(lines) == 3, done.stderr
    for line in lines:
        assert line.startswith("mount 'packed' (libarchive)")
        assert fix in line


@pytest.mark.slow
def test_large_files_pass_in_bounded_memory(tmp_path):
    info = tarfile.TarInfo("big.bin")
    info.size = 100 * 1024 * 1024
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz", compresslevel=1) as archive:
        archive.addfile(info, io.BytesIO(os.urandom(info.size)))
    script = f"""
from genro_storage import StorageManager
storage = StorageManager()
storage.configure([{{"name": "packed", "type": "libarchive", "file": "{tmp_path}/a.tar.gz"}}])
before = int(__import__("pathlib").Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
size = 0
with storage.node("packed:big.bin").open("rb") as stream:
    while part := stream.read(1 << 20):
        size += len(part)
assert size == {info.size}
print(int(__import__("pathlib").Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) - before)
storage.close()
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    unit = 1024 if sys.platform == "linux" else 1
    assert int(done.stdout) * unit < 40 * 1024 * 1024


def test_a_manager_that_is_dropped_leaves_nothing_open(tmp_path):
    path = pack_zip(tmp_path / "a.zip", CONTENTS)
    storage = StorageManager()
    assert (mount(storage, path) / "a.txt").read_bytes() == b"alpha"
    del storage
    gc.collect()  # a file that is still open would warn, and warnings are errors here
