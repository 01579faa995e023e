"""What the tests of compatibility share: a test for both writable mounts, and a tree to copy."""

from __future__ import annotations

import pytest

from genro_storage import StorageNode

BOTH = pytest.mark.parametrize("mount", ["disk", "ram"])


def write_tree(node: StorageNode) -> None:
    """Files of two kinds at two depths, one that is usually excluded, and an empty directory."""
    for path in ("a.py", "b.txt", "d/x.py", "d/y.txt", "__pycache__/z.pyc"):
        node.child(path).write_text(path)
    node.child("empty").mkdir()
