"""Tar archives of other programs, and what this library writes, read by other programs."""

from __future__ import annotations

import bz2
import gc
import gzip
import io
import lzma
import os
import subprocess
import sys
import tarfile
import tempfile
import threading

import pytest

from genro_storage import (
    StorageConfigError,
    StorageError,
    StorageManager,
    StorageMissingExtraError,
    StorageNotFoundError,
    StoragePermissionError,
    StorageUnsupportedError,
)
from genro_storage.backends.archives.inflating import zstd_module
from genro_storage.backends.archives.tar import TarBackend
from genro_storage.testing import AWKWARD_NAMES
from tests.services.base import find_program
from tests.support.archives import pack_tar, replace_whole

TEXT = b"a rose is a rose is a rose. " * 500


def unpack_zst(data):
    return zstd_module().decompress(data)


PACK = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "lzma": lambda data: lzma.compress(data, lzma.FORMAT_ALONE),
    "zst": lambda data: zstd_module().compress(data),
}
UNPACK = {
    "gz": gzip.decompress,
    "bz2": bz2.decompress,
    "xz": lzma.decompress,
    "lzma": lzma.decompress,
    "zst": unpack_zst,
}


@pytest.fixture
def storage():
    with StorageManager() as manager:
        yield manager


@pytest.fixture
def path(tmp_path):
    return tmp_path / "archive.tar"


def mount(storage, path, **options):
    storage.add_mount({"name": "packed", "type": "tar", "file": str(path), **options})
    return storage.node("packed:")


def member(name, **fields):
    info = tarfile.TarInfo(name)
    for field, value in fields.items():
        setattr(info, field, value)
    return info


def found(root):
    return {info.path: info.type for info in root._mount.find("")}


def contents(root):
    return {
        info.path: root._mount.read_bytes(info.path)
        for info in root._mount.find("")
        if info.type == "file"
    }


def names_of(path):
    with tarfile.open(path) as archive:
        return archive.getnames()


# -- reading what others write ------------------------------------------------------------------


@pytest.mark.parametrize("compression", list(PACK))
@pytest.mark.parametrize("suffix", ["tar", "tgz", "data"])
def test_the_content_tells_the_compression_not_the_name(storage, tmp_path, compression, suffix):
    path = pack_tar(tmp_path / f"a.{suffix}", [(member("f.txt"), TEXT)])
    path.write_bytes(PACK[compression](path.read_bytes()))
    root = mount(storage, path)
    assert (root / "f.txt").read_bytes() == TEXT
    assert root._mount.read_bytes("f.txt", 5, 10) == TEXT[5:10]


@pytest.mark.parametrize("layout", ["v7", "oldgnu", "gnu", "ustar", "pax"])
def test_every_layout_of_gnu_tar_is_read(storage, path, tmp_path, layout):
    tree = tmp_path / "tree"
    long = "l" * 90
    deep = tree / long / "d"
    deep.mkdir(parents=True)
    (deep / "f.txt").write_bytes(TEXT)
    os.utime(deep / "f.txt", (1_500_000_000, 1_500_000_000))
    expected = {f"{long}/d/f.txt": TEXT}
    if layout not in ("v7", "ustar"):
        (deep / ("n" * 200)).write_bytes(b"long")
        expected[f"{long}/d/{'n' * 200}"] = b"long"
    (tree / "\u00fc.txt").write_bytes(b"umlaut")
    expected["\u00fc.txt"] = b"umlaut"
    subprocess.run(["tar", "-c", f"--format={layout}", "-f", str(path), "."], cwd=tree, check=True)
    root = mount(storage, path)
    assert contents(root) == expected
    assert (root / long / "d/f.txt").mtime == 1_500_000_000


def test_a_large_number_is_read_in_base_256(storage, path):
    info = member("f", mtime=2**40, uid=2**30, size=4)
    path.write_bytes(info.tobuf(tarfile.GNU_FORMAT) + b"data".ljust(512, b"\0") + bytes(1024))
    root = mount(storage, path)
    assert (root / "f").mtime == 2.0**40
    assert (root / "f").read_bytes() == b"data"


@pytest.mark.parametrize("name", [n for n in AWKWARD_NAMES if "\\" not in n])
def test_awkward_names_of_others_are_themselves(storage, path, name):
    pack_tar(path, [(member(f"d/{name}"), b"x"), (member(f"./{name}"), b"y")])
    root = mount(storage, path)
    assert found(root) == {"d": "directory", f"d/{name}": "file", name: "file"}
    assert (root / "d" / name).read_bytes() == b"x"


def test_names_of_no_encoding_come_back_unchanged(storage, path):
    raw = b"caf\xe9.txt"
    info = member(raw.decode("utf-8", "surrogateescape"))
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT, errors="surrogateescape") as archive:
        archive.addfile(info, io.BytesIO())
    root = mount(storage, path, mode="a")
    assert [os.fsencode(child.name) for child in root.children()] == [raw]
    (root / "other.txt").write_bytes(b"x")
    (root / os.fsdecode(raw)).move_to(root / "d" / os.fsdecode(raw))
    assert b"d/caf\xe9.txt" in path.read_bytes()
    assert (root / "d" / os.fsdecode(raw)).exists


def test_several_compressed_streams_are_one(storage, path):
    pack_tar(path, [(member("f.txt"), TEXT)])
    data = path.read_bytes()
    for name in ("gz", "bz2", "xz", "zst"):
        halves = PACK[name](data[:5000]) + PACK[name](data[5000:])
        path.write_bytes(halves + bytes(100 if name == "xz" else 512))
        assert contents(mount(storage, path)) == {"f.txt": TEXT}


def test_special_files_are_listed_and_not_read(storage, path):
    pack_tar(
        path,
        [
            (member("pipe", type=tarfile.FIFOTYPE), b""),
            (member("null", type=tarfile.CHRTYPE, devmajor=1, devminor=3), b""),
            (member("f"), b"f"),
        ],
    )
    root = mount(storage, path)
    assert found(root) == {"pipe": "other", "null": "other", "f": "file"}
    for name in ("pipe", "null"):
        with pytest.raises(StoragePermissionError, match="not a regular file"):
            (root / name).read_bytes()


def test_a_sparse_file_names_the_way_out(storage, path, tmp_path):
    if not find_program("bsdtar"):
        pytest.skip("bsdtar is missing")
    with (tmp_path / "sparse").open("wb") as stream:
        stream.truncate(1_000_000)
        stream.seek(900_000)
        stream.write(b"x" * 4096)
    command = ["tar", "-cS", "-f", str(path), "sparse"]
    for layout in ("gnu", "pax"):
        subprocess.run([*command, f"--format={layout}"], cwd=tmp_path, check=True)
        root = mount(storage, path, mode="a")
        assert found(root) == {"sparse": "file"}
        assert (root / "sparse").size == 1_000_000
        with pytest.raises(StorageUnsupportedError, match=r"sparse.*type: libarchive"):
            (root / "sparse").read_bytes()
        (root / "other").write_bytes(b"other")
        listed = subprocess.run(["tar", "-tf", str(path)], capture_output=True, check=True)
        assert listed.stdout == b"sparse\nother\n"
        storage.add_mount({"name": "all", "type": "libarchive", "file": str(path)})
        assert storage.node("all:sparse").read_bytes()[900_000:904_096] == b"x" * 4096


def test_by_default_a_tar_is_only_read(storage, path):
    pack_tar(path, [(member("f"), b"f")])
    root = mount(storage, path)
    assert root.capabilities.readonly and not root.capabilities.write
    for change in (
        lambda: (root / "x").write_bytes(b"x"),
        (root / "f").delete,
        root.child("d").mkdir,
    ):
        with pytest.raises(StorageUnsupportedError, match="write `mode: a`"):
            change()
    with pytest.raises(StorageConfigError, match=r"read-only.*write `mode: a`"):
        mount(storage, path, permissions="delete")


def test_a_tar_on_a_read_only_mount_says_so(storage, path):
    pack_tar(path, [(member("f"), b"f")])
    disk = {"name": "disk", "type": "local", "path": str(path.parent), "permissions": "readonly"}
    storage.add_mount(disk)
    storage.add_mount({"name": "box", "type": "tar", "file": f"disk:{path.name}", "mode": "a"})
    with pytest.raises(StorageUnsupportedError, match="lies where nothing can be written"):
        storage.node("box:x").write_bytes(b"x")


def test_many_readers_share_a_spool_and_it_goes_with_the_last(storage, path):
    blocks = {f"{n}.bin": os.urandom(3_000_000) for n in range(4)}
    pack_tar(path, [(member(name), data) for name, data in blocks.items()], "w:gz")
    before = open_spools()
    root = mount(storage, path)
    failures = []

    def work(number):
        try:
            for _ in range(5):
                assert (root / f"{number % 4}.bin").read_bytes() == blocks[f"{number % 4}.bin"]
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(open_spools() - before) == 1
    stream = (root / "0.bin").open("rb")
    stream.read(10)
    replace_whole(path, PACK["gz"](bytes(10240)))
    assert found(root) == {}
    assert stream.read() == blocks["0.bin"][10:]
    stream.close()
    del stream
    gc.collect()
    assert open_spools() == before


def open_spools():
    if not os.path.isdir("/proc/self/fd"):
        pytest.skip("no /proc")
    links = (os.readlink(f"/proc/self/fd/{n}") for n in os.listdir("/proc/self/fd")
             if os.path.islink(f"/proc/self/fd/{n}"))  # fmt: skip
    return {link for link in links if link.startswith(tempfile.gettempdir()) and "deleted" in link}


# -- links --------------------------------------------------------------------------------------


@pytest.fixture
def linked(storage, path):
    """One content under three names, and symbolic links in and out."""
    hard = {"type": tarfile.LNKTYPE}
    soft = {"type": tarfile.SYMTYPE}
    pack_tar(
        path,
        [
            (member("d/one", mode=0o640, uname="me"), b"content"),
            (member("two", linkname="d/one", **hard), b""),
            (member("three", linkname="./d/one", **hard), b""),
            (member("outside", linkname="../../etc/passwd", **hard), b""),
            (member("later", linkname="after", **hard), b""),
            (member("after"), b"after"),
            (member("soft", linkname="d/one", **soft), b""),
            (member("out", linkname="/etc/passwd", **soft), b""),
            (member("dir", linkname="d", **soft), b""),
        ],
    )
    return mount(storage, path, mode="a")


def test_links_lead_to_what_is_inside(linked):
    assert contents(linked) == {
        **dict.fromkeys(("d/one", "two", "three", "soft", "dir/one"), b"content"),
        "after": b"after",
    }
    kinds = found(linked)
    assert [kinds[name] for name in ("outside", "later", "out", "dir")] == [
        "link", "link", "link", "directory",
    ]  # fmt: skip
    assert (linked / "two").size == 7
    for name in ("outside", "later", "out"):
        assert not (linked / name).exists
        with pytest.raises(StorageError):
            (linked / name).read_bytes()


@pytest.mark.parametrize("step", ["delete", "replace", "move", "move tree", "delete tree"])
def test_other_names_keep_the_content_whatever_becomes_of_the_first(linked, path, tmp_path, step):
    first = linked / "d/one"
    if step == "delete":
        first.delete()
    elif step == "replace":
        first.write_bytes(b"replaced")
    elif step == "move":
        first.move_to(linked / "moved")
    elif step == "move tree":
        (linked / "d").move_to(linked / "e")
    else:
        (linked / "d").delete()
    assert (linked / "two").read_bytes() == (linked / "three").read_bytes() == b"content"
    (linked / "two").write_bytes(b"own")
    assert (linked / "three").read_bytes() == b"content"
    for name in ("outside", "later", "out"):
        (linked / name).unlink()
    target = tmp_path / "out"
    target.mkdir()
    subprocess.run(["tar", "-xf", str(path), "-C", str(target)], check=True, capture_output=True)
    assert (target / "three").read_bytes() == b"content"
    assert (target / "two").read_bytes() == b"own"


# -- writing ------------------------------------------------------------------------------------


@pytest.mark.parametrize("compression", ["none", *PACK])
def test_every_compression_is_written(storage, tmp_path, compression):
    path = tmp_path / "archive"
    root = mount(storage, path, create=True, compression=compression)
    (root / "d/f.txt").write_bytes(TEXT)
    (root / "g.txt").write_bytes(b"g")
    (root / "g.txt").delete()
    packed = path.read_bytes()
    plain = packed if compression == "none" else UNPACK[compression](packed)
    assert len(packed) < len(TEXT) or compression == "none"
    assert len(plain) % 10240 == 0
    with tarfile.open(fileobj=io.BytesIO(plain)) as archive:
        assert archive.getnames() == ["d", "d/f.txt"]
        assert archive.extractfile("d/f.txt").read() == TEXT
    # What it is stays what it is, whatever the option says.
    root = mount(storage, path, mode="a", compression="none" if compression == "gz" else "gz")
    (root / "h.txt").write_bytes(b"h")
    assert path.read_bytes()[:3] == packed[:3]


@pytest.mark.parametrize(
    ("name", "start"),
    [("a.tar", b"././@PaxHeader\0"), ("a.tgz", b"\x1f\x8b"), ("a.tar.gz", b"\x1f\x8b"), ("a.TXZ", b"\xfd7zXZ"),
     ("a.tar.bz2", b"BZh"), ("a.tar.zst", b"\x28\xb5\x2f\xfd")],
)  # fmt: skip
def test_the_name_says_how_a_new_archive_is_compressed(storage, tmp_path, name, start):
    root = mount(storage, tmp_path / name, create=True)
    (root / "x").write_bytes(b"x")
    assert (tmp_path / name).read_bytes().startswith(start)


def test_what_stays_keeps_everything(storage, path):
    pax = {"SCHILY.xattr.user.colour": "blue", "comment": "mine"}
    kept = member("kept", mode=0o750, uid=1234, gid=5678, uname="me", gname="us", mtime=1.5)
    kept.pax_headers = pax
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT, pax_headers={"x": "global"}) as archive:
        for info, data in ((member("first"), b"1"), (kept, b"content"), (member("last"), b"2")):
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    root = mount(storage, path, mode="a")
    (root / "first").delete()
    (root / "kept").move_to(root / "moved/kept")
    (root / "last").write_bytes(b"22")
    root._mount.set_mtime("last", 1_000_000_000.25)
    with tarfile.open(path) as archive:
        assert archive.pax_headers == {"x": "global"}
        info = archive.getmember("moved/kept")
        assert (info.mode, info.uid, info.gid) == (0o750, 1234, 5678)
        assert (info.uname, info.gname, info.mtime) == ("me", "us", 1.5)
        assert {key: info.pax_headers[key] for key in pax} == pax
        assert archive.extractfile(info).read() == b"content"
        assert archive.getmember("last").mtime == 1_000_000_000.25
    (root / "moved/kept").write_bytes(b"new content")
    with tarfile.open(path) as archive:
        info = archive.getmember("moved/kept")
        assert (info.mode, info.uid, info.uname) == (0o750, 1234, "me")


@pytest.mark.parametrize("program", ["tar", "bsdtar", "python"])
def test_other_programs_read_what_is_written(storage, path, tmp_path, program):
    if program != "python" and find_program(program) is None:
        pytest.skip(f"{program} is missing")
    root = mount(storage, path, create=True)
    expected = {"a.txt": b"a", "d/\u00fcml\u00e4ut.txt": TEXT, "d/" + "n" * 240: b"long",
                "x/" * 80 + "deep": b"deep"}  # fmt: skip
    for name, data in expected.items():
        (root / name).write_bytes(data)
    (root / "empty").mkdir()
    target = tmp_path / "target"
    target.mkdir()
    if program == "python":
        # The first releases of 3.11 have no filters.
        safely = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
        with tarfile.open(path) as archive:
            archive.extractall(target, **safely)
    else:
        subprocess.run([program, "-xf", str(path), "-C", str(target)], check=True)
    assert {
        str(file.relative_to(target)): file.read_bytes()
        for file in target.rglob("*")
        if file.is_file()
    } == expected
    assert (target / "empty").is_dir()


def test_a_tree_goes_or_moves_in_one_rewrite(storage, path, monkeypatch):
    pack_tar(path, [(member(f"d/{n}"), b"x") for n in range(20)])
    root = mount(storage, path, mode="a")
    counted = []
    swap = TarBackend._swap
    monkeypatch.setattr(
        TarBackend, "_swap", lambda *args, **options: counted.append(1) or swap(*args, **options)
    )
    (root / "d").move_to(root / "e/f")
    assert len(counted) == 1
    assert len((root / "e/f").children()) == 20
    (root / "e").delete()
    assert len(counted) == 2
    assert names_of(path) == []


def test_a_missing_archive_without_create(storage, path):
    root = mount(storage, path)
    with pytest.raises(StorageNotFoundError, match="does not exist"):
        root.children()
    root = mount(storage, path, mode="a")
    (root / "x").write_bytes(b"x")
    assert names_of(path) == ["x"]


def test_an_unknown_compression_is_refused(storage, path):
    with pytest.raises(StorageConfigError, match="unknown; use one of none, gz"):
        mount(storage, path, compression="rar")


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="the standard library has it")
def test_a_missing_package_for_zstd_says_what_to_install(tmp_path):
    path = pack_tar(tmp_path / "a.tar.zst", [(member("f"), b"f")])
    path.write_bytes(PACK["zst"](path.read_bytes()))
    script = f"""
import sys
sys.modules["backports.zstd"] = sys.modules["backports"] = None
from genro_storage import StorageManager, StorageMissingExtraError
storage = StorageManager()
storage.configure([{{"name": "packed", "type": "tar", "file": "{path}"}}])
try:
    storage.node("packed:f").read_bytes()
except StorageMissingExtraError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.stdout.startswith("packed:f: "), done
    assert 'pip install "genro-storage[zstd]"' in done.stdout, done
    assert issubclass(StorageMissingExtraError, ImportError)


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["tar", "tar.gz"])
def test_large_files_pass_in_bounded_memory(tmp_path, suffix):
    script = f"""
import os
from genro_storage import StorageManager
storage = StorageManager()
storage.configure([{{"name": "t", "type": "tar", "file": "{tmp_path}/a.{suffix}", "create": True}}])
block = os.urandom(1 << 20)
with storage.node("t:warm").open("wb") as stream:
    stream.write(block)
before = int(__import__("pathlib").Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
with storage.node("t:big.bin").open("wb") as stream:
    for _ in range(80):
        stream.write(block)
with storage.node("t:big.bin").open("rb") as stream:
    for _ in range(80):
        assert stream.read(1 << 20) == block
print(int(__import__("pathlib").Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) - before)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    unit = 1024 if sys.platform == "linux" else 1
    assert int(done.stdout) * unit < 50 * 1024 * 1024
