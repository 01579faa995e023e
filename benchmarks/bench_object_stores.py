"""Object stores: the library beside raw obstore, fsspec's filesystem and the service's own library.

``python benchmarks/bench_object_stores.py [--server moto|rclone|azurite|fake-gcs] [--small]
[--only small|large] [--peers NAME,NAME] [--scale N] [--rounds N]``: ``--small`` is a few objects
only, to see that it runs, and ``--scale 4`` a quarter of the objects, for a server that is slow.
Each contestant is a process of its own, so that nobody's threads and memory are another's; all take
turns. Ratios are to the first: raw obstore, and on fake-gcs, which obstore cannot write to, Google's
library.

The server keeps its files below ``TMPDIR``, where the large file is, too: in memory (``/dev/shm``)
the disk is no part of what is measured, whose writing back doubles single rounds otherwise.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]

from cloud_peers import AZURE, GCS
from harness import MIB, Contestant, compare, machine, obey
from object_peers import PEERS, Server

from tests.services.azure import AzuriteOnDisk
from tests.services.gcs import FakeGcs
from tests.services.s3 import BUCKET, KEY, SECRET, Moto, RcloneS3

if TYPE_CHECKING:
    from collections.abc import Sequence

    from object_peers import Peer

    from tests.services.base import Service


class Place(NamedTuple):
    """A server to race on, and who can."""

    service: type[Service]
    peers: dict[str, type[Peer]]
    #: What the contestants are told of it, when it runs at that port.
    server: Callable[[int], Server]


def _on_s3(port: int) -> Server:
    return Server(f"http://127.0.0.1:{port}", BUCKET, KEY, SECRET)


def _on_azure(port: int) -> Server:
    kind = AzuriteOnDisk
    return Server(f"http://127.0.0.1:{port}/{kind.account}", kind.container, kind.account, kind.key)


def _on_gcs(port: int) -> Server:
    return Server(f"http://127.0.0.1:{port}", FakeGcs.bucket)


PLACES: dict[str, Place] = {
    "moto": Place(Moto, PEERS, _on_s3),
    "rclone": Place(RcloneS3, PEERS, _on_s3),
    "azurite": Place(AzuriteOnDisk, AZURE, _on_azure),
    "fake-gcs": Place(FakeGcs, GCS, _on_gcs),
}


class Worker:
    """The steps, in the child."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer

    def hello(self) -> None:
        """All is imported and connected: that is not what is measured."""
        assert not self.peer.exists("nothing")

    def up(self, keys: Sequence[str], size: int) -> None:
        self.peer.put_all(keys, b"x" * size)

    def down(self, keys: Sequence[str], size: int) -> None:
        assert self.peer.get_all(keys) == len(keys) * size

    def ask(self, keys: Sequence[str], size: int) -> None:
        assert self.peer.ask_all(keys) == len(keys) * size

    def at_once(self, keys: Sequence[str], size: int) -> None:
        assert self.peer.read_at_once(keys) == len(keys) * size

    def remove(self, key: str) -> None:
        self.peer.remove(key)

    def upload(self, source: str, key: str) -> None:
        self.peer.upload(source, key)

    def download(self, key: str, target: str, size: int) -> None:
        self.peer.download(key, target)
        assert Path(target).stat().st_size == size
        Path(target).unlink()


Start = Callable[[str], Contestant]


class Race(NamedTuple):
    """Who races, and how much of it; ``reference`` is whom the others are measured against."""

    peers: Sequence[str]
    reference: str
    start: Start
    small: bool
    scale: int
    rounds: int


def small_objects(race: Race) -> None:
    """Many small objects up and down, questions one after the other, reads all at once."""
    size = 4096
    counts = (20, 5, 20) if race.small else (2_000, 300, 1_000)
    many, asked, at_once = (max(1, count // race.scale) for count in counts)
    with contextlib.ExitStack() as stack:
        started = {name: stack.enter_context(race.start(name)) for name in race.peers}

        def run(title: str, step: str, count: int) -> None:
            # Everybody works on objects of their own.
            contestants = {
                name: functools.partial(
                    each.do, step, keys=[f"{name}/k{n}" for n in range(count)], size=size
                )
                for name, each in started.items()
            }
            compare(title, contestants, rounds=race.rounds)

        run(f"{many:,} objects of 4 KiB up, 16 threads", "up", many)
        run(f"{many:,} objects of 4 KiB down, 16 threads", "down", many)
        run(f"{asked} x (exists, size, read)", "ask", asked)
        run(f"{at_once:,} reads at once, async", "at_once", at_once)


def large_object(race: Race, directory: Path) -> None:
    """One large object up and down, and what memory that takes."""
    count = 8 if race.small else 1024 // race.scale
    size, word = count * MIB, "1 GiB" if count == 1024 else f"{count} MiB"
    source = directory / "large.bin"
    with source.open("wb") as sink:
        for number in range(size // MIB):
            sink.write(number.to_bytes(4, "big") * (MIB // 4))
    peaks: dict[str, dict[str, float]] = {}

    def run(step: str, before: Callable[[], object], **arguments: Any) -> None:
        fresh: dict[str, Contestant] = {}

        def go(name: str) -> None:
            # A new process, whose peak is that of this step.
            contestant = fresh.pop(name)
            contestant.do(step, **arguments)
            peaks.setdefault(step, {})[name] = contestant.peak

        with contextlib.ExitStack() as stack:

            def renew() -> None:
                before()
                for name in race.peers:
                    if name not in fresh:
                        fresh[name] = stack.enter_context(race.start(name))

            contestants = {name: functools.partial(go, name) for name in race.peers}
            compare(f"{word}, {step}", contestants, rounds=race.rounds, before=renew, warm=False)

    with race.start(race.reference) as janitor:
        # What is uploaded is new: rclone reads all of an old one when it is looked at.
        remove = functools.partial(janitor.do, "remove", key="large.bin")
        run("upload", remove, source=str(source), key="large.bin")
    target = str(directory / "got.bin")
    run("download", lambda: None, key="large.bin", target=target, size=size)
    print("\npeak memory of the process, MiB  (upload, download)")
    for name in race.peers:
        print(f"  {name:<34} {peaks['upload'][name]:9.0f} {peaks['download'][name]:9.0f}")


def main() -> None:
    """Start the server, race, and stop it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--server", choices=tuple(PLACES), default="moto")
    parser.add_argument("--small", action="store_true", help="a few objects only")
    parser.add_argument("--scale", type=int, default=1, help="how many times fewer objects")
    parser.add_argument("--rounds", type=int, default=3, help="how often each takes its turn")
    parser.add_argument("--only", choices=("small", "large"), help="one kind of objects")
    parser.add_argument("--peers", help="names, separated by commas")
    parser.add_argument("--worker", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.worker:
        name, where, told = given.worker
        obey(Worker(PLACES[where].peers[name](Server(*json.loads(told)))))
        return
    place = PLACES[given.server]
    peers = []
    print(machine(), f"server: {given.server}", sep=", ")
    for name in given.peers.split(",") if given.peers else place.peers:
        if name not in place.peers:
            sys.exit(f"there is no {name!r} for {given.server}, but: {', '.join(place.peers)}")
        if place.peers[name].is_there():
            peers.append(name)
        else:
            print(f"without {name}: install it with: {place.peers[name].install}")
    with tempfile.TemporaryDirectory(prefix="genro-bench-") as text:
        missing = place.service.missing()
        if missing is not None:
            sys.exit(f"{missing}; install it with: {place.service.install}")
        service = place.service(Path(text) / "server").start()
        told = json.dumps(place.server(service.port))

        def start(name: str) -> Contestant:
            command = [sys.executable, __file__, "--worker", name, given.server, told]
            return Contestant(name, command)

        try:
            rounds = 1 if given.small else given.rounds
            reference = next(iter(place.peers))
            race = Race(peers, reference, start, given.small, given.scale, rounds)
            if given.only != "large":
                small_objects(race)
            if given.only != "small":
                large_object(race, Path(text))
        finally:
            service.stop()


if __name__ == "__main__":
    main()
