"""The guide's backend: six methods pass the suite, registered in code or by an entry point."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from genro_storage import StorageConfigError, StorageManager, register
from genro_storage.registry import unregister
from genro_storage.testing import BackendConformance

GUIDE = Path(__file__).resolve().parents[2] / "docs/guides/custom_backend.py"
_USE = """
from genro_storage import StorageManager
with StorageManager() as storage:
    storage.configure([{"name": "mine", "type": "dict"}])
    storage.node("mine:a/b.txt").write_text("published")
    print([child.path for child in storage.node("mine:a").children()])
    print(storage.node("mine:a/b.txt").read_text())
"""


@pytest.fixture(scope="module")
def guide():
    spec = importlib.util.spec_from_file_location("custom_backend_of_the_guide", GUIDE)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


@pytest.fixture(scope="class")
def registered(guide):
    register(guide.BACKEND)
    yield guide
    unregister("dict")


class TestDict(BackendConformance):
    child_setup = (
        f"import runpy; from genro_storage import register; "
        f"register(runpy.run_path({str(GUIDE)!r})['BACKEND'])"
    )

    @pytest.fixture
    def mount_config(self, registered):
        return {"type": "dict"}


def test_the_guide_writes_only_the_six_methods(guide):
    from genro_storage.backends.base import Backend

    written = {name for name in vars(guide.DictBackend) if not name.startswith("_")}
    assert written - {"capabilities"} == Backend.__abstractmethods__


def test_an_unpublished_type_is_unknown():
    with pytest.raises(StorageConfigError, match="Unknown storage type 'dict'"):
        StorageManager().configure([{"name": "mine", "type": "dict"}])


def test_an_installed_package_publishes_its_type_by_an_entry_point(tmp_path):
    shutil.copy(GUIDE, tmp_path / "dict_storage.py")
    metadata = tmp_path / "dict_storage-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: dict-storage\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(
        "[genro_storage.backends]\ndict = dict_storage:BACKEND\n"
    )
    search = [str(tmp_path), *filter(None, sys.path)]
    done = subprocess.run(
        [sys.executable, "-P", "-c", _USE],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(search)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stderr == ""
    assert done.stdout.splitlines() == ["['a/b.txt']", "published"]
