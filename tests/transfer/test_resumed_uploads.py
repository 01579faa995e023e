"""Uploads of large files that go on where a run before them was interrupted."""

from __future__ import annotations

import threading
import time

import pytest

from genro_storage import StorageError, StorageExistsError, StorageManager
from genro_storage.backends.s3 import resumed_upload
from genro_storage.exceptions import StorageChangedError
from genro_storage.hearing import hearing_bytes
from genro_storage.transfer.execution import journal
from genro_storage.transfer.execution.execute import Stopped
from genro_storage.transfer.execution.resuming import RESUMABLE_UPLOAD, resumable_copy
from genro_storage.transfer.place import Place
from tests.services.proxy import Proxy, Refusal
from tests.services.s3 import BUCKET
from tests.support.engines import ENGINES, on_engine
from tests.support.resuming import MIB, Ground, content, copy

pytestmark = pytest.mark.services

PART = 5 * MIB
SIZE = 7 * PART + 12345
COUNT = 8
PATIENCE = 200  # seconds until a part is refused that is held for the parts before it
DATA = content(SIZE)
OTHER = content(SIZE, 1)


@pytest.fixture(params=[*(f"moto-{engine}" for engine in ENGINES), "rclone"])
def kind(request):
    return request.param


@pytest.fixture
def ground(request, kind, tmp_path, monkeypatch):
    """A file ``disk:a``, on its way to ``far:a``."""
    monkeypatch.setenv("GENRO_STORAGE_STATE", str(tmp_path / "state"))
    name, _, engine = kind.partition("-")
    service = request.getfixturevalue("rclone_s3" if name == "rclone" else "moto_server")
    # It waits for the answers of ``break_off`` for longer than they are held.
    far = {"name": "far", "retries": 1, "read_timeout": PATIENCE + 100}
    far.update(on_engine(service.mount(), engine or "obstore"))
    disk = tmp_path / "disk"
    disk.mkdir()
    (disk / "a").write_bytes(DATA)
    with Proxy(service.port) as proxy, StorageManager() as storage:
        mounts = [
            {**far, "endpoint_url": proxy.url},
            {**far, "name": "direct"},
            {"name": "disk", "type": "local", "path": str(disk)},
        ]
        storage.configure(mounts)
        yield Ground(storage, proxy, mounts, tmp_path / "state", disk)


only_moto = pytest.mark.parametrize("kind", ["moto-obstore"], indirect=True)


@pytest.fixture
def client(ground):
    """Somebody else's client, for what ours does not show."""
    import boto3

    mount = ground.mounts[1]
    names = {"aws_access_key_id": mount["key"], "aws_secret_access_key": mount["secret"]}
    made = boto3.client("s3", endpoint_url=mount["endpoint_url"], region_name="us-east-1", **names)
    yield made
    made.close()


@pytest.fixture
def there(ground, client):
    """What the server has of unfinished uploads: their ids, with the numbers of their parts."""
    which = {"Bucket": ground.mounts[1]["bucket"]}

    def parts(upload):
        where = {"Key": upload["Key"], "UploadId": upload["UploadId"]}
        found = client.list_parts(**which, **where).get("Parts", ())
        return [part["PartNumber"] for part in found]

    def found():
        try:
            uploads = client.list_multipart_uploads(**which).get("Uploads", ())
            mine = [each for each in uploads if each["Key"].startswith(ground.mounts[1]["prefix"])]
            return {each["UploadId"]: parts(each) for each in mine}
        except client.exceptions.NoSuchUpload:
            return {}  # rclone's word for none; or it has come to its end since it was listed

    return found


def sent(asked):
    """The numbers of the parts that were sent."""
    return sorted(int(each.query["partNumber"]) for each in asked if each.method == "PUT")


def again(ground, expected=DATA, **options):
    """Run the copy once more: the numbers of the parts that it has sent."""
    with ground.proxy.counting() as asked:
        copy(ground.storage, "disk:a", "far:a", **options)
    assert ground.node("direct:a").read_bytes() == expected
    assert ground.entries == []
    return sent(asked)


EVERYTHING = list(range(1, COUNT + 1))


def without(numbers):
    return [each for each in EVERYTHING if each not in numbers]


@pytest.fixture
def break_off(ground, there):
    """Copy to a server that refuses the fourth part and those behind it when it has the others."""

    def step(*, status=403, code="AccessDenied", how=copy, noted=0):
        before = set(there())
        late: list[object] = []
        asking = threading.Lock()

        def is_time():
            now = there()
            mine = [now[each] for each in now.keys() - before]
            notes = sum(each.read_bytes().count(b'"md5"') for each in ground.entries)
            return mine in ([], [[1, 2, 3]]) and notes >= noted

        def gate(asked):
            if int(asked.query.get("partNumber", 0)) < 4:
                return None
            # One asks for all, and seldom: the server has the other parts to take meanwhile.
            with asking:
                until = time.monotonic() + PATIENCE
                while not (late or is_time()):
                    if time.monotonic() > until:
                        late.append(there())
                    time.sleep(0.1)
            return Refusal(status, code)

        ground.proxy.gate = gate
        with pytest.raises(StorageError):
            how(ground.storage, "disk:a", "far:a")
        ground.proxy.gate = None
        assert late == [], "the fourth part was refused before the server had the others"

    return step


@pytest.fixture
def half(ground, there, break_off):
    """The numbers of the parts that an upload has left which was refused the others."""
    break_off()
    (numbers,) = there().values()
    assert numbers == [1, 2, 3]
    assert not ground.node("direct:a").exists
    return numbers


# moto says of every upload that it was begun in the year 2010.
@pytest.mark.parametrize("kind", ["rclone"], indirect=True)
def test_an_upload_of_which_a_kill_has_kept_the_id_is_gone_after_the_next_run(
    ground, there, client
):
    """The server has begun it, and before its answer is noted there is nobody any more."""
    other = client.create_multipart_upload(
        Bucket=BUCKET, Key=f"{ground.mounts[1]['prefix']}/another"
    )

    def gate(asked):
        if asked.operation != "POST?uploads":
            return None
        client.create_multipart_upload(Bucket=BUCKET, Key=f"{ground.mounts[1]['prefix']}/a")
        process.kill()
        process.wait()
        return Refusal(500, "InternalError")

    ground.proxy.gate = gate
    process = ground._start("disk:a", "far:a")
    process.communicate()
    ground.proxy.gate = None
    assert len(there()) == 2
    assert again(ground) == EVERYTHING
    assert list(there()) == [other["UploadId"]]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["rclone"], indirect=True)
def test_an_upload_that_was_begun_before_is_somebody_else_s(ground, there, client):
    other = client.create_multipart_upload(Bucket=BUCKET, Key=f"{ground.mounts[1]['prefix']}/a")
    time.sleep(5)

    def gate(asked):
        if asked.operation != "POST?uploads":
            return None
        process.kill()
        process.wait()
        return Refusal(500, "InternalError")

    ground.proxy.gate = gate
    process = ground._start("disk:a", "far:a")
    process.communicate()
    ground.proxy.gate = None
    assert again(ground) == EVERYTHING
    assert list(there()) == [other["UploadId"]]


@pytest.mark.parametrize("code", ["AccessDenied", "NotImplemented"])
@only_moto
def test_where_uploads_may_not_be_listed_it_goes_on_without(ground, there, code):
    lost = []

    def gate(asked):
        if asked.operation == "POST?uploads" and len(lost) < 2:
            lost.append(asked)
            return Refusal(503, "ServiceUnavailable")
        if asked.method == "GET" and "uploads" in asked.query:
            return Refusal(403 if code == "AccessDenied" else 501, code)
        return None

    ground.proxy.gate = gate
    with pytest.raises(StorageError):
        copy(ground.storage, "disk:a", "far:a")
    assert len(ground.entries) == 1
    assert again(ground) == EVERYTHING


@only_moto
def test_an_upload_in_parts_of_another_length_goes_on_in_those(
    ground, there, monkeypatch, break_off
):
    with monkeypatch.context() as before:
        before.setattr(resumed_upload, "SMALLEST_PART", 8 * MIB)
        break_off()
    assert list(there().values()) == [[1, 2, 3]]
    assert again(ground) == [4, 5]


@pytest.mark.parametrize(
    ("seconds", "at_once"),
    [
        ([0.1], 2),
        ([0.1] * 9, 4),
        ([5.0, 10.0, 10.0, 10.0], 1),  # they share the line
        ([5.0, 5.1, 5.2, 5.0], 4),  # each connection is slower than the line
        ([5.0, 5.1, 9.0, 9.0], 1),
        ([0.1, 0.1, 3.0, 3.0, 3.0], 1),
        ([], 1),
    ],
)
def test_more_parts_go_beside_each_other_where_that_costs_little(seconds, at_once):
    pace = resumed_upload._Pace()
    for each in seconds:
        pace.took(each)
    assert pace() == at_once


@pytest.mark.slow
def test_an_upload_that_was_killed_goes_on_in_another_process(ground, there):
    size = 10 * PART + 1
    data = content(size, 2)
    (ground.disk / "a").write_bytes(data)
    first = ground.kill("disk:a", "far:a", 6 * PART)
    before: dict[str, list[int]] = {}
    while (now := there()) != before:  # what was on its way may still arrive
        before = now
        time.sleep(0.5)
    ((upload, numbers),) = now.items()
    assert numbers, "a part was to be there in the middle"
    assert not ground.node("direct:a").exists
    with ground.proxy.counting() as asked:
        second = ground.run("disk:a", "far:a")
    assert ground.node("direct:a").read_bytes() == data
    assert there() == {}
    assert ground.entries == []
    # What the server has had is not sent again. What it had not was on its way: four parts at most.
    assert sent(asked) == [each for each in range(1, 12) if each not in numbers]
    assert {each.query["uploadId"] for each in asked if each.method == "PUT"} == {upload}
    assert first + second <= 1.1 * size + 4 * PART


def test_an_upload_that_was_interrupted_goes_on(ground, there):
    ground.interrupt("disk:a", "far:a", SIZE // 2)
    (numbers,) = there().values()
    assert again(ground) == without(numbers)
    assert there() == {}


def test_an_upload_that_was_refused_goes_on(ground, there, half):
    assert again(ground) == without(half)
    assert there() == {}


@only_moto
def test_a_server_that_fails_for_a_while_is_sent_only_what_it_had_not(ground, there, break_off):
    break_off(status=503, code="SlowDown")
    assert again(ground) == without([1, 2, 3])
    assert there() == {}


def change_one_part(ground):
    data = bytearray(DATA)
    data[2 * PART + 5] ^= 1
    node = ground.node("disk:a")
    then = node.stat().mtime
    node.write_bytes(bytes(data))
    node._mount.set_mtime("a", then)
    return bytes(data)


@only_moto
def test_of_a_source_that_was_changed_secretly_no_old_part_is_used(ground, there, half):
    data = change_one_part(ground)
    assert again(ground, data) == [3, *without(half)]
    assert there() == {}


@only_moto
@pytest.mark.parametrize("data", [OTHER, DATA[: SIZE - 1], DATA + b"more"])
def test_a_source_that_was_changed_begins_anew(ground, there, half, data):
    ground.node("disk:a").write_bytes(data)
    assert again(ground, data) == EVERYTHING[: -(-len(data) // PART)]
    assert there() == {}


@only_moto
def test_another_content_type_begins_anew(ground, there, half):
    ground.storage.configure([{**ground.mounts[0], "cache_control": "no-cache"}])
    assert again(ground) == EVERYTHING
    assert there() == {}


def test_an_upload_that_somebody_has_aborted_begins_anew(ground, there, half):
    assert ground.storage.cleanup("direct", older_than=0) == 1
    assert there() == {}
    assert again(ground) == EVERYTHING
    assert there() == {}


@only_moto
def test_an_upload_that_is_aborted_meanwhile_begins_anew_at_once(ground, client, there):
    which = {"Bucket": ground.mounts[1]["bucket"], "Key": f"{ground.mounts[1]['prefix']}/a"}
    aborted = []

    def gate(asked):
        if asked.query.get("partNumber") == "5" and not aborted:
            aborted.append(asked.query["uploadId"])
            client.abort_multipart_upload(**which, UploadId=aborted[0])
        # moto's own word for it is 500.
        gone = asked.query.get("uploadId") in aborted
        return Refusal(404, "NoSuchUpload") if gone else None

    ground.proxy.gate = gate
    with ground.proxy.counting() as asked:
        copy(ground.storage, "disk:a", "far:a")
    assert aborted
    assert ground.node("direct:a").read_bytes() == DATA
    assert set(sent(asked)) == set(EVERYTHING)
    assert there() == {}


@only_moto
@pytest.mark.parametrize("damage", [lambda data: data[30:], lambda data: data[: len(data) // 2]])
def test_with_a_damaged_journal_it_begins_anew(ground, there, half, damage):
    (entry,) = ground.entries
    entry.write_bytes(damage(entry.read_bytes()))
    left = there()
    assert again(ground) == EVERYTHING
    # Nobody knows of the other one any more, except who cleans up.
    assert there() == left
    assert ground.storage.cleanup("direct", older_than=0) == 1


@only_moto
def test_an_upload_that_was_put_together_by_whoever_was_killed_then_is_not_sent_again(
    ground, client, there
):
    ground.proxy.gate = lambda asked: (
        Refusal(503, "SlowDown") if asked.operation == "POST?uploadId" else None
    )
    with pytest.raises(StorageError):
        copy(ground.storage, "disk:a", "far:a")
    ground.proxy.gate = None
    ((upload, numbers),) = there().items()
    assert numbers == EVERYTHING
    which = {"Bucket": ground.mounts[1]["bucket"], "Key": f"{ground.mounts[1]['prefix']}/a"}
    parts = [
        {"PartNumber": each["PartNumber"], "ETag": each["ETag"]}
        for each in client.list_parts(**which, UploadId=upload)["Parts"]
    ]
    client.complete_multipart_upload(**which, UploadId=upload, MultipartUpload={"Parts": parts})
    assert again(ground) == []


@only_moto
def test_an_upload_that_only_was_to_be_put_together_is(ground, there):
    ground.proxy.gate = lambda asked: (
        Refusal(503, "SlowDown") if asked.operation == "POST?uploadId" else None
    )
    with pytest.raises(StorageError):
        copy(ground.storage, "disk:a", "far:a")
    ground.proxy.gate = None
    assert again(ground) == []
    assert there() == {}


@only_moto
def test_parts_whose_etags_are_no_digests_are_known_by_what_was_noted(
    ground, monkeypatch, there, break_off
):
    # As with KMS, where an ETag says nothing: here it is our digest that is another one.
    plain = resumed_upload._md5
    monkeypatch.setattr(resumed_upload, "_md5", lambda data: plain(b"salt" + data))
    break_off(noted=3)
    data = change_one_part(ground)
    assert again(ground, data) == EVERYTHING[2:]
    assert there() == {}


@pytest.mark.slow
def test_of_two_copies_at_once_both_are_right_and_the_second_leaves_the_first_alone(ground, there):
    done, failures = [], []

    def work():
        try:
            done.append(copy(ground.storage, "disk:a", "far:a").bytes)
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(2)]
    with ground.proxy.counting() as asked:
        for each in threads:
            each.start()
        for each in threads:
            each.join()
    assert (done, failures) == ([SIZE, SIZE], [])
    # The second goes on its way as if it could not resume, in parts of 8 MiB.
    assert sorted(sent(asked)) == sorted([*EVERYTHING, *range(1, 6)])
    assert ground.node("direct:a").read_bytes() == DATA
    assert there() == {}
    assert ground.entries == []


@only_moto
def test_a_copy_that_is_not_to_resume_leaves_nothing_and_takes_nothing(
    ground, there, half, break_off
):
    break_off(how=lambda storage, source, target: storage.node(source).copy_to(target))
    assert list(there().values()) == [half]
    assert len(ground.entries) == 1


@only_moto
def test_where_nothing_can_be_noted_it_is_a_copy_as_any_other(ground, there, break_off):
    ground.state.write_bytes(b"in the way")
    break_off()
    assert there() == {}
    copy(ground.storage, "disk:a", "far:a")
    assert ground.node("direct:a").read_bytes() == DATA


@only_moto
def test_where_notes_end_in_the_middle_a_failure_leaves_nothing(
    ground, there, break_off, monkeypatch
):
    write = journal.Entry._write

    def full(self, at, data):
        write(self, at, data)
        self._give_up(OSError(28, "no space left"))

    monkeypatch.setattr(journal.Entry, "_write", full)
    break_off()
    assert there() == {}
    assert ground.entries == []


@only_moto
@pytest.mark.parametrize("when", ["before", "meanwhile"])
def test_a_target_that_must_not_be_there_stays(ground, there, half, when):
    if when == "before":
        ground.node("direct:a").write_bytes(b"theirs")
    else:

        def gate(asked):
            if asked.query.get("partNumber") == "5":
                ground.node("direct:a").write_bytes(b"theirs")

        ground.proxy.gate = gate
    with pytest.raises(StorageExistsError, match="far:a"):
        copy(ground.storage, "disk:a", "far:a", if_absent=True)
    assert ground.node("direct:a").read_bytes() == b"theirs"
    assert there() == {}
    assert ground.entries == []


@only_moto
def test_a_source_that_is_changed_while_it_is_sent_is_an_error_that_leaves_nothing(ground, there):
    def gate(asked):
        if asked.query.get("partNumber") == "5":
            with (ground.disk / "a").open("r+b") as file:
                file.write(b"changed")

    ground.proxy.gate = gate
    with pytest.raises(StorageChangedError, match="disk:a: changed while it was being copied"):
        copy(ground.storage, "disk:a", "far:a")
    assert not ground.node("direct:a").exists
    assert there() == {}
    assert ground.entries == []


@only_moto
def test_a_file_of_one_request_is_sent_as_always(ground):
    (ground.disk / "a").write_bytes(DATA[:RESUMABLE_UPLOAD])
    with ground.proxy.counting() as asked:
        copy(ground.storage, "disk:a", "far:a")
    assert [each.operation for each in asked] == ["PUT"]
    assert not ground.state.exists()


@only_moto
def test_a_copy_that_is_given_up_goes_on_and_tells_how_many_bytes_have_gone(ground, there):
    told, heard = [], []

    def take(count):
        if len(told) == 4:
            raise Stopped
        told.append(count)

    places = [Place(ground.node(each)._mount, "a") for each in ("disk:a", "far:a")]
    info = places[0].mount.stat("a")
    with pytest.raises(Stopped):
        resumable_copy(places[0], info, places[1], take=take)
    (numbers,) = there().values()
    with hearing_bytes(heard.append):
        assert resumable_copy(places[0], info, places[1]).bytes == SIZE
    assert sum(heard) == SIZE - len(numbers) * PART
    assert told == [PART] * 4
    assert there() == {}


@only_moto
def test_what_is_kept_with_a_file_is_kept_by_a_resumed_upload(ground, half):
    assert again(ground) == without(half)
    found = ground.node("direct:a").descriptor()
    copied = ground.node("disk:a")
    assert found.mtime == pytest.approx(copied.stat().mtime, abs=1e-6)
