"""Other processes: nodes travel by pickle, and a killed writer leaves nothing half done."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from .ground import Ground, names_in

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..manager import StorageManager
    from ..node import StorageNode

__all__ = ["ProcessConformance"]

_CHILD = Path(__file__).with_name("child.py")


class ProcessConformance(Ground):
    """What survives the way into another process, and the end of one."""

    #: How many writers are killed, each at a moment of its own.
    kills: ClassVar[int] = 10

    def _child(self, job: str, **request: Any) -> subprocess.Popen[bytes]:
        """Start ``child.py`` and hand it its request; the rest is between test and child."""
        child = subprocess.Popen(
            [sys.executable, "-P", str(_CHILD)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
        assert child.stdin is not None
        pickle.dump({"job": job, "setup": self.child_setup, **request}, child.stdin)
        child.stdin.flush()
        return child

    def test_manager_and_node_travel_to_another_process(
        self, storage: StorageManager, mount_config: Mapping[str, Any]
    ) -> None:
        node = self.put(storage.node("mine:travelled [1].txt"), b"the same")
        try:
            pickle.dumps(dict(mount_config))
        except Exception as error:  # noqa: BLE001 - pickle raises whatever the objects raise
            pytest.skip(f"the mount's configuration cannot be pickled: {error}")
        with self._child("rebuild", pickled=pickle.dumps((storage, node))) as child:
            output, errors = child.communicate(timeout=60)
        assert child.returncode == 0 and not errors, errors.decode(errors="replace")
        names, fullpath, content = pickle.loads(output)
        assert names == storage.get_mount_names()
        assert fullpath == node.fullpath
        # What lives in the memory of this process only cannot be seen from another.
        assert content == (None if node.capabilities.temporary else b"the same")

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
    def test_a_killed_writer_leaves_the_old_content_or_the_new(
        self,
        root: StorageNode,
        mount_config: Mapping[str, Any],
        holders: list[dict[str, Any]],
    ) -> None:
        capabilities = root.capabilities
        if not capabilities.atomic_operations:
            pytest.skip("the backend does not declare 'atomic_operations'")
        if capabilities.temporary:
            pytest.skip("the backend declares 'temporary': its content ends with the process")
        contents = [letter * size for letter, size in ((b"A", 700_001), (b"B", 300_007))]
        node = root / "d/killed.bin"
        node.write_bytes(contents[0])
        (root / "d/beside.txt").write_bytes(b"beside")
        mounts = [*holders, {"name": "mine", **mount_config}]
        if root._mount.name == "inner":
            mounts.append({"name": "inner", "path": f"mine:{self._narrow_to}"})
        request = {"mounts": mounts, "node": node.fullpath, "contents": contents}
        with self._child("kill", **request) as child:
            assert child.stdin is not None and child.stdout is not None
            for _ in range(self.kills):
                child.stdin.write(b"?")
                child.stdin.flush()
                if child.stdout.read(1) != b"!":
                    break
                self._check(root, node, contents)
            child.stdin.close()
            assert child.stderr is not None
            errors = child.stderr.read().decode(errors="replace")
        assert child.returncode == 0 and not errors, errors

    @staticmethod
    def _check(root: StorageNode, node: StorageNode, contents: list[bytes]) -> None:
        assert node.read_bytes() in [*contents, b"next"]  # "next": killed before its first commit
        if root.capabilities.list_dir:
            assert names_in(node.parent) == ["beside.txt", "killed.bin"]
        node.write_bytes(b"next")
        assert node.read_bytes() == b"next"
        assert (root / "d/beside.txt").read_bytes() == b"beside"
