"""Downloads of large files that go on where a run before them was interrupted."""

from __future__ import annotations

import os
import signal
import stat
import threading

import pytest

from genro_storage import StorageError, StorageExistsError, StorageManager
from genro_storage.exceptions import StorageChangedError
from genro_storage.hearing import hearing_bytes
from genro_storage.transfer.execution import resuming
from genro_storage.transfer.execution.execute import Stopped
from genro_storage.transfer.execution.resuming import RESUMABLE_DOWNLOAD, resumable_copy
from genro_storage.transfer.place import Place
from tests.services.proxy import Proxy
from tests.support.engines import ENGINES, on_engine
from tests.support.resuming import MIB, Ground, content, copy

pytestmark = pytest.mark.services

SIZE = 40 * MIB + 12345
DATA = content(SIZE)
OTHER = content(SIZE, 1)
#: Bytes that may come again after an interruption: those of the last note, and what was on its way
#: or lay in the buffers of this machine (with the SDK of S3, four requests of 4 MiB).
LOST = 4 * MIB + 16 * MIB + 4 * MIB
#: Bytes of a transfer that are no content.
TALK = MIB


only_moto = pytest.mark.parametrize("kind", ["moto-obstore"], indirect=True)


@pytest.fixture(params=[*(f"moto-{engine}" for engine in ENGINES), "rclone", "gcs", "azure"])
def kind(request):
    return request.param


@pytest.fixture
def ground(request, kind, tmp_path, monkeypatch):
    """A file ``far:a``, on its way to ``disk:a``."""
    monkeypatch.setenv("GENRO_STORAGE_STATE", str(tmp_path / "state"))
    name, _, engine = kind.partition("-")
    fixture = {"moto": "moto_server", "rclone": "rclone_s3"}.get(name, name)
    service = request.getfixturevalue(fixture)
    disk = tmp_path / "disk"
    disk.mkdir()
    with Proxy(service.port) as proxy, StorageManager() as storage:
        far = on_engine(service.mount(), engine or "auto")
        direct = far["endpoint_url"]
        behind = direct.replace(f":{service.port}", f":{proxy.port}")
        mounts = [
            {**far, "name": "far", "endpoint_url": behind, "retries": 1},
            {**far, "name": "direct"},
            {"name": "disk", "type": "local", "path": str(disk)},
        ]
        storage.configure(mounts)
        (tmp_path / "data").write_bytes(DATA)
        storage.node("direct:a")._mount.upload(tmp_path / "data", "a")
        yield Ground(storage, proxy, mounts, tmp_path / "state", disk)


def again(ground, expected=DATA, **options):
    """Run the copy once more: how many bytes have come."""
    before = ground.proxy.passed
    copy(ground.storage, "far:a", "disk:a", **options)
    assert (ground.disk / "a").read_bytes() == expected
    assert ground.entries == []
    assert ground.hidden == []
    return ground.proxy.passed - before


def test_no_request_asks_for_so_much_that_much_is_lost_at_a_kill(ground):
    # What has been sent and was not read is lost, however much of it the system's buffers hold.
    with ground.proxy.counting() as asked:
        again(ground)
    ranges = [
        tuple(map(int, told.partition("=")[2].split("-")))
        for each in asked
        if each.method == "GET"
        and (told := each.headers.get("x-ms-range") or each.headers.get("range"))
    ]
    assert sum(last + 1 - first for first, last in ranges) >= SIZE
    assert max(last + 1 - first for first, last in ranges) <= 8 * MIB


@pytest.fixture
def half(ground):
    """How many bytes have come when it was interrupted in the middle."""
    before = ground.proxy.passed
    ground.interrupt("far:a", "disk:a", SIZE // 2)
    assert len(ground.entries) == len(ground.hidden) == 1
    assert not ground.node("disk:a").exists
    assert ground.node("disk:").children() == []
    return ground.proxy.passed - before


@pytest.mark.slow
def test_a_download_that_was_killed_goes_on_in_another_process(ground):
    first = ground.kill("far:a", "disk:a", SIZE // 2)
    assert len(ground.entries) == len(ground.hidden) == 1
    assert not ground.node("disk:a").exists
    second = ground.run("far:a", "disk:a")
    assert (ground.disk / "a").read_bytes() == DATA
    assert ground.entries == []
    assert ground.hidden == []
    assert second < SIZE - MIB
    assert first + second <= SIZE + LOST + TALK


@pytest.mark.slow
@only_moto
def test_a_hidden_file_for_which_nothing_has_come_is_no_stray_after_a_kill(ground):
    """It is noted before it is there: when the kill comes, no answer has been seen yet."""
    processes = []

    def kill(_):
        if ground.hidden:
            processes[0].kill()
            processes[0].wait()

    ground.proxy.gate = kill
    processes.append(ground._start("far:a", "disk:a"))
    _, errors = processes[0].communicate()
    assert processes[0].returncode == -signal.SIGKILL, errors.decode()
    assert (len(ground.hidden), len(ground.entries)) == (1, 1)
    ground.proxy.gate = None
    again(ground)


def test_a_download_that_was_interrupted_goes_on(ground, half):
    assert again(ground) <= SIZE - half + LOST + TALK < SIZE + LOST


@only_moto
@pytest.mark.parametrize("data", [OTHER, DATA[: SIZE - MIB]])
def test_of_a_source_that_was_changed_all_comes_anew(ground, half, tmp_path, data):
    (tmp_path / "data").write_bytes(data)
    ground.node("direct:a")._mount.upload(tmp_path / "data", "a")
    assert again(ground, data) >= len(data)


@only_moto
def test_of_a_source_that_is_changed_meanwhile_nothing_is_kept(ground, tmp_path):
    (tmp_path / "data").write_bytes(OTHER)
    mount = ground.node("direct:a")._mount
    begun = []

    def change(asked):
        if asked.method == "GET" and not begun:
            begun.append(asked)
            mount.upload(tmp_path / "data", "a")

    ground.proxy.gate = change
    with pytest.raises(StorageChangedError, match="far:a: changed while it was being copied"):
        copy(ground.storage, "far:a", "disk:a")
    assert ground.entries == []
    assert ground.hidden == []
    again(ground, OTHER)


def cut(path):
    os.truncate(path, 9 * MIB)


@only_moto
@pytest.mark.parametrize(("damage", "most"), [(cut, SIZE - 9 * MIB), (os.unlink, SIZE)])
def test_what_is_lost_of_the_hidden_file_comes_again(ground, half, damage, most):
    damage(ground.disk / ground.hidden[0])
    # Of the answer that was left something may still be on its way.
    assert most <= again(ground) <= most + 4 * TALK


@only_moto
@pytest.mark.parametrize("damage", [lambda data: data[30:], lambda data: b"", os.urandom])
def test_with_a_damaged_journal_all_comes_anew(ground, half, damage):
    (entry,) = ground.entries
    data = entry.read_bytes()
    entry.write_bytes(damage(len(data)) if damage is os.urandom else damage(data))
    copy(ground.storage, "far:a", "disk:a")
    assert (ground.disk / "a").read_bytes() == DATA
    # Nobody knows of the other one any more, except who cleans up.
    assert len(ground.hidden) == 1
    assert ground.storage.cleanup("disk", older_than=0) == 1
    assert ground.hidden == []


@only_moto
def test_after_a_restart_of_the_machine_nothing_of_before_is_believed(ground, half, monkeypatch):
    monkeypatch.setattr(resuming, "_boot", lambda: "another one")
    assert again(ground) >= SIZE


@only_moto
def test_where_restarts_cannot_be_told_what_is_noted_was_forced_to_the_disk(ground, monkeypatch):
    forced = []
    fsync = os.fsync
    monkeypatch.setattr(resuming, "_boot", lambda: "")
    monkeypatch.setattr(os, "fsync", lambda descriptor: (forced.append(1), fsync(descriptor)))
    half = ground.proxy.passed
    ground.interrupt("far:a", "disk:a", SIZE // 2)
    assert len(forced) > 2
    assert again(ground) <= SIZE - (ground.proxy.passed - half) + SIZE


@only_moto
def test_a_damaged_content_is_noticed_where_its_digest_is_kept(ground, tmp_path):
    ground.storage.configure([{**each, "store_checksums": "always"} for each in ground.mounts[:2]])
    ground.node("direct:a")._mount.upload(tmp_path / "data", "a")
    ground.interrupt("far:a", "disk:a", SIZE // 2)
    with (ground.disk / ground.hidden[0]).open("r+b") as file:
        file.write(b"damaged")
    with pytest.raises(StorageError, match="what arrived is not what was stored"):
        copy(ground.storage, "far:a", "disk:a")
    assert not ground.node("disk:a").exists
    assert again(ground) >= SIZE  # nothing of it is used again


@only_moto
def test_a_hidden_file_that_cleanup_has_taken_is_made_anew(ground, half):
    assert ground.storage.cleanup("disk", older_than=3600) == 0
    assert ground.storage.cleanup("disk", older_than=0) == 1
    assert again(ground) >= SIZE


@only_moto
def test_a_hidden_file_in_use_is_left_alone_by_cleanup(ground):
    removed = []
    ground.proxy.after(
        SIZE // 2, lambda: removed.append(ground.storage.cleanup("disk", older_than=0))
    )
    copy(ground.storage, "far:a", "disk:a")
    assert removed == [0]
    assert (ground.disk / "a").read_bytes() == DATA


@only_moto
def test_a_file_that_is_replaced_keeps_its_mode_and_its_content_until_the_end(ground):
    target = ground.disk / "a"
    target.write_bytes(b"old")
    target.chmod(0o640)
    ground.interrupt("far:a", "disk:a", SIZE // 2)
    assert target.read_bytes() == b"old"
    again(ground)
    assert stat.S_IMODE(target.stat().st_mode) == 0o640


@only_moto
def test_the_time_and_the_mode_are_those_of_any_copy(ground, half):
    again(ground)
    ground.node("far:a").copy_to("disk:plain")
    resumed, plain = ((ground.disk / name).stat() for name in ("a", "plain"))
    assert (resumed.st_mode, resumed.st_mtime_ns) == (plain.st_mode, plain.st_mtime_ns)


@only_moto
@pytest.mark.parametrize("when", ["before", "meanwhile"])
def test_a_target_that_must_not_be_there_stays(ground, when):
    target = ground.disk / "a"
    if when == "before":
        target.write_bytes(b"theirs")
    else:
        ground.proxy.after(SIZE // 2, lambda: target.write_bytes(b"theirs"))
    with pytest.raises(StorageExistsError, match="disk:a"):
        copy(ground.storage, "far:a", "disk:a", if_absent=True)
    assert target.read_bytes() == b"theirs"
    assert ground.hidden == []
    assert ground.entries == []


@only_moto
def test_what_was_left_goes_where_somebody_has_made_the_target_meanwhile(ground, half):
    (ground.disk / "a").write_bytes(b"theirs")
    assert len(ground.hidden) == len(ground.entries) == 1
    with pytest.raises(StorageExistsError, match="disk:a"):
        copy(ground.storage, "far:a", "disk:a", if_absent=True)
    assert (ground.disk / "a").read_bytes() == b"theirs"
    assert ground.hidden == []
    assert ground.entries == []


@only_moto
def test_of_two_copies_at_once_both_are_right(ground):
    done, failures = [], []

    def work():
        try:
            done.append(copy(ground.storage, "far:a", "disk:a").bytes)
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert (done, failures) == ([SIZE, SIZE], [])
    assert (ground.disk / "a").read_bytes() == DATA
    assert ground.hidden == []
    assert ground.entries == []


@only_moto
def test_a_server_that_is_gone_leaves_what_has_come(ground):
    before = ground.proxy.passed
    broken = []

    def gate(asked):
        from tests.services.proxy import Refusal

        return Refusal(503, "SlowDown") if broken else None

    def cut_off():
        broken.append(True)
        with ground.proxy._lock:
            hanging = set(ground.proxy._open)
        for each in hanging:
            each.close()

    ground.proxy.gate = gate
    ground.proxy.after(SIZE // 2, cut_off)
    with pytest.raises(StorageError, match="far:a"):
        copy(ground.storage, "far:a", "disk:a")
    half = ground.proxy.passed - before
    broken.clear()
    assert len(ground.hidden) == 1
    assert again(ground) <= SIZE - half + LOST + TALK


@only_moto
def test_a_full_disk_leaves_nothing(ground, monkeypatch):
    write, count = os.pwrite, []

    def full(descriptor, data, at):
        count.append(len(data))
        if sum(count) > SIZE // 2:
            raise OSError(28, "No space left on device")
        return write(descriptor, data, at)

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(StorageError, match=r"disk:a: .*[Nn]o space"):
        copy(ground.storage, "far:a", "disk:a")
    assert ground.hidden == []
    assert ground.entries == []


def test_a_copy_that_is_given_up_goes_on_and_tells_how_many_bytes_have_come(ground):
    told, heard = [], []

    def take(count):
        if sum(told) > SIZE // 2:
            raise Stopped
        told.append(count)

    places = [Place(ground.node(each)._mount, "a") for each in ("far:a", "disk:a")]
    info = places[0].mount.stat("a")
    with pytest.raises(Stopped):
        resumable_copy(places[0], info, places[1], take=take)
    assert len(ground.hidden) == 1
    with hearing_bytes(heard.append):
        assert resumable_copy(places[0], info, places[1]).bytes == SIZE
    assert sum(heard) <= SIZE - sum(told) + LOST
    assert (ground.disk / "a").read_bytes() == DATA


@only_moto
def test_a_file_of_a_few_mib_goes_on_as_well(ground):
    data = DATA[: 14 * MIB]
    ground.node("direct:a").write_bytes(data)
    ground.interrupt("far:a", "disk:a", 11 * MIB)
    assert len(ground.entries) == len(ground.hidden) == 1
    assert again(ground, data) < len(data) - 4 * MIB


@only_moto
def test_a_small_file_comes_as_always(ground):
    ground.node("direct:a").write_bytes(DATA[:RESUMABLE_DOWNLOAD])
    copy(ground.storage, "far:a", "disk:a")
    assert not ground.state.exists()
    assert (ground.disk / "a").read_bytes() == DATA[:RESUMABLE_DOWNLOAD]


@only_moto
def test_between_places_that_cannot_resume_it_is_a_copy_as_any_other(ground):
    ground.storage.configure([{"name": "ram", "type": "memory"}])
    copy(ground.storage, "far:a", "ram:a")
    assert ground.node("ram:a").size == SIZE
    assert not ground.state.exists()
