"""One tree with awkward names, from every kind of storage to every kind that can be written."""

from __future__ import annotations

import pytest

from genro_storage import StorageManager
from genro_storage.testing import AWKWARD_NAMES
from tests.support.peers import PEERS, READABLE, WRITABLE

pytestmark = [pytest.mark.services, pytest.mark.slow]

_DEEP = "deep [1]/a b/%41/"


def tree(*peers):
    """Every name that all of them can hold, at the top and three directories down; and sizes."""
    names = [name for name in AWKWARD_NAMES if all(PEERS[peer].holds(name) for peer in peers)]
    files = {name: f"content of {name!r}".encode() for name in names}
    for name in names[::4]:
        files[_DEEP + name] = b"deep " + name.encode()
    files["empty.bin"] = b""
    files["sub/large.bin"] = bytes(range(256)) * 8192  # more than one buffer, less than a second
    return files


def read(node):
    """Every file below a directory."""
    return {
        info.path: node.child(info.path).read_bytes()
        for info in node._mount.find("")
        if info.type == "file"
    }


@pytest.mark.parametrize("target", WRITABLE)
@pytest.mark.parametrize("source", READABLE)
def test_a_tree_arrives_whole_and_a_second_copy_skips_it(source, target, request, tmp_path):
    files = tree(source, target)
    assert len(files) > 20
    with StorageManager() as storage:
        below = PEERS[source].mount_source(storage, request, tmp_path, files)
        storage.configure(
            [
                {"name": "target", **PEERS[target].target(request, tmp_path)},
                {"name": "from", "path": f"source:{below}", "permissions": "readonly"},
                {"name": "to", "path": "target:to"},
            ]
        )
        here, there = storage.node("from:"), storage.node("to:")
        first = here.plan_copy(there, skip="hash").apply()
        assert (first.copied, first.skipped, first.failed) == (len(files), 0, 0)
        assert read(there) == files
        second = here.plan_copy(there, skip="hash").apply()
        assert (second.copied, second.skipped, second.failed) == (0, len(files), 0)
        assert read(there) == files
        assert read(here) == files
