"""Moving trees: the library beside rclone, raw obstore, s3fs, boto3, cloudpathlib, copytree and cp.

``python benchmarks/bench_transfer.py [--server rclone|moto] [--small] [--only ROW,ROW] [--scale N]
[--rounds N]``: ``--small`` is a few files only, to see that it runs, and ``--scale 4`` a quarter of
everything, for a server that is slow. All take turns in each row; ratios are to the first,
this library. At the end stands what the project has set itself, reached or missed.

Each contestant is a process that has imported its library and has connected, as a program has
that works with it. rclone and cp are started for each copy, since that is what their users have, and
``genro-storage cp`` is this library, started in the same way; the first row says how long such
programs take to do nothing. rclone has 32 transfers and checkers.

Every copy goes to a place of its own, which nothing was at before; what has arrived is compared at
the end of a row, when no time is taken. The server keeps its files below ``TMPDIR``, where the
local trees are, too: in memory (``/dev/shm``) the disk is no part of what is measured.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import hashlib
import itertools
import json
import random
import resource
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]

from harness import MIB, Contestant, compare, machine, obey
from object_peers import Server
from synthetic import Merging
from transfer_goals import Goals
from transfer_peers import COMMAND, CP, OURS, RCLONE, TREES, Command, files_below

from tests.services.proxy import Asked, Proxy
from tests.services.s3 import BUCKET, KEY, SECRET, Moto, RcloneS3

if TYPE_CHECKING:
    from tests.services.base import Service

SERVERS: dict[str, type[Service]] = {"rclone": RcloneS3, "moto": Moto}
ROWS = "up", "down", "again", "within", "requests", "large", "local", "local-again", "merge"
SKIPS = "exists", "size", "hash"
#: Who puts there what the others work on, and looks at what they have made.
JANITOR = "obstore"
#: A port that nobody asks.
NOWHERE = 9


class Race(NamedTuple):
    """Who races, where, and how much of it."""

    peers: Sequence[str]
    #: Where the local trees are; it goes away afterwards.
    directory: Path
    port: int
    rows: Sequence[str]
    small: bool
    scale: int
    rounds: int
    goals: Goals

    @property
    def warm(self) -> bool:
        """Whether a round comes before those that count."""
        return not self.small

    def count(self, normal: int, small: int) -> int:
        """How many there are of something."""
        return small if self.small else max(1, normal // self.scale)

    def who(self, step: str) -> list[str]:
        """The names of those who take part in it."""
        return [name for name in self.peers if step in TREES[name].steps]

    def start(self, name: str, *, port: int | None = None) -> Contestant:
        """A child that is connected to the server, or to the port."""
        child = self.start_unconnected(name, port=port or self.port)
        child.do("connect_once")
        return child

    def start_unconnected(self, name: str, *, port: int = NOWHERE) -> Contestant:
        """A child for what needs no server."""
        server = json.dumps(Server(f"http://127.0.0.1:{port}", BUCKET, KEY, SECRET))
        return Contestant(name, [sys.executable, __file__, "--worker", name, server])


def make_tree(directory: Path, count: int, size: int) -> list[tuple[str, int, str]]:
    """Files of random content, a hundred in a directory: their names, sizes and MD5 digests."""
    made = []
    generator = random.Random(count)
    for number in range(count):
        name = f"d{number // 100:03}/f{number:05}.bin"
        data = generator.randbytes(size)
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        made.append((name, size, hashlib.md5(data, usedforsecurity=False).hexdigest()))
    return made


def check_tree(directory: Path, expected: Sequence[tuple[str, int, str]]) -> None:
    """Raise unless exactly these files are there."""
    found = set()
    for name in files_below(str(directory)):
        data = (directory / name).read_bytes()
        found.add((name, len(data), hashlib.md5(data, usedforsecurity=False).hexdigest()))
    if found != set(expected):
        raise RuntimeError(f"{directory.name} is not what was copied")


# -- small files, and the server ------------------------------------------------------------------


class Way(NamedTuple):
    """From where to where: the step of a contestant, and its arguments."""

    title: str
    step: str
    source: dict[str, str]
    #: The name of the argument that says where to.
    to: str
    #: Where the copy is already that needs no other; empty where nobody asks for that.
    same: str = ""


class Small:
    """2,000 files of 4 KiB up, down, again with nothing to do, and inside the store."""

    size = 4096

    def __init__(self, race: Race, stack: contextlib.ExitStack) -> None:
        self.race = race
        self.count = race.count(2_000, 20)
        tree = race.directory / "small"
        self.made = make_tree(tree, self.count, self.size)
        self.fresh = itertools.count()
        title = f"{self.count:,} x 4 KiB"
        self.ways = {
            "up": Way(f"{title}, local -> S3", "up", {"source": str(tree)}, "prefix", "base"),
            "down": Way(f"{title}, S3 -> local", "down", {"prefix": "base"}, "target", str(tree)),
            "within": Way(f"{title}, S3 -> S3", "within", {"prefix": "base"}, "target"),
        }
        self.janitor = stack.enter_context(race.start(JANITOR))
        self.janitor.do("up", source=str(tree), prefix="base", skip="never")
        # The server fails under load now and then: whoever downloads would be blamed for it.
        self.janitor.do("check", prefix="base", expected=self.made)
        self.started = {name: stack.enter_context(race.start(name)) for name in race.who("up")}

    def run(self) -> None:
        """All rows that are asked for."""
        for row in ("up", "down"):
            if row in self.race.rows:
                medians = self.to_new_places(self.ways[row])
                self.race.goals.ratio(self.ways[row].title, medians, [RCLONE], 0.9)
                self.race.goals.ratio(self.ways[row].title, medians, [JANITOR], 1.25)
        if "again" in self.race.rows:
            self.again()
        if "within" in self.race.rows:
            medians = self.to_new_places(self.ways["within"])
            self.race.goals.ratio(self.ways["within"].title, medians, [RCLONE], 0.9)
        if "requests" in self.race.rows:
            self.requests()

    def to_new_places(self, way: Way) -> dict[str, float]:
        """A row in which every single copy has a new place; returns the medians."""
        used: dict[str, str] = {}

        def go(name: str) -> None:
            place = self.new_place(way)
            used[place] = name
            self.started[name].do(way.step, **way.source, **{way.to: place}, skip="never")

        contestants = {name: functools.partial(go, name) for name in self.race.who(way.step)}
        medians = compare(way.title, contestants, rounds=self.race.rounds, warm=self.race.warm)
        for place, name in used.items():
            try:
                self.check(way, place)
            except RuntimeError:
                if name in (OURS, COMMAND):
                    raise
                # The server fails under load now and then, and a peer may not notice.
                print(f"  ! {name}: what has arrived is not what there was", flush=True)
        return medians

    def new_place(self, way: Way) -> str:
        """A prefix or directory where nothing is."""
        name = f"{way.step}-{next(self.fresh)}"
        return str(self.race.directory / name) if way.step == "down" else name

    def check(self, way: Way, place: str) -> None:
        """Raise unless it is what was copied; it is removed then."""
        if way.step == "down":
            check_tree(Path(place), self.made)
            shutil.rmtree(place)
        else:
            self.janitor.do("check", prefix=place, expected=self.made)
            self.janitor.do("remove_all", prefix=place)

    def _unchanged(self) -> Iterator[tuple[str, str, dict[str, str]]]:
        """Title, step and arguments of copies that have nothing to do."""
        for way, skip in itertools.product(self.ways.values(), SKIPS):
            if way.same:
                title = f"{way.title}, nothing changed, skip={skip}"
                yield title, way.step, {**way.source, way.to: way.same, "skip": skip}

    def again(self) -> None:
        """What is to be copied is there already: the tree itself on one side, and its copy."""
        for title, step, arguments in self._unchanged():
            contestants = {
                name: functools.partial(self.started[name].do, step, **arguments)
                for name in self.race.who("again")
            }
            medians = compare(title, contestants, rounds=self.race.rounds, warm=self.race.warm)
            self.race.goals.ratio(title, medians, [RCLONE], 1.0)

    # -- what it costs in requests ------------------------------------------------------------

    def requests(self) -> None:
        """The same once more, through a proxy that notes what is asked."""
        print("\nrequests, counted at a proxy; the contestants are connected already")
        with Proxy(self.race.port) as proxy, contextlib.ExitStack() as stack:
            children = [
                stack.enter_context(self.race.start(name, port=proxy.port))
                for name in self.race.who("again")
            ]
            for way, child in itertools.product(self.ways.values(), children):
                place = self.new_place(way)
                with proxy.counting() as asked:
                    child.do(way.step, **way.source, **{way.to: place}, skip="never")
                _say_requests(f"{way.title}, all new", child.name, asked)
                self.check(way, place)
            for (title, step, arguments), child in itertools.product(self._unchanged(), children):
                with proxy.counting() as asked:
                    child.do(step, **arguments)
                found = _say_requests(title, child.name, asked)
                self._check_requests(title, child.name, found)

    def _check_requests(self, title: str, name: str, found: Counter[str]) -> None:
        if moved := found["PUT"] + found["COPY"] + found["GET"]:
            raise RuntimeError(f"{name} has moved {moved} files where nothing had changed")
        if name == OURS:
            goals = self.race.goals
            goals.most(f"{title}, HEAD requests", found["HEAD"], 0)
            goals.most(f"{title}, LIST requests", found["LIST"], -(-self.count // 1000))


def _say_requests(title: str, name: str, asked: Sequence[Asked]) -> Counter[str]:
    found = Counter(map(operation, asked))
    said = ", ".join(f"{count:,} {what}" for what, count in sorted(found.items()))
    print(f"  {title:<58} {name:<18} {said or 'none'}")
    return found


def operation(asked: Asked) -> str:
    """As ``Asked.operation``; what S3 copies by itself is no upload, and rclone lists as of old."""
    if "x-amz-copy-source" in asked.headers:
        return "COPY"
    if asked.method == "GET" and asked.path.strip("/") == BUCKET:
        return "LIST"
    return asked.operation


# -- one large file -------------------------------------------------------------------------------


def in_new_processes(
    title: str,
    contestants: dict[str, tuple[Callable[[], Contestant], str]],
    arguments: dict[str, Any],
    *,
    rounds: int,
    before: Callable[[], object] | None = None,
) -> tuple[dict[str, float], dict[str, float]]:
    """Each run is the one step of a process of its own; medians, and the most memory (MiB) of each.

    ``before`` prepares each; neither that nor the start is timed.
    """
    waiting: dict[str, Contestant] = {}
    peaks: dict[str, float] = {}

    def go(name: str) -> None:
        child = waiting.pop(name)
        child.do(contestants[name][1], **arguments)
        peaks[name] = max(child.peak, peaks.get(name, 0.0))

    with contextlib.ExitStack() as stack:

        def prepare() -> None:
            if before is not None:
                before()
            for name, (start, _) in contestants.items():
                if name not in waiting:
                    waiting[name] = stack.enter_context(start())

        runs = {name: functools.partial(go, name) for name in contestants}
        medians = compare(title, runs, rounds=rounds, before=prepare, warm=False)
    return medians, peaks


def large_file(race: Race) -> None:
    """One large file up and down, and what memory that takes."""
    size = race.count(1024, 8) * MIB
    word = "1 GiB" if size == 1024 * MIB else f"{size // MIB} MiB"
    source, target = race.directory / "large.bin", race.directory / "got.bin"
    block = random.Random(size).randbytes(MIB)
    with source.open("wb") as sink:
        for number in range(size // MIB):
            sink.write(number.to_bytes(4, "big") + block[4:])

    def run(
        title: str, step: str, before: Callable[[], object], **arguments: str
    ) -> dict[str, float]:
        names = race.who("large")
        contestants = {name: (functools.partial(race.start, name), step) for name in names}
        medians, peaks = in_new_processes(
            title, contestants, arguments, rounds=race.rounds, before=before
        )
        race.goals.ratio(title, medians, [RCLONE, "boto3", JANITOR], 1.0)
        race.goals.most(f"{title}, peak memory, MiB", peaks[OURS], 150)
        return peaks

    def check() -> None:
        """What the last one has downloaded is right; the first time there is nothing yet."""
        if target.exists():
            same = subprocess.run(["cmp", source, target], check=False).returncode == 0
            target.unlink()
            if not same:
                raise RuntimeError("a download is not what was uploaded")

    with race.start(JANITOR) as janitor:
        # What is uploaded is new: rclone's server reads all of an old one when it is looked at.
        remove = functools.partial(janitor.do, "remove", key="large.bin")
        up = run(f"{word}, local -> S3", "upload", remove, source=str(source), key="large.bin")
    down = run(f"{word}, S3 -> local", "download", check, key="large.bin", target=str(target))
    check()
    print("\npeak memory of the process, MiB, the most of all rounds  (up, down)")
    for name in race.who("large"):
        print(f"  {name:<34} {up[name]:9.0f} {down[name]:9.0f}")
    source.unlink()


# -- without a server -----------------------------------------------------------------------------


def local_trees(race: Race) -> None:
    """A tree of 3,000 files of 20 KB on the disk; then again with nothing to do."""
    count = race.count(3_000, 30)
    source = race.directory / "tree"
    made = make_tree(source, count, 20_000)
    title = f"{count:,} x 20 KB, local -> local"
    fresh = itertools.count()
    with contextlib.ExitStack() as stack:
        names = race.who("local")
        started = {name: stack.enter_context(race.start_unconnected(name)) for name in names}
        if "local" in race.rows:
            used: list[Path] = []

            def go(name: str) -> None:
                used.append(race.directory / f"local-{next(fresh)}")
                started[name].do("local", source=str(source), target=str(used[-1]), skip="never")

            # Every run has a target of its own, and none is removed meanwhile: ext4 is slow for
            # seconds after that.
            contestants = {name: functools.partial(go, name) for name in names}
            contestants["(a loop of Python, for scale)"] = count_up
            medians = compare(title, contestants, rounds=race.rounds, warm=race.warm)
            race.goals.ratio(title, medians, [CP], 1.0, allowance=0.1)
            for path in used:
                check_tree(path, made)
                shutil.rmtree(path)
        if "local-again" in race.rows:
            same = race.directory / "same"
            shutil.copytree(source, same)
            sides = {"source": str(source), "target": str(same), "skip": "size"}
            contestants = {
                name: functools.partial(started[name].do, "local", **sides)
                for name in race.who("local again")
            }
            whole = f"{title}, nothing changed, skip=size"
            medians = compare(whole, contestants, rounds=race.rounds, warm=race.warm)
            race.goals.ratio(whole, medians, [RCLONE], 1.0)


def count_up() -> None:
    """Work of Python alone. Where neighbours share the core it takes up to twice as long, and so
    does whatever is written in Python, while programs that mostly call the system hardly notice.
    """
    total = 0
    for number in range(500_000):
        total += number


def merge(race: Race) -> None:
    """The plan for two listings of ten million keys each."""
    count = race.count(10_000_000, 20_000)
    start = functools.partial(Contestant, "merge", [sys.executable, __file__, "--merge"])
    title = f"merge of two listings of {count:,} keys each"
    steps = {"plan_tree, skip=size": "merge", "the two listings alone": "generate"}
    medians, peaks = in_new_processes(
        title,
        {name: (start, step) for name, step in steps.items()},
        {"count": count},
        rounds=race.rounds,
    )
    whole, listings = medians.values()
    peak = peaks["plan_tree, skip=size"]
    # To make entries that nobody has stored is this benchmark's work, and no merge. A key of one
    # listing with that of the other counts once. Few are made in no time, which says nothing.
    merged = count / (whole - listings) if whole > listings else 0.0
    print(f"  keys/s: {count / whole:,.0f} with the making of the listings", end="")
    print(f", {merged:,.0f} without; peak memory {peak:.0f} MiB")
    race.goals.least(f"{title}, keys/s", merged, 250_000)
    race.goals.most(f"{title}, peak memory, MiB", peak, 200)


def starts(race: Race) -> None:
    """What it takes to start a program that does nothing; to be subtracted by who wants to."""
    commands = {
        "genro-storage --version": TREES[COMMAND],
        "rclone version": TREES[RCLONE],
    }
    contestants = {}
    for name, kind in commands.items():
        if issubclass(kind, Command) and kind.is_there():
            whole = [*kind.program(), name.split()[1]]
            contestants[name] = functools.partial(
                subprocess.run, whole, stdout=subprocess.DEVNULL, check=True
            )
    compare("start of a program", contestants, rounds=race.rounds)


# -- all of it ------------------------------------------------------------------------------------


@contextlib.contextmanager
def running(kind: type[Service], directory: Path) -> Iterator[int]:
    """The port of a server, which is stopped in the end."""
    service = kind(directory).start()
    try:
        yield service.port
    finally:
        service.stop()


def main() -> None:
    """Start the server, race, and stop it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--server", choices=tuple(SERVERS), default="rclone")
    parser.add_argument("--small", action="store_true", help="a few files only, once")
    parser.add_argument("--scale", type=int, default=1, help="how many times less of everything")
    parser.add_argument("--rounds", type=int, default=5, help="how often each takes its turn")
    parser.add_argument("--only", help=f"rows, separated by commas: {', '.join(ROWS)}")
    parser.add_argument("--peers", help="names, separated by commas")
    parser.add_argument("--worker", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--merge", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.worker:
        name, told = given.worker
        kind = TREES[name]
        whose = resource.RUSAGE_CHILDREN if issubclass(kind, Command) else resource.RUSAGE_SELF
        obey(kind(Server(*json.loads(told))), whose=whose)
        return
    if given.merge:
        obey(Merging())
        return
    rows = _chosen(given.only, ROWS)
    print(machine(), f"server: {given.server}", sep=", ")
    peers = []
    for name in _chosen(given.peers, tuple(TREES)):
        if TREES[name].is_there():
            peers.append(name)
        else:
            print(f"without {name}: install it with: {TREES[name].install}")
    if OURS not in peers:
        sys.exit(f"{OURS} is what the others are measured against")
    with tempfile.TemporaryDirectory(prefix="genro-bench-") as text:
        rounds = 1 if given.small else given.rounds
        goals = Goals(OURS)
        race = Race(peers, Path(text), 0, rows, given.small, given.scale, rounds, goals)
        starts(race)
        if {"up", "down", "again", "within", "requests", "large"} & set(rows):
            with_server(race, SERVERS[given.server])
        if {"local", "local-again"} & set(rows):
            local_trees(race)
        if "merge" in rows:
            merge(race)
    goals.say()


def with_server(race: Race, kind: type[Service]) -> None:
    """The rows that need one; each kind of files has a new one."""
    missing = kind.missing()
    if missing is not None:
        sys.exit(f"{missing}; install it with: {kind.install}")
    if {"up", "down", "again", "within", "requests"} & set(race.rows):
        with (
            running(kind, race.directory / "server") as port,
            contextlib.ExitStack() as stack,
        ):
            Small(race._replace(port=port), stack).run()
        shutil.rmtree(race.directory / "server")
    if "large" in race.rows:
        with running(kind, race.directory / "server") as port:
            large_file(race._replace(port=port))
        shutil.rmtree(race.directory / "server")


def _chosen(given: str | None, known: Sequence[str]) -> list[str]:
    """The names of a list with commas; all of them where there is none."""
    names = given.split(",") if given else list(known)
    for name in names:
        if name not in known:
            sys.exit(f"there is no {name!r}, but: {', '.join(known)}")
    return names


if __name__ == "__main__":
    main()
