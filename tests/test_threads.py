"""Eight threads on one manager: no wrong byte."""

from __future__ import annotations

import contextvars
import hashlib
import random
import threading

import pytest

from genro_storage import StorageManager, StorageNotEmptyError, StorageNotFoundError

THREADS = 8
ROUNDS = 60
SEED = 20261120

user: contextvars.ContextVar[str] = contextvars.ContextVar("user")


def content(number: int) -> bytes:
    """Self-describing: any mixture of two contents is recognised."""
    block = hashlib.sha256(str(number).encode()).digest()
    return block * (1 + number % 3000)


def is_whole(data: bytes) -> bool:
    return len(data) >= 32 and data == data[:32] * (len(data) // 32)


def run(work):
    """``work(index)`` in eight threads; the first error of any of them is raised."""
    errors = []
    start = threading.Barrier(THREADS)

    def body(index):
        try:
            start.wait()
            work(index)
        except BaseException as error:  # whatever it is, the test must fail by it
            errors.append(error)

    threads = [threading.Thread(target=body, args=(index,)) for index in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


@pytest.fixture
def storage(tmp_path):
    for name in ("disk", "fs", *(f"user{n}" for n in range(THREADS))):
        (tmp_path / name).mkdir()
    made = StorageManager()
    made.configure(
        [
            {"name": "disk", "type": "local", "path": str(tmp_path / "disk")},
            {"name": "ram", "type": "memory"},
            {"name": "fs", "type": "fsspec", "filesystem": "file", "path": str(tmp_path / "fs")},
            {"name": "home", "type": "local", "path": lambda: str(tmp_path / user.get())},
        ]
    )
    return made


@pytest.mark.slow
def test_private_files_hold_what_their_thread_wrote(storage):
    def work(index):
        for count in range(ROUNDS):
            for mount in ("disk", "ram", "fs"):
                data = content(index * 1000 + count)
                node = storage.node(f"{mount}:dir/{index}/f")
                node.write_bytes(data)
                assert node.read_bytes() == data
                assert node.size == len(data)
                with node.open("wb") as handle:
                    handle.write(data[::-1])
                assert node.md5hash == hashlib.md5(data[::-1]).hexdigest()

    run(work)


def test_a_shared_file_is_always_one_of_the_contents(storage):
    nodes = [storage.node(f"{mount}:shared") for mount in ("disk", "ram", "fs")]
    for node in nodes:
        node.write_bytes(content(0))

    def work(index):
        chance = random.Random(SEED + index)
        for count in range(ROUNDS):
            for node in nodes:
                if chance.random() < 0.5:
                    node.write_bytes(content(index * 1000 + count))
                else:
                    assert is_whole(node.read_bytes())

    run(work)
    assert all(is_whole(node.read_bytes()) for node in nodes)
    for mount in ("disk", "fs"):
        assert [child.name for child in storage.node(f"{mount}:").children()] == ["shared"]


def test_one_node_object_can_be_used_by_all(storage):
    node = storage.node("disk:shared")
    node.write_bytes(content(1))

    def work(index):
        for count in range(ROUNDS):
            if index == 0:
                node.write_bytes(content(count))
            else:
                assert is_whole(node.read_bytes())
                assert node.exists

    run(work)


def test_mounts_come_and_go_while_others_work(storage, tmp_path):
    def work(index):
        for count in range(ROUNDS):
            if index < 2:
                name = f"extra{index}"
                storage.add_mount({"name": name, "type": "memory"})
                storage.node(f"{name}:f").write_bytes(content(count))
                assert storage.node(f"{name}:f").read_bytes() == content(count)
                storage.configure([{"name": f"rel{index}", "path": f"{name}:sub"}])
                storage.delete_mount(name)
                storage.delete_mount(f"rel{index}")
            elif index == 2:
                storage.configure(
                    [
                        {"name": "disk", "type": "local", "path": str(tmp_path / "disk")},
                        {"name": "ram", "type": "memory"},
                    ]
                )
            else:
                for mount in ("disk", "ram"):
                    node = storage.node(f"{mount}:{index}")
                    node.write_bytes(content(count))
                    assert node.read_bytes() == content(count)
                assert {"disk", "ram", "fs", "home"} <= set(storage.get_mount_names())

    run(work)
    assert storage.get_mount_names() == ["disk", "ram", "fs", "home"]


def test_no_reconfiguration_is_lost(storage):
    def work(index):
        for count in range(ROUNDS // 4):
            storage.add_mount({"name": f"m{index}-{count}", "type": "memory"})

    run(work)
    assert len(storage.get_mount_names()) == 4 + THREADS * (ROUNDS // 4)


def test_each_thread_sees_the_root_of_its_own_context(storage, tmp_path):
    def work(index):
        user.set(f"user{index}")
        node = storage.node("home:f")
        for count in range(ROUNDS):
            data = content(index * 1000 + count)
            node.write_bytes(data)
            assert node.read_bytes() == data
            assert node.copy_to("home:copy").read_bytes() == data

    run(work)
    for index in range(THREADS):
        assert (tmp_path / f"user{index}/f").read_bytes() == content(index * 1000 + ROUNDS - 1)


def test_appends_of_all_threads_arrive_whole(storage):
    lines = ROUNDS // 2

    def work(index):
        for mount in ("disk", "ram"):
            for count in range(lines):
                with storage.node(f"{mount}:log").open("ab") as handle:
                    handle.write(f"{index:02}-{count:04}\n".encode() * 10)

    run(work)
    expected = sorted(
        f"{index:02}-{count:04}" for index in range(THREADS) for count in range(lines)
    )
    for mount in ("disk", "ram"):
        found = storage.node(f"{mount}:log").read_text().splitlines()
        assert sorted(found[::10]) == expected
        assert all(found[i] == found[i - i % 10] for i in range(len(found)))


def test_only_one_thread_makes_a_file_that_must_be_new(storage):
    for mount in ("disk", "ram", "fs"):
        made = []

        def work(index, mount=mount, made=made):
            for count in range(ROUNDS // 3):
                try:
                    with storage.node(f"{mount}:new{count}").open("xb") as handle:
                        handle.write(content(index))
                except FileExistsError:
                    continue
                made.append((count, index))

        run(work)
        assert sorted(count for count, _ in made) == list(range(ROUNDS // 3))
        for count, index in made:
            assert storage.node(f"{mount}:new{count}").read_bytes() == content(index)


def test_trees_are_made_and_deleted_together(storage):
    def work(index):
        for count in range(ROUNDS // 4):
            for mount in ("disk", "ram", "fs"):
                try:
                    storage.node(f"{mount}:a/b/{index}/{count}").write_bytes(content(count))
                    storage.node(f"{mount}:a/b/{(index + 1) % THREADS}").delete()
                    for child in storage.node(f"{mount}:a/b").children():
                        assert child.name.isdigit()
                except (StorageNotFoundError, StorageNotEmptyError):
                    continue  # somebody else was faster, and it is said in our words

    run(work)
