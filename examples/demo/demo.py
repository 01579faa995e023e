"""Copy this repository's own files between three mounts, twice, and prove that all are equal.

``make demo`` runs it. The mounts stand in ``mounts.yaml`` beside this file; the backup goes to the
directory ``GENRO_DEMO_DATA``, or to a new temporary one (a tree cannot be copied into itself). The
second run finds the same content everywhere and copies nothing.
"""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from genro_storage import StorageManager, StorageNode

# What git, tools and this program generate is not part of the tree.
GENERATED = [
    *(".git", ".venv*", "demo-data", "build", "dist", "*.egg-info", "_build", "htmlcov"),
    *("__pycache__", ".*_cache", ".hypothesis", ".benchmarks", ".coverage*", "coverage.xml"),
]
# A pattern is matched against the path inside the tree, where ``*`` also matches ``/``.
EXCLUDE = [
    pattern for name in GENERATED for pattern in (name, f"*/{name}", f"{name}/*", f"*/{name}/*")
]


def copy(console: Console, source: StorageNode, target: StorageNode) -> Counter[str]:
    """Copy what differs; how many files were copied, and skipped for which reason."""
    counts: Counter[str] = Counter(copied=0)

    def skipped(node: StorageNode, reason: str) -> None:
        if not reason.startswith("matching exclude"):
            counts[reason.partition(" (")[0]] += 1

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=console) as bar:
        task = bar.add_task(f"{source} -> {target}", total=None)
        source.copy_to(
            target,
            exclude=EXCLUDE,
            skip="hash",
            progress=lambda current, total: bar.update(task, completed=current, total=total),
            on_file=lambda node: counts.update(copied=1),
            on_skip=skipped,
        )
    return counts


def sentence(counts: Counter[str]) -> str:
    """``0 copied, 214 skipped (same content)``."""
    reasons = {reason: count for reason, count in counts.items() if reason != "copied"}
    total = sum(reasons.values())
    why = f" ({', '.join(reasons)})" if reasons else ""
    return f"{counts['copied']} copied, {total} skipped{why}"


def files_below(node: StorageNode) -> Iterator[StorageNode]:
    """All files of the tree, without what is generated."""
    for child in node.children():
        if any(fnmatch(child.basename, name) for name in GENERATED):
            continue
        if child.isdir:
            yield from files_below(child)
        else:
            yield child


def tree_digest(node: StorageNode) -> str:
    """One SHA-256 over the names and contents of a tree: equal where the trees are equal."""
    total = hashlib.sha256()
    files = {file.path[len(node.path) :].strip("/"): file for file in files_below(node)}
    for name, file in sorted(files.items(), key=lambda item: item[0]):
        total.update(f"{name}\0{file.digest('sha256')}\n".encode())
    return total.hexdigest()


def main() -> int:
    """Run the demonstration; 0 where everything turned out as it should."""
    console = Console(highlight=False, soft_wrap=True)
    if "GENRO_DEMO_DATA" not in os.environ:
        os.environ["GENRO_DEMO_DATA"] = tempfile.mkdtemp(prefix="genro-storage-demo-")
    with StorageManager() as storage:
        storage.configure(Path(__file__).with_name("mounts.yaml"))
        console.print(f"mounts: {', '.join(storage.get_mount_names())}")
        console.print(f"backup: is {os.environ['GENRO_DEMO_DATA']}/backup")
        source = storage.node("repository:")
        targets = [storage.node("backup:files"), storage.node("memory:files")]
        for target in targets:
            target.delete()

        copied_again = 0
        for run in ("first run", "second run"):
            for target in targets:
                counts = copy(console, source, target)
                console.print(f"{run}: {source} -> {target}: {sentence(counts)}")
                if run == "second run":
                    copied_again += counts["copied"]

        archive = storage.node("backup:files.zip")
        archive.write_bytes(storage.node("memory:files").zip())
        console.print(f"archive: {archive}, {archive.size} bytes")

        digests = {node.fullpath: tree_digest(node) for node in (source, *targets)}
        for name, digest in digests.items():
            console.print(f"sha256 of the tree {digest}  {name}")

    if copied_again or len(set(digests.values())) != 1:
        console.print("[bold red]the copies differ from the source")
        return 1
    console.print("all equal")
    return 0


if __name__ == "__main__":
    sys.exit(main())
