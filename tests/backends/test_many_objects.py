"""The verbs of whoever moves many small files: one request each, and the same as the general way."""

from __future__ import annotations

import contextlib
import hashlib
import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from genro_storage import StorageError, StorageManager, StorageNotFoundError
from genro_storage.exceptions import StorageChangedError
from genro_storage.hearing import hearing_retries
from genro_storage.info import Attributes, Checksum
from tests.services.proxy import Proxy, Refusal

pytestmark = pytest.mark.services

MIB = 1024 * 1024
TIME = 1700000000.25
NAMES = ("d/plain.txt", "d/a b+%25 [x]*.txt", "d/ü?=&.bin", "d/~!@$'().csv")

_PLACES = {
    "local": ("tmp_path", lambda path: {"type": "local", "path": str(path)}),
    "memory": ("tmp_path", lambda _: {"type": "memory"}),
    "s3": ("moto_server", lambda server: server.mount()),
    "s3 by its SDK": ("moto_server", lambda server: {**server.mount(), "engine": "fsspec"}),
    "rclone": ("rclone_s3", lambda server: server.mount()),
    "gcs": ("gcs_mount", lambda mount: mount),
    "gcs by obstore": ("gcs_mount", lambda mount: {**mount, "engine": "obstore"}),
    "azure": ("azure_mount", lambda mount: mount),
    "azure by its SDK": ("azure_mount", lambda mount: {**mount, "engine": "fsspec"}),
}
_STORES = tuple(name for name in _PLACES if name not in ("local", "memory"))


@contextlib.contextmanager
def mounted(*configs):
    with StorageManager() as storage:
        names = [f"m{number}" for number in range(len(configs))]
        storage.configure(
            [{"name": name, **each} for name, each in zip(names, configs, strict=True)]
        )
        yield [storage.node(f"{name}:x")._mount for name in names]


def config_of(place, request):
    fixture, made = _PLACES[place]
    return made(request.getfixturevalue(fixture))


@pytest.fixture(params=_PLACES)
def mount(request):
    with mounted(config_of(request.param, request)) as (mount,):
        yield mount


@pytest.fixture(params=_STORES)
def store(request):
    with mounted(config_of(request.param, request)) as (mount,):
        yield mount


def operations(seen):
    return [asked.operation for asked in seen]


def listed(mount, path):
    return {info.path: info for info in mount.find(path) if info.type == "file"}


# -- loading ----------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 5, 70_000, 3 * MIB])
def test_a_file_is_loaded_whole(mount, size):
    data = os.urandom(size)
    mount.write_bytes("d/a.bin", data)
    loaded = mount.load("d/a.bin")
    assert loaded.data == data
    assert loaded.attributes.offered


@pytest.mark.parametrize("metadata", [None, {"Colour": "blue", "town": "Köln"}])
def test_loading_tells_what_was_kept_with_a_file(store, metadata):
    kept = Attributes(TIME, None, "text/x-mine", metadata)
    store.write_bytes("d/a.txt", b"hello", attributes=kept)
    loaded = store.load("d/a.txt")
    assert loaded.data == b"hello"
    assert loaded.attributes == Attributes(
        TIME, None, "text/x-mine", store.get_metadata("d/a.txt"), offered=True
    )
    assert {name.lower(): value for name, value in loaded.attributes.metadata.items()} == {
        name.lower(): value for name, value in (metadata or {}).items()
    }


def test_what_is_no_file_is_not_loaded(mount):
    mount.write_bytes("d/e/a.txt", b"hello")
    with pytest.raises(StorageNotFoundError, match="m0:d/none"):
        mount.load("d/none")
    for path in ("d/e", ""):
        with pytest.raises(IsADirectoryError):
            mount.load(path)


def test_a_tree_is_found_and_a_file_is_none(mount):
    mount.write_bytes("d/e/a.txt", b"hello")
    mount.write_bytes("d.txt", b"")
    assert [info.path for info in mount.find_tree("d")] == ["d/e", "d/e/a.txt"]
    with pytest.raises(NotADirectoryError, match=r"m0:d/e/a\.txt"):
        list(mount.find_tree("d/e/a.txt"))
    with pytest.raises(StorageNotFoundError, match="m0:none"):
        list(mount.find_tree("none"))


# -- comparing --------------------------------------------------------------------------------


def test_a_listing_proves_the_same_content(store):
    data = b"hello"
    store.write_bytes("d/a.txt", data)
    info = listed(store, "d")["d/a.txt"]
    assert store.probable_checksum(info) == Checksum("md5", hashlib.md5(data).hexdigest())
    assert store.probable_checksum(info._replace(path="d", type="directory", checksum=None)) is None


def test_an_etag_of_another_kind_proves_nothing(moto_server):
    with mounted(moto_server.mount()) as (mount,):
        mount.write_bytes("a.txt", b"hello")
        info = listed(mount, "")["a.txt"]
        assert mount.probable_checksum(info._replace(etag="0" * 32 + "-2")) is None
        assert mount.probable_checksum(info._replace(etag=None)) is None


# -- copying ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_a_listed_file_is_copied_with_what_was_kept(mount, name):
    if not mount.capabilities.copy_optimization:
        pytest.skip("it does not copy by itself")
    mount.write_bytes(name, b"hello")
    if mount.capabilities.metadata:
        mount.write_bytes(name, b"hello", attributes=Attributes(TIME, None, "text/x-mine"))
        mount.set_metadata(name, {"colour": "blue"})
    mount.write_bytes("copied/" + name, b"old")
    before = mount.descriptor(name)
    mount.copy_listed(listed(mount, "d")[name], mount, "copied/" + name)
    after = mount.descriptor("copied/" + name)
    assert mount.read_bytes("copied/" + name) == b"hello"
    for told in ("size", "content_type", "metadata", "checksums"):
        assert getattr(after, told) == getattr(before, told)
    if mount.capabilities.metadata:
        assert after.mtime == before.mtime == TIME


def test_a_listed_file_that_has_gone_is_named(mount):
    if not mount.capabilities.copy_optimization:
        pytest.skip("it does not copy by itself")
    mount.write_bytes("a.txt", b"hello")
    mount.write_bytes("old.txt", b"old")
    info = listed(mount, "")["a.txt"]
    mount.remove("a.txt")
    with pytest.raises(StorageNotFoundError, match=r"a\.txt"):
        mount.copy_listed(info, mount, "old.txt")
    assert mount.read_bytes("old.txt") == b"old"


def test_copying_a_file_onto_itself_changes_nothing(store):
    store.write_bytes("a.txt", b"hello")
    store.copy_listed(listed(store, "")["a.txt"], store, "a.txt")
    assert store.read_bytes("a.txt") == b"hello"


# -- requests ---------------------------------------------------------------------------------


@pytest.fixture(params=["moto_server", "rclone_s3"])
def server(request):
    return request.getfixturevalue(request.param)


@pytest.fixture
def proxy(server):
    with Proxy(server.port) as proxy:
        yield proxy


@pytest.mark.parametrize("engine", ["obstore", "fsspec"])
@pytest.mark.parametrize("size", [0, 5, 300_000])
def test_loading_a_file_of_s3_is_one_request(server, proxy, engine, size):
    data = os.urandom(size)
    with mounted({**server.mount(), "endpoint_url": proxy.url, "engine": engine}) as (mount,):
        mount.write_bytes("a.txt", data)
        with proxy.counting() as seen:
            assert mount.load("a.txt").data == data
        assert operations(seen) == ["GET"]


@pytest.mark.parametrize("engine", ["obstore", "fsspec"])
def test_copying_a_listed_file_of_s3_is_one_request(server, proxy, engine):
    config = {**server.mount(), "endpoint_url": proxy.url, "engine": engine}
    below = {**config, "prefix": config["prefix"] + "/below"}
    with mounted(config, below) as (mount, other):
        mount.write_bytes("a.txt", b"hello")
        info = listed(mount, "")["a.txt"]
        for target in (mount, other):
            target.write_bytes("connected.txt", b"")
            with proxy.counting() as seen:
                mount.copy_listed(info, target, "first.txt")
            # obstore shows nothing of the answer: the first copy is looked at.
            assert operations(seen) == ["PUT", "HEAD"][: 2 if engine == "obstore" else 1]
            with proxy.counting() as seen:
                mount.copy_listed(info, target, "second.txt")
            assert operations(seen) == ["PUT"]
            assert seen[0].headers["x-amz-copy-source"].endswith("/a.txt")
            assert target.read_bytes("second.txt") == b"hello"


def test_what_a_mount_gives_to_copies_is_told_without_a_look(moto_server):
    with Proxy(moto_server.port) as proxy:
        config = {**moto_server.mount(), "endpoint_url": proxy.url, "storage_class": "STANDARD_IA"}
        bucket = moto_server.make_bucket("many-objects")
        with mounted(config, {**config, "bucket": bucket}) as (mount, other):
            mount.write_bytes("a.txt", b"hello")
            info = listed(mount, "")["a.txt"]
            for target in (mount, other):
                with proxy.counting() as seen:
                    mount.copy_listed(info, target, "b.txt")
                assert operations(seen) == ["PUT"]
                assert seen[0].headers["x-amz-storage-class"] == "STANDARD_IA"
                assert target.read_bytes("b.txt") == b"hello"


def test_a_copy_that_a_server_only_says_it_made_is_none(moto_server):
    def gate(asked):
        return Refusal(200, "Nothing") if "x-amz-copy-source" in asked.headers else None

    with Proxy(moto_server.port, gate=gate) as proxy:
        config = {**moto_server.mount(retries=0), "endpoint_url": proxy.url}
        with mounted(config) as (mount,):
            mount.write_bytes("a.txt", b"hello")
            info = listed(mount, "")["a.txt"]
            with pytest.raises(StorageError):
                mount.copy_listed(info, mount, "b.txt")


def test_everything_below_a_directory_is_listed_by_one_request_for_a_thousand_keys(server, proxy):
    with mounted({**server.mount(), "endpoint_url": proxy.url}) as (mount,):
        for number in range(12):
            mount.write_bytes(f"d/{number % 3}/{number}.txt", b"")
        with proxy.counting() as seen:
            assert len(list(mount.find("d"))) == 15
        assert operations(seen) == ["LIST"]
        mount.write_bytes("d-sibling", b"")
        with proxy.counting() as seen:
            assert len(list(mount.find_tree("d"))) == 15
        assert operations(seen) == ["LIST"]


NEIGHBOURS = ("t", "t-1/x", "t.txt", "t/a", "t/b/c", "t0", "u")


@pytest.mark.parametrize(
    ("there", "found"),
    [
        (NEIGHBOURS[1:], ["t/a", "t/b", "t/b/c"]),
        (NEIGHBOURS, None),  # a file of the same name is what is named
        (("t", "u"), None),
        (("t/a",), ["t/a"]),
        (("t-1", "t0"), FileNotFoundError),
        ((), FileNotFoundError),
    ],
)
def test_a_tree_is_listed_without_a_look_unless_it_is_a_file(moto_server, there, found):
    with mounted(moto_server.mount()) as (mount,):
        for name in there:
            mount.write_bytes(name, b"1")
        with contextlib.ExitStack() as stack:
            if not isinstance(found, list):
                stack.enter_context(pytest.raises(found or NotADirectoryError))
            assert [info.path for info in mount.find_tree("t")] == found


def test_a_tree_beside_many_neighbours_is_listed_whole(moto_server):
    with Proxy(moto_server.port) as proxy:
        config = {**moto_server.mount(), "endpoint_url": proxy.url}
        with mounted(config) as (mount,), ThreadPoolExecutor(8) as pool:
            for names in (
                [f"t-{number:04}" for number in range(1100)],
                [f"t/{number:04}" for number in range(1100)],
                [f"t0{number:04}" for number in range(1100)],
            ):
                list(pool.map(lambda name: mount.write_bytes(name, b""), names))
            with proxy.counting() as seen:
                found = [info.path for info in mount.find_tree("t")]
            assert found == [f"t/{number:04}" for number in range(1100)]
            assert operations(seen) == ["LIST"] * 3  # one of which shows neighbours only
            mount.remove_many(f"t-{number:04}" for number in range(1100))
            with proxy.counting() as seen:
                assert len(list(mount.find_tree("t"))) == 1100
            assert operations(seen) == ["LIST"] * 2
            # The neighbours after it are not gone through.
            with proxy.counting() as seen:
                assert len(list(mount.find_tree("t", enter=lambda info: False))) == 1100
            assert operations(seen) == ["LIST"] * 2


def test_a_server_that_sends_the_whole_for_a_range_is_asked_for_the_whole_from_then_on(rclone_s3):
    data = os.urandom(300_000)
    with (
        Proxy(rclone_s3.port) as proxy,
        mounted({**rclone_s3.mount(), "endpoint_url": proxy.url, "engine": "obstore"}) as (mount,),
    ):
        for name, size in (("small", 5), ("middling", 200_000), ("large", 300_000)):
            mount.write_bytes(name, data[:size])
        for name, size, requests in (("small", 5, 2), ("middling", 200_000, 1)):
            with proxy.counting() as seen, mount.open_read(name) as stream:
                assert stream.read() == data[:size]
            assert operations(seen) == ["GET"] * requests
            assert "range" not in seen[-1].headers
            assert all("object_store" in asked.headers["user-agent"] for asked in seen)
        with mount.open_read("large") as stream:
            assert stream.read(3) == data[:3]
            stream.seek(299_990)
            assert stream.read() == data[299_990:]
            stream.seek(0)
            assert stream.read() == data


# -- the lean way of writing is the same as the general one -----------------------------------


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"store_checksums": "never"},
        {"keep_mtime": False},
        {"cache_control": "no-store", "storage_class": "STANDARD_IA"},
        {"metadata": {"Town": "Köln"}},
        {"metadata": {"much": "x" * 1950}},
        {"tags": {"a": "b"}},
        {"default_content_type": "text/x-default"},
        {"server_side_encryption": "AES256"},
    ],
    ids=str,
)
@pytest.mark.parametrize(
    "attributes",
    [
        None,
        Attributes(TIME, offered=True),
        Attributes(TIME, None, "text/x-mine", {}, offered=True),
        Attributes(TIME, None, "odd\r\n", None, offered=True),
        Attributes(None, 0o600, None, {"colour": "blue"}, offered=True),
        Attributes(7, content_language="it", tags={"c": "d"}),
    ],
    ids=["nothing", "time", "type", "odd type", "metadata", "more"],
)
def test_a_write_keeps_the_same_whichever_way_it_goes(moto_server, more, attributes):
    with mounted({**moto_server.mount(), **more}) as (mount,):
        for name in ("page.html", "unknown"):
            seen = []
            for folder, general in (("a", False), ("b", True)):
                path = f"{folder}/{name}"
                mount.write_bytes(path, b"hello", attributes=attributes, if_absent=general)
                head = mount.backend._store.head(mount.backend._full(path))
                known = {key: head[key] for key in head if key not in _OF_THE_ANSWER}
                seen.append((known, mount.get_tags(path)))
                assert mount.read_bytes(path) == b"hello"
            assert seen[0] == seen[1]


_OF_THE_ANSWER = ("ResponseMetadata", "LastModified")


def test_many_types_of_content_are_not_remembered_for_ever(moto_server):
    with mounted(moto_server.mount()) as (mount,):
        for number in range(300):
            mount.backend._told_for(Attributes(None, None, f"text/{number}"))
        assert len(mount.backend._prepared) <= 256


# -- who hears of what is tried again ---------------------------------------------------------


class _Script:
    """The faults of the next requests, one after the other."""

    pause = 0.0

    def __init__(self, *faults):
        self.left = list(faults)

    def next(self):
        return self.left.pop(0) if self.left else None


@pytest.mark.parametrize(
    ("fault", "verb"),
    [
        ("slow_down", lambda mount, info, path: mount.load(info.path)),
        ("slow_down", lambda mount, info, path: mount.write_bytes("new.bin", b"x")),
        ("slow_down", lambda mount, info, path: mount.copy_listed(info, mount, "new.bin")),
        ("cut_download", lambda mount, info, path: mount.download(info.path, path)),
    ],
    ids=["load", "write", "copy", "download"],
)
@pytest.mark.parametrize("engine", ["obstore", "fsspec"])
def test_a_request_that_is_repeated_is_heard_of(moto_server, tmp_path, engine, fault, verb):
    data = os.urandom(20 * MIB if fault == "cut_download" else 5)
    with (
        Proxy(moto_server.port) as proxy,
        mounted({**moto_server.mount(retries=3), "endpoint_url": proxy.url, "engine": engine}) as (
            mount,
        ),
    ):
        mount.write_bytes("a.bin", data)
        info = listed(mount, "")["a.bin"]
        heard = []
        proxy.faults = _Script(fault)
        with hearing_retries(heard.append):
            verb(mount, info, tmp_path / "a.bin")
        assert len(heard) == 1
        if fault == "cut_download":
            assert (tmp_path / "a.bin").read_bytes() == data


def test_what_was_replaced_since_its_listing_is_not_taken_for_what_was_listed(moto_server):
    # The server does not know the condition, which stands in for it here; obstore has no word for
    # it, so that the SDK copies.
    now = hashlib.md5(b"HELLO").hexdigest()

    def gate(asked):
        wanted = asked.headers.get("x-amz-copy-source-if-match")
        return None if wanted in (None, f'"{now}"') else Refusal(412, "PreconditionFailed")

    with Proxy(moto_server.port, gate=gate) as proxy:
        config = {**moto_server.mount(), "endpoint_url": proxy.url, "engine": "fsspec"}
        with mounted(config) as (mount,):
            mount.write_bytes("a.txt", b"hello")
            mount.write_bytes("old.txt", b"old")
            info = listed(mount, "")["a.txt"]
            mount.write_bytes("a.txt", b"HELLO")
            with pytest.raises(StorageChangedError, match="since it was listed"):
                mount.copy_listed(info, mount, "old.txt")
            assert mount.read_bytes("old.txt") == b"old"
            with proxy.counting() as seen:
                mount.copy_listed(listed(mount, "")["a.txt"], mount, "old.txt")
            copy = next(each for each in seen if "x-amz-copy-source" in each.headers)
            assert copy.headers["x-amz-copy-source-if-match"] == f'"{now}"'
            assert mount.read_bytes("old.txt") == b"HELLO"
