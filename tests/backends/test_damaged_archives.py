"""Archives with a wrong byte or without their end: the right content, or an error that says so."""

from __future__ import annotations

import os
import re
import tarfile

import pytest

from genro_storage import StorageError, StorageIOError, StorageManager, StorageNotFoundError
from tests.support.archives import pack_tar
from tests.support.damage import CONTENTS, PACKERS, UNCHECKED, mount_kind, packed, variants

pytestmark = pytest.mark.slow

#: Run more of them by hand, or others.
COUNT = int(os.environ.get("GENRO_STORAGE_DAMAGE", "240"))
SEED = int(os.environ.get("GENRO_STORAGE_DAMAGE_SEED", "1"))
#: What a wrong byte can say that is no damage as far as anybody can see: the error names the option
#: that would let it pass, or what the archive seems to be.
PLAUSIBLE = (
    r"'max_(size|ratio|entries)'|'password'|several parts|method \d+|sparse|more data follows|empty"
)
SAYS_SO = re.compile(r"damaged|cut short|no (zip|tar) archive|" + PLAUSIBLE)


@pytest.fixture(params=PACKERS)
def kind(request):
    if mount_kind(request.param) == "libarchive":
        pytest.importorskip("libarchive")
    return request.param


@pytest.fixture
def storage():
    with StorageManager() as manager:
        yield manager


def mount(storage, kind, path, mode="r"):
    found = mount_kind(kind)
    options = {} if found == "libarchive" else {"mode": mode}
    storage.add_mount({"name": "packed", "type": found, "file": str(path), **options})
    return storage.node("packed:")


def whole(node):
    return node.read_bytes()


def in_parts(node):
    with node.open("rb") as stream:
        return b"".join(iter(lambda: stream.read(777), b""))


def from_the_middle(node):
    """Reading on after a jump, and from the start again."""
    with node.open("rb") as stream:
        stream.seek(node.size // 2)
        tail = stream.read()
        stream.seek(0)
        content = b"".join(iter(lambda: stream.read(5000), b""))
    assert content.endswith(tail)
    return content


def copied(node, to):
    node.copy_to(to)
    return to.read_bytes()


def said(error, label):
    """Whether an error names the node and says what is wrong."""
    text = str(error)
    return f"{label}" in text and (
        isinstance(error, StorageNotFoundError) or SAYS_SO.search(text) is not None
    )


def test_a_damaged_archive_is_read_right_or_says_so(storage, tmp_path, kind):
    archive = tmp_path / "a"
    original = packed(kind, archive)
    target = storage.add_mount(
        {"name": "disk", "type": "local", "path": str(tmp_path / "out"), "create": True}
    ) or storage.node("disk:copy")
    ways = (whole, in_parts, from_the_middle, lambda node: copied(node, target))
    errors = 0
    for number, (what, data) in enumerate(variants(original, COUNT, SEED)):
        archive.write_bytes(data)
        root = mount(storage, kind, archive)
        try:
            listed = {info.path for info in root._mount.find("") if info.type == "file"}
        except StorageError as error:
            assert said(error, "packed:"), (what, error)
            errors += 1
            continue
        for path, expected in CONTENTS.items():
            if path not in listed:
                continue
            node = root / path
            target.delete()
            try:
                content = ways[number % len(ways)](node)
            except StorageError as error:
                assert said(error, "packed:"), (what, path, error)
                assert not target.exists, (what, path)
                errors += 1
            else:
                if kind not in UNCHECKED:
                    assert content == expected, (what, path)
    assert errors > COUNT // 10
    archive.write_bytes(original)
    root = mount(storage, kind, archive)
    for path, expected in CONTENTS.items():
        for way in ways:
            assert way(root / path) == expected


def moved(path, change):
    """Where a file is after that change; None where it is gone."""
    if change == 1 and path == "d/text.txt":
        return "new"
    if change == 2 and path == "noise.bin":
        return None
    return "new" + path[1:] if change == 3 and path.startswith("d/") else path


def test_a_change_of_a_damaged_archive_makes_no_damage_worse(storage, tmp_path, kind):
    """It fails and leaves every byte; or it is made, and what could be read still can be."""
    if mount_kind(kind) == "libarchive":
        return
    archive = tmp_path / "a"
    changes = (
        lambda root: (root / "new").write_bytes(b"new"),
        lambda root: (root / "d/text.txt").move_to(root / "new"),
        lambda root: (root / "noise.bin").delete(),
        lambda root: (root / "d").move_to(root / "new"),
        lambda root: (root / "noise.bin")._mount.set_mtime("noise.bin", 1_600_000_000),
    )

    def readable(root):
        found = {}
        for info in root._mount.find(""):
            if info.type == "file":
                try:
                    found[info.path] = root._mount.read_bytes(info.path)
                except StorageError as error:
                    found[info.path] = type(error)
        return found

    failed = 0
    for number, (what, data) in enumerate(variants(packed(kind, archive), COUNT, SEED)):
        archive.write_bytes(data)
        root = mount(storage, kind, archive, "a")
        try:
            before = readable(root)
        except StorageError:
            before = None
        try:
            changes[number % len(changes)](root)
        except StorageError as error:
            assert said(error, "packed:"), (what, error)
            assert archive.read_bytes() == data, what
            assert [each.name for each in tmp_path.iterdir()] == ["a"], what
            failed += 1
            continue
        if before is None:
            assert data == b"", what  # an archive of nothing, to a writer
            continue
        after = readable(root)
        for path, content in before.items():
            now = moved(path, number % len(changes))
            if now is not None:
                assert after[now] == content, (what, path)
    assert failed > COUNT // 10


def test_a_tar_header_that_was_overwritten_with_zeros_is_not_the_end(storage, tmp_path):
    archive = tmp_path / "a"
    data = bytearray(packed("tar", archive))
    second = data.index(b"noise.bin\0")
    data[second : second + 512] = bytes(512)
    archive.write_bytes(data)
    with pytest.raises(StorageIOError, match=r"packed:.*is damaged: a header is lost"):
        mount(storage, "tar", archive).children()


def test_one_block_of_zeros_may_be_the_end_of_a_tar_archive(storage, tmp_path):
    """As for tar and Python; but what follows it is not lost by writing."""
    archive = tmp_path / "a"
    data = packed("tar", archive).rstrip(b"\0")
    archive.write_bytes(data + bytes(-len(data) % 512 + 512) + b"what the tape had before" * 400)
    root = mount(storage, "tar", archive, "a")
    assert (root / "d/text.txt").read_bytes() == CONTENTS["d/text.txt"]
    with pytest.raises(StorageError, match="more data follows the end mark"):
        (root / "new.txt").write_bytes(b"new")


@pytest.mark.parametrize("change", ["move", "time"])
@pytest.mark.parametrize("place", [0, 6, 8, 26, 30])
def test_a_new_header_does_not_hide_that_the_old_one_is_damaged(storage, tmp_path, change, place):
    archive = tmp_path / "a"
    data = bytearray(packed("zip deflate", archive))
    data[place] ^= 1
    archive.write_bytes(data)
    node = mount(storage, "zip", archive, "a") / "d/text.txt"
    with pytest.raises(StorageIOError, match=r"packed:.*is damaged"):
        if change == "move":
            node.move_to(node.parent / "new.txt")
        else:
            node._mount.set_mtime(node.path, 1_600_000_000)
    assert archive.read_bytes() == data
    with pytest.raises(StorageIOError, match=r"is damaged"):
        node.read_bytes()


def test_an_entry_that_says_to_be_empty_and_is_not(storage, tmp_path):
    archive = tmp_path / "a"
    data = bytearray(packed("zip xz", archive))
    size = data.index(b"PK\1\2", data.index(b"PK\1\2", data.index(b"PK\1\2") + 1) + 1) + 24
    assert data[size] == 1
    data[size] = 0
    archive.write_bytes(data)
    node = mount(storage, "zip", archive) / "d/e/one"
    for way in (whole, in_parts):
        with pytest.raises(StorageIOError, match=r"packed:d/e/one.*is damaged"):
            way(node)


def test_a_tar_header_that_cannot_be_written_again_is_damaged(storage, tmp_path):
    archive = tmp_path / "a.tar"
    info = tarfile.TarInfo("a")
    info.pax_headers = {"comment": "c"}
    pack_tar(archive, [(info, b"")])
    archive.write_bytes(archive.read_bytes().replace(b"comment=", b"comm\xffnt="))
    before = archive.read_bytes()
    root = mount(storage, "tar", archive, "a")
    with pytest.raises(StorageIOError, match=r"packed:a.*the header of the entry 'b' is damaged"):
        (root / "a").move_to(root / "b")
    assert archive.read_bytes() == before
