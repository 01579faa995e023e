"""Local files: the library beside pathlib, shutil, ``cp`` and fsspec, in one run.

``python benchmarks/bench_local.py [DIRECTORY]``: the directory (default: the system's temporary
one) decides which file system is measured.
"""

from __future__ import annotations

import itertools
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import fsspec
from harness import compare, machine

from genro_storage import StorageManager

SMALL_FILES = 2250  # four calls each: 9,000 calls
TREE_FILES = 3000


def small_operations(root: Path) -> None:
    """node, exists, size, read_bytes: 9,000 calls."""
    folder = root / "small"
    folder.mkdir()
    for number in range(SMALL_FILES):
        (folder / f"f{number}.txt").write_bytes(b"x" * 1000)
    storage = StorageManager()
    storage.configure([{"name": "home", "type": "local", "path": str(root)}])
    filesystem = fsspec.filesystem("file", skip_instance_cache=True)

    def by_pathlib() -> None:
        for number in range(SMALL_FILES):
            path = root / f"small/f{number}.txt"
            path.exists()
            path.stat()
            path.read_bytes()

    def by_node() -> None:
        for number in range(SMALL_FILES):
            node = storage.node(f"home:small/f{number}.txt")
            assert node.exists
            assert node.size == 1000
            node.read_bytes()

    def by_fsspec() -> None:
        for number in range(SMALL_FILES):
            name = f"{root}/small/f{number}.txt"
            filesystem.exists(name)
            filesystem.size(name)
            filesystem.cat_file(name)

    compare(
        "9,000 calls: node, exists, size, read_bytes",
        {"pathlib": by_pathlib, "genro_storage": by_node, "fsspec local": by_fsspec},
    )


def tree_copy(root: Path) -> None:
    """A tree of 3,000 files of 20 KB, copied to a new place; then again with nothing to do."""
    source = root / "tree"
    for number in range(TREE_FILES):
        folder = source / f"d{number // 100}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"f{number}.bin").write_bytes(number.to_bytes(4, "big") * 5000)
    storage = StorageManager()
    storage.configure(
        [
            {"name": "home", "type": "local", "path": str(root)},
            {"name": "other", "type": "local", "path": str(root / "other"), "create": True},
        ]
    )
    fresh = map(str, itertools.count())

    # Every run has a target of its own: files that were just deleted slow ext4 down for seconds.
    compare(
        "copy a tree of 3,000 x 20 KB",
        {
            "shutil.copytree": lambda: shutil.copytree(source, root / f"copytree{next(fresh)}"),
            "genro_storage, one mount": lambda: storage.node("home:tree").copy_to(
                f"home:one{next(fresh)}"
            ),
            "genro_storage, two mounts": lambda: storage.node("home:tree").copy_to(
                f"other:two{next(fresh)}"
            ),
            "cp -r": lambda: subprocess.run(
                ["cp", "-r", source, root / f"cp{next(fresh)}"], check=True
            ),
        },
    )
    storage.node("home:tree").copy_to("other:again")
    compare(
        "the same tree again, nothing changed",
        {
            f"genro_storage, skip={skip}": lambda skip=skip: storage.node("home:tree").copy_to(
                "other:again", skip=skip
            )
            for skip in ("exists", "size", "hash")
        },
    )


def import_time() -> None:
    """A fresh interpreter, with and without the import."""

    def run(code: str) -> None:
        subprocess.run([sys.executable, "-c", code], check=True)

    medians = compare(
        "start of the interpreter",
        {
            "bare": lambda: run("pass"),
            "import genro_storage": lambda: run("import genro_storage"),
            "from genro_storage import StorageManager": lambda: run(
                "from genro_storage import StorageManager"
            ),
        },
        rounds=11,
    )
    extra = (medians["import genro_storage"] - medians["bare"]) * 1000
    print(f"  import genro_storage adds {extra:.1f} ms")


def main() -> None:
    """Run all of them in a directory that goes away afterwards."""
    print(machine())
    import_time()
    base = sys.argv[1] if len(sys.argv) > 1 else None
    with tempfile.TemporaryDirectory(prefix="genro-bench-", dir=base) as name:
        small_operations(Path(name))
        tree_copy(Path(name))


if __name__ == "__main__":
    main()
