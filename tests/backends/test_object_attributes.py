"""What the object stores keep beside the content, on the three of them: attributes, metadata."""

from __future__ import annotations

import threading
import types
from concurrent.futures import ThreadPoolExecutor

import pytest

from genro_storage import (
    Descriptor,
    StorageConfigError,
    StorageError,
    StorageManager,
    StorageNotFoundError,
    StoragePermissionError,
    StorageUnsupportedError,
    StorageValueError,
)
from tests.services.answers import Answer, AnswerServer
from tests.services.proxy import Proxy

pytestmark = pytest.mark.services

MIB = 1024 * 1024
KINDS = ["s3", "gcs", "azure"]
HEADERS = {
    "content_type": "text/x-own",
    "cache_control": "max-age=60",
    "content_disposition": 'attachment; filename="a.txt"',
    "content_encoding": "x-own",
    "content_language": "it",
}


def mount_of(request, kind, **more):
    return {**request.getfixturevalue(f"{kind}_mount"), **more}


def manager(mount):
    storage = StorageManager()
    storage.configure([{"name": "store", **mount}])
    return storage


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


@pytest.fixture
def storage(request, kind):
    with manager(mount_of(request, kind)) as made:
        yield made


@pytest.fixture
def small_uploads(monkeypatch):
    """Large uploads need not be that large."""
    monkeypatch.setattr("genro_storage.backends.s3.transfer.PART", 5 * MIB)
    monkeypatch.setattr("genro_storage.backends.s3.transfer.PUT_AT_ONCE", 6 * MIB)


def shown(found: Descriptor, names):
    return {name: getattr(found, name) for name in names}


# -- attributes -------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [5, 9 * MIB])
def test_what_is_written_with_a_file_is_what_its_descriptor_says(storage, small_uploads, size):
    node = storage.node("store:a.bin")
    metadata = {"colour": "blue", "town": "Köln"}
    node.write_bytes(b"x" * size, metadata=metadata, mtime=1_700_000_000.25, **HEADERS)
    found = node.descriptor()
    assert shown(found, HEADERS) == HEADERS
    assert dict(found.metadata) == metadata == node.get_metadata()
    assert (found.size, found.type, found.path) == (size, "file", "a.bin")
    assert found.mtime == 1_700_000_000.25
    assert found.etag == node.stat().etag
    with node.open("wb", content_type="text/x-other") as stream:
        stream.write(b"y")
    assert node.descriptor().content_type == "text/x-other"
    assert node.get_metadata() == {}


def test_the_content_type_follows_the_name_unless_it_is_given(storage):
    node = storage.node("store:a.svg")
    node.write_text("<svg/>")
    assert node.descriptor().content_type == "image/svg+xml"
    node.write_text("<svg/>", content_type="text/plain")
    assert node.descriptor().content_type == "text/plain"


def test_a_descriptor_of_no_file(storage):
    storage.node("store:d/a").write_bytes(b"x")
    assert storage.node("store:d").descriptor() == Descriptor("d", "directory")
    assert storage.node("store:").descriptor().type == "directory"
    with pytest.raises(StorageNotFoundError, match="store:none"):
        storage.node("store:none").descriptor()


def test_a_mount_has_defaults_for_what_is_written(request, kind):
    tags = {} if kind == "gcs" else {"tags": {"team": "a b"}}
    defaults = {"cache_control": "no-store", "metadata": {"origin": "here"}, **tags}
    with manager(mount_of(request, kind, **defaults)) as storage:
        node = storage.node("store:a")
        node.write_bytes(b"x")
        assert node.descriptor().cache_control == "no-store"
        assert node.get_metadata() == {"origin": "here"}
        node.write_bytes(b"x", cache_control="max-age=1", metadata={"more": "1"})
        assert node.descriptor().cache_control == "max-age=1"
        assert node.get_metadata() == {"origin": "here", "more": "1"}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"content_type": "a/b\r\nX-Evil: 1"}, "content_type"),
        ({"content_disposition": "attachment; filename=Köln"}, "RFC 8187"),
        ({"metadata": {"a b": "x"}}, "metadata key"),
        ({"metadata": {"a\r\nb": "x"}}, "metadata key"),
        ({"metadata": {"a": 1}}, "dict of str"),
        ({"metadata": {"mtime": "1"}}, "'mtime'"),
        *(
            ({"mtime": odd}, "mtime")
            for odd in (float("nan"), float("inf"), 1e300, -1e18, True, "1")
        ),
        ({"if_absent": True, "if_match": "x"}, "contradict"),
        *(({"if_match": odd}, "if_match") for odd in ("", 5, "é", "x\r\ny: z")),
    ],
)
def test_what_cannot_be_kept_is_refused_before_anything_is_written(storage, options, words):
    node = storage.node("store:a")
    with pytest.raises(StorageValueError, match=f"store:a.*{words}"):
        node.write_bytes(b"x", **options)
    assert not node.exists


def test_an_unknown_keyword_is_a_mistake_of_the_program(storage):
    node = storage.node("store:a")
    with pytest.raises(TypeError, match="colour"):
        node.write_bytes(b"x", colour="blue")
    node.write_bytes(b"x")
    with pytest.raises(StorageValueError, match="content_type belong to writing"):
        node.open("rb", content_type="a/b")


def test_tags_where_there_are_some(storage, kind):
    node = storage.node("store:a")
    if kind == "gcs":
        with pytest.raises(StorageUnsupportedError, match=r"store:a: cannot keep 'tags'"):
            node.write_bytes(b"x", tags={"a": "b"})
        assert not node.exists
        node.write_bytes(b"x")
        assert not node.capabilities.tags
        for step in (node.get_tags, lambda: node.set_tags({}), lambda: node.set_tags({"a": "b"})):
            with pytest.raises(StorageUnsupportedError, match=r"store:a: .* does not support tags"):
                step()
        return
    node.write_bytes(b"x", tags={"team": "a b"}, metadata={"colour": "blue"})
    assert node.capabilities.tags
    assert node.get_tags() == {"team": "a b"}
    before = node.stat().etag
    other = "" if kind == "s3" else "2"  # Azurite takes no empty ones
    node.set_tags({"stage": "draft", "other": other})
    assert node.get_tags() == {"stage": "draft", "other": other}
    node.set_tags({"stage": "done", "team": "c"}, merge=True)
    assert node.get_tags() == {"stage": "done", "other": other, "team": "c"}
    node.set_tags({}, merge=True)
    assert len(node.get_tags()) == 3
    node.set_tags({})
    assert node.get_tags() == {}
    assert (node.read_bytes(), node.get_metadata()) == (b"x", {"colour": "blue"})
    assert node.stat().etag == before


@pytest.mark.parametrize(
    ("tags", "words"),
    [
        ({f"k{number}": "" for number in range(11)}, "at most 10 tags, not 1"),
        ({"": "a"}, "1 to 128 characters, not 0"),
        ({"k" * 129: "a"}, "1 to 128 characters, not 129"),
        ({"k": "v" * 257}, "at most 256 characters; that of 'k' has 257"),
        ({"a\n": "b"}, r"the key of the tag 'a\\n' has the character '\\n'; tags have only"),
        ({"k": "y\x01"}, r"the value of the tag 'k' has the character '\\x01'"),
        ({"k": "\udcff"}, r"the character '\\udcff'"),
        ({"k": "a&b"}, "the character '&'"),
        ({"k": 1}, "dict of str to str"),
        (["k"], "dict of str to str"),
        ("k=v", "dict of str to str"),
        (None, "dict of str to str"),
    ],
)
@pytest.mark.parametrize("kind", ["s3", "azure"])
def test_tags_that_no_store_takes_change_nothing(storage, tags, words):
    node = storage.node("store:a")
    node.write_bytes(b"x", tags={"team": "a"})
    for merge in (False, True):
        with pytest.raises(StorageValueError, match=f"store:a.*{words}"):
            node.set_tags(tags, merge=merge)
    if tags is not None:
        with pytest.raises(StorageValueError, match=f"store:a.*{words}"):
            node.write_bytes(b"y", tags=tags)
    assert (node.get_tags(), node.read_bytes()) == ({"team": "a"}, b"x")


@pytest.mark.parametrize("kind", ["s3", "azure"])
def test_which_letters_tags_have_is_up_to_the_store(storage, kind):
    node = storage.node("store:a")
    node.write_bytes(b"x")
    plain = types.MappingProxyType({"a b+-=._:/": "A9 +-=._:/"})
    node.set_tags(plain)  # any mapping is one
    assert node.get_tags() == plain
    more = {"Größe": "ملف 3@"}
    if kind == "s3":
        node.set_tags(more)
        assert node.get_tags() == more
        return
    for step in (lambda: node.set_tags(more), lambda: node.write_bytes(b"y", tags=more)):
        with pytest.raises(
            StorageValueError, match=r"'Größe' has the character '\\xf6'; tags have"
        ):
            step()
    assert (node.get_tags(), node.read_bytes()) == (plain, b"x")


@pytest.mark.parametrize("kind", ["s3", "azure"])
def test_tags_of_nothing_of_a_directory_and_without_rights(storage):
    storage.node("store:d/a").write_bytes(b"x", tags={"team": "a"})
    storage.add_mount({"name": "inner", "path": "store:d", "permissions": "readonly"})
    for name, error in (("none", StorageNotFoundError), ("d", IsADirectoryError)):
        node = storage.node(f"store:{name}")
        for step in (node.get_tags, lambda node=node: node.set_tags({"a": "b"})):
            with pytest.raises(error, match=f"store:{name}"):
                step()
    locked = storage.node("inner:a")
    assert locked.get_tags() == {"team": "a"}
    with pytest.raises(
        StoragePermissionError, match="inner:a: the mount is configured as readonly"
    ):
        locked.set_tags({})
    assert locked.get_tags() == {"team": "a"}


@pytest.mark.parametrize("kind", ["s3", "azure"])
def test_tags_that_are_switched_off_are_neither_read_nor_written(request, kind):
    with manager(mount_of(request, kind, disable_tagging=True)) as storage:
        node = storage.node("store:a")
        node.write_bytes(b"x")
        assert not node.capabilities.tags
        for step in (node.get_tags, lambda: node.set_tags({"a": "b"})):
            with pytest.raises(StorageUnsupportedError, match=r"store:a: .*tag"):
                step()


@pytest.mark.parametrize("name", ["memory", "local"])
def test_a_mount_that_cannot_keep_them_says_so_and_writes_nothing(name, tmp_path):
    mount = {"type": "local", "path": str(tmp_path)} if name == "local" else {"type": "memory"}
    with manager(mount) as storage:
        node = storage.node("store:a")
        for step in (
            lambda: node.write_bytes(b"x", cache_control="no-store"),
            lambda: node.open("w", metadata={"a": "b"}),
            lambda: node.open("w+", tags={"a": "b"}),
        ):
            with pytest.raises(StorageUnsupportedError, match=r"store:a: cannot keep '\w+' with"):
                step()
        assert not node.exists
        node.write_bytes(b"x", mtime=7.0)
        assert node.mtime == 7.0


def test_a_copy_offers_what_it_knows_and_asks_for_nothing(storage, tmp_path):
    storage.add_mount({"name": "disk", "type": "local", "path": str(tmp_path)})
    storage.add_mount({"name": "ram", "type": "memory"})
    node = storage.node("store:a.txt")
    node.write_text("x", metadata={"colour": "blue"}, cache_control="no-store")
    for target in ("disk:a.txt", "ram:a.txt"):
        node.copy_to(target)
        assert storage.node(target).read_text() == "x"


def test_copies_leave_out_only_the_metadata_that_the_target_cannot_keep(request, caplog):
    """On Azure, whose keys have no dashes."""
    with manager(mount_of(request, "s3")) as storage:
        storage.add_mount({"name": "there", **mount_of(request, "azure")})
        node = storage.node("store:a.txt")
        node.write_text("x", metadata={"a-b": "1", "plain": "2"})
        node.copy_to("there:a.txt")
        assert storage.node("there:a.txt").get_metadata() == {"plain": "2"}
        assert "'a-b'" in caplog.text


def test_a_server_that_takes_tags_for_the_content_is_not_told_any(rclone_s3):
    with manager(rclone_s3.mount()) as storage:
        node = storage.node("store:tagged")
        node.write_bytes(b"x")
        for step in (
            node.get_tags,
            lambda: node.set_tags({"a": "b"}),
            lambda: node.set_tags({}),
            lambda: node.set_tags({"a": "b"}, merge=True),
        ):
            with pytest.raises(StorageError, match="store:tagged"):
                step()
            assert node.read_bytes() == b"x"


@pytest.mark.parametrize("mode", ["multipart", "header:cf-copy-destination-if-none-match:*"])
@pytest.mark.parametrize("engine", ["obstore", "fsspec"])
def test_a_copy_on_a_condition_keeps_tags(moto_server, engine, mode):
    config = moto_server.mount(engine=engine, copy_if_not_exists=mode)
    with manager(config) as storage:
        node = storage.node("store:a")
        node.write_bytes(b"x", tags={"team": "web"})
        node.copy_to("store:b", if_absent=True)
        assert storage.node("store:b").get_tags() == {"team": "web"}


_TAGS = b"<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>"


def test_a_file_that_looks_like_tags_is_none(rclone_s3):
    with manager(rclone_s3.mount()) as storage:
        looks, other = storage.node("store:tags.xml"), storage.node("store:other")
        looks.write_bytes(_TAGS)
        other.write_bytes(b"precious")
        with pytest.raises(StorageUnsupportedError, match="disable_tagging"):
            looks.get_tags()
        for tags in ({"a": "b"}, {}):
            with pytest.raises(StorageUnsupportedError, match="disable_tagging"):
                other.set_tags(tags)
        assert other.read_bytes() == b"precious"


def test_a_large_file_is_not_fetched_for_its_tags(rclone_s3):
    with Proxy(rclone_s3.port) as proxy:
        config = {**rclone_s3.mount(), "endpoint_url": f"http://127.0.0.1:{proxy.port}"}
        with manager(config) as storage:
            node = storage.node("store:large")
            node.write_bytes(bytes(4 * 1024 * 1024))
            with proxy.counting() as asked, pytest.raises(StorageError, match="disable_tagging"):
                node.get_tags()
        (request,) = asked
        assert request.headers["range"] == "bytes=0-262143"


@pytest.mark.parametrize("content", [b"", b"x", b"<a/>", b"<Tagging><Tag/></Tagging>", _TAGS])
def test_a_server_that_answers_with_the_file_is_not_told_any_tags(content):
    def answer(request):
        return Answer(200, content, (("ETag", '"1"'), ("Content-Type", "text/xml")))

    with (
        AnswerServer(answer) as server,
        manager({
            "type": "s3", "bucket": "b", "region": "us-east-1", "key": "k", "secret": "s",
            "endpoint_url": server.url, "retries": 0,
        }) as storage,
    ):  # fmt: skip
        for tags in ({"a": "b"}, {}):
            with pytest.raises(StorageError, match="store:a"):
                storage.node("store:a").set_tags(tags)
        assert {request.method for request in server.requests} == {"GET"}


# -- metadata ---------------------------------------------------------------------------------


def test_setting_metadata_replaces_or_merges_and_keeps_the_rest(storage, kind):
    tags = {} if kind == "gcs" else {"tags": {"team": "a"}}
    node = storage.node("store:a")
    node.write_bytes(b"x", mtime=1_700_000_000.25, metadata={"one": "1"}, **HEADERS, **tags)
    node.set_metadata({"two": "2", "town": "Köln"}, merge=True)
    assert node.get_metadata() == {"one": "1", "two": "2", "town": "Köln"}
    node.set_metadata({"One": "I"}, merge=True)
    assert {key.lower(): value for key, value in node.get_metadata().items()} == {
        "one": "I",
        "two": "2",
        "town": "Köln",
    }
    node.set_metadata({"three": "3"})
    assert node.get_metadata() == {"three": "3"}
    node.set_metadata({}, merge=True)
    assert node.get_metadata() == {"three": "3"}
    node.set_metadata({})
    assert node.get_metadata() == {}
    found = node.descriptor()
    assert shown(found, HEADERS) == HEADERS
    assert found.mtime == 1_700_000_000.25
    assert node.read_bytes() == b"x"


def test_metadata_of_nothing_and_of_a_directory(storage):
    storage.node("store:d/a").write_bytes(b"x")
    for name, error in (("none", StorageNotFoundError), ("d", IsADirectoryError)):
        for step in (
            lambda node: node.set_metadata({"a": "b"}),
            lambda node: node.set_metadata({"a": "b"}, merge=True),
            lambda node: node.get_metadata(),
        ):
            with pytest.raises(error, match=f"store:{name}"):
                step(storage.node(f"store:{name}"))


def test_a_content_that_comes_meanwhile_is_not_undone_by_metadata(storage, kind):
    node = storage.node("store:a")
    node.write_bytes(b"0")
    stop = threading.Event()

    def write():
        number = 0
        while not stop.is_set():
            number += 1
            node.write_bytes(b"%d" % number)
        return number

    with ThreadPoolExecutor(1) as pool:
        last = pool.submit(write)
        for number in range(15):
            try:
                storage.node("store:a").set_metadata({"n": str(number)})
            except OSError as error:
                assert "all the time" in str(error) or "meanwhile" in str(error)
        stop.set()
        written = last.result()
    assert node.read_bytes() == b"%d" % written


def test_metadata_that_are_merged_at_once_are_all_kept(storage, kind):
    """On S3 the condition of a copy onto itself sees contents, and no metadata: see the docs."""
    if kind == "s3":
        pytest.skip("S3 has no condition that sees metadata")
    node = storage.node("store:a")
    node.write_bytes(b"x")

    def merge(number):
        storage.node("store:a").set_metadata({f"k{number}": "v"}, merge=True)

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(merge, range(3)))
    assert node.get_metadata() == {f"k{number}": "v" for number in range(3)}


@pytest.mark.parametrize(
    "option",
    [{"cache_control": "a\r\nb"}, {"metadata": {"mtime": "1"}}, {"metadata": {"a": 1}}],
)
def test_defaults_that_cannot_be_kept_are_a_mistake_in_the_configuration(request, option):
    with pytest.raises(StorageConfigError, match=next(iter(option))):
        manager(mount_of(request, "s3", **option))


@pytest.mark.parametrize(("kind", "key"), [("s3", "a b"), ("gcs", "a b"), ("azure", "a-b")])
def test_default_metadata_that_a_service_cannot_hold_are_said_when_configuring(request, kind, key):
    with pytest.raises(StorageConfigError, match=rf"store.*metadata.*{key}"):
        manager(mount_of(request, kind, metadata={key: "x"}))


# -- what only one of them has ----------------------------------------------------------------


def test_encryption_and_storage_class_on_s3(request):
    with manager(mount_of(request, "s3", storage_class="STANDARD_IA")) as storage:
        node = storage.node("store:a")
        node.write_bytes(b"x", encryption="aws:kms:alias/mine")
        found = node.descriptor()
        assert (found.storage_class, found.encryption) == ("STANDARD_IA", "aws:kms:alias/mine")
        node.set_metadata({"a": "b"})
        found = node.descriptor()
        assert (found.storage_class, found.encryption) == ("STANDARD_IA", "aws:kms:alias/mine")
        node.write_bytes(b"x", encryption="AES256")
        assert node.descriptor().encryption == "AES256"
        node.copy_to("store:b")
        assert storage.node("store:b").descriptor().storage_class == "STANDARD_IA"


@pytest.mark.parametrize("size", [1, 40 * 1024 * 1024])
def test_the_access_tier_of_azure_is_its_storage_class(request, size):
    with manager(mount_of(request, "azure", storage_class="Cool")) as storage:
        node = storage.node("store:a")
        for given, expected in ({}, "Cool"), ({"storage_class": "cold"}, "Cold"):
            node.write_bytes(b"x" * size, **given)
            assert node.descriptor().storage_class == expected
        with pytest.raises(StorageValueError, match=r"store:a: .*'NOPE'; access tiers are .*Cool"):
            node.write_bytes(b"y", storage_class="NOPE")
        assert node.descriptor().storage_class == "Cold"


def test_setting_metadata_keeps_tags_on_s3(request, monkeypatch):
    mount = mount_of(request, "s3")
    with manager(mount) as storage:
        node = storage.node("store:a")
        node.write_bytes(b"x", tags={"team": "a b", "ü": "1"})
        store = node._mount.backend._store
        for limit in (1024 * MIB, 0):  # at once, and in parts
            monkeypatch.setattr("genro_storage.backends.s3.transfer.COPY_AT_ONCE", limit)
            node.set_metadata({"n": str(limit)})
            found = store._ask("get_object_tagging", Key=store_key(node))["TagSet"]
            assert {tag["Key"]: tag["Value"] for tag in found} == {"team": "a b", "ü": "1"}
        assert node.get_metadata() == {"n": "0"}


def store_key(node):
    return node._mount.backend._full(node.path)


def test_a_descriptor_is_one_request(request):
    with manager(mount_of(request, "s3")) as storage:
        node = storage.node("store:a")
        node.write_bytes(b"x")
        client, asked = node._mount.backend._store.client, []
        send = client._send

        async def noting(sdk, operation, parameters):
            asked.append((operation, parameters.get("ChecksumMode")))
            return await send(sdk, operation, parameters)

        client._send = noting
        node.descriptor()
        assert asked == [("head_object", "ENABLED")]


@pytest.mark.parametrize("kind", ["gcs", "azure"])
def test_a_descriptor_is_one_request_there_too(request, kind):
    with manager(mount_of(request, kind)) as storage:
        node = storage.node("store:a")
        node.write_bytes(b"x")
        sent = []
        client = node._mount.backend._remote.call(lambda client: client)
        request_of = client._session.request
        client._session.request = lambda *a, **k: sent.append(a[:2]) or request_of(*a, **k)
        node.descriptor()
        assert len(sent) == 1
