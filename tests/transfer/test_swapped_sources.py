"""What becomes of a file between its listing and its copy: a link that leads out, a pipe, a longer one."""

from __future__ import annotations

import io
import os

import pytest

from genro_storage import CopyPlan, StorageManager
from genro_storage.exceptions import StoragePermissionError
from tests.services.interrupted import within
from tests.support.peers import PEERS

MIB = 1024 * 1024
#: Bytes of files that go by all ways: whole, in blocks, in parts that can be resumed.
SIZES = [10, 2 * MIB, 34 * MIB]
SECRET = b"TOP SECRET"


@pytest.fixture(params=["local", "memory", "fsspec", "s3"])
def target(request, tmp_path):
    if request.param == "s3":
        request.applymarker(pytest.mark.services)
    return PEERS[request.param].target(request, tmp_path)


@pytest.fixture(params=["local", "fsspec"])
def places(request, target, tmp_path):
    """A manager of ``src`` and ``dst``, and the directory of the former."""
    root = tmp_path / "source"
    (root / "d").mkdir(parents=True)
    source = {"type": "local", "path": str(root)}
    if request.param == "fsspec":
        source = {"type": "fsspec", "filesystem": "file", "path": str(root)}
    with StorageManager() as storage:
        storage.configure([{"name": "src", **source}, {"name": "dst", **target}])
        yield storage, root


def link_out(path, tmp_path, size):
    secret = tmp_path / "secret"
    secret.write_bytes(SECRET.ljust(size, b"!"))
    path.unlink()
    path.symlink_to(secret)


def link_above(path, tmp_path, size):
    """The directory is another one by now."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / path.name).write_bytes(SECRET.ljust(size, b"!"))
    path.parent.rename(tmp_path / "away")
    path.parent.symlink_to(tmp_path / "outside")


def pipe(path, tmp_path, size):
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize("swap", [link_out, link_above, pipe])
@pytest.mark.parametrize("size", SIZES)
def test_what_has_taken_the_place_of_a_listed_file_is_not_followed(places, tmp_path, swap, size):
    storage, root = places
    for name in "ab":
        (root / "d" / name).write_bytes(bytes(size))
    swapped = []

    def after_the_first(node):
        if not swapped:
            other = "b" if node.path.endswith("a") else "a"
            swapped.append(other)
            swap(root / "d" / other, tmp_path, size)

    with pytest.raises(StoragePermissionError), within(20):
        storage.node("src:").copy_to("dst:", on_file=after_the_first, concurrency=1)
    assert not storage.node(f"dst:d/{swapped[0]}").exists


def test_a_plan_file_leads_nowhere_else(places, tmp_path):
    storage, root = places
    (root / "d/a").write_bytes(bytes(2 * MIB))
    written = io.StringIO()
    storage.node("src:").plan_copy("dst:").dump(written)
    link_out(root / "d/a", tmp_path, 2 * MIB)
    written.seek(0)
    with pytest.raises(StoragePermissionError):
        CopyPlan.load(written, storage).apply()
    assert not storage.node("dst:d/a").exists


def test_a_file_that_has_grown_since_its_listing_is_counted_as_it_is(places):
    storage, root = places
    (root / "d/a").write_bytes(bytes(2 * MIB))
    plan = storage.node("src:").plan_copy("dst:")
    written = io.StringIO()
    plan.dump(written)
    (root / "d/a").write_bytes(bytes(3 * MIB))
    os.utime(root / "d/a", (1_000_000_000, 1_000_000_000))
    written.seek(0)
    report = CopyPlan.load(written, storage).apply()
    assert (report.copied, report.bytes_copied) == (1, 3 * MIB)
    assert storage.node("dst:d/a").size == 3 * MIB
