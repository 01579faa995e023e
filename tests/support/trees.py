"""Small trees on small mounts, for the tests of copying."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genro_storage.backends.local import LocalBackend
from genro_storage.backends.memory import MemoryBackend
from genro_storage.capabilities import BackendCapabilities
from genro_storage.mount import Mount

if TYPE_CHECKING:
    from pathlib import Path

TREE = {"a.txt": b"a", "d/b.py": b"bb", "d/e/c.txt": b"ccc", "d-/f": b""}


def fill(mount: Mount, path: str, tree: dict[str, bytes]) -> None:
    for relpath, content in tree.items():
        mount.write_bytes(f"{path}/{relpath}" if path else relpath, content)


def content(mount: Mount, path: str) -> dict[str, bytes]:
    start = len(path) + 1 if path else 0
    return {
        info.path[start:]: mount.read_bytes(info.path) if info.is_file else b"<dir>"
        for info in mount.find(path)
        if info.is_file or not any(True for _ in mount.scan(info.path))
    }


class Streaming(MemoryBackend):
    """A store that offers nothing but the six essential methods' way of copying."""

    capabilities = BackendCapabilities(temporary=True)


def make(kind: str, name: str, where: Path) -> Mount:
    if kind == "local":
        (where / name).mkdir()
        return Mount(name, LocalBackend(where / name))
    return Mount(name, {"memory": MemoryBackend, "streaming": Streaming}[kind]())
