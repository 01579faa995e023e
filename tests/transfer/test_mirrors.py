"""What a mirror must never remove, whatever happens while it is made."""

from __future__ import annotations

import os

import pytest

from genro_storage import StorageManager
from genro_storage.backends.local import LocalBackend
from genro_storage.exceptions import StorageError, StorageValueError
from genro_storage.mount import Mount
from tests.support.trees import Streaming, content, fill

TREE = {"a.txt": b"a", "d/b.txt": b"bb", "d/c.txt": b"ccc"}


@pytest.fixture
def disk(tmp_path):
    with StorageManager() as storage:
        for name in ("src", "dst"):
            (tmp_path / name).mkdir()
            storage.configure([{"name": name, "type": "local", "path": str(tmp_path / name)}])
        fill(storage.node("src:")._mount, "", TREE)
        fill(storage.node("dst:")._mount, "", TREE)
        yield storage


def there(storage):
    return content(storage.node("dst:")._mount, "")


@pytest.mark.services
def test_one_bucket_by_two_keys_is_no_mirror_of_itself(moto_server):
    config = moto_server.mount()
    other = {
        **config,
        "key": "another",
        "endpoint_url": config["endpoint_url"].replace("127.0.0.1", "localhost"),
    }
    with StorageManager() as storage:
        storage.configure([{"name": "a", **config}, {"name": "b", **other}])
        fill(storage.node("a:x")._mount, "site/current", TREE)
        for source, target in (
            ("a:site/current", "b:site"),
            ("a:site", "b:site/current"),
            ("a:site", "b:site"),
        ):
            with pytest.raises(StorageValueError, match="would remove its source"):
                storage.node(source).sync(target, delete=True)
        assert content(storage.node("b:x")._mount, "site/current") == TREE
        # Another place of the bucket, or another bucket, is one.
        assert storage.node("a:site/current").sync("b:elsewhere", delete=True).copied == 3


def test_a_directory_that_vanishes_while_it_is_listed_is_not_taken_for_empty(disk, tmp_path):
    class Deployed(LocalBackend):
        """Somebody swaps a directory while it is listed."""

        def _real_directory(self, path):
            if path == "d" and not done:
                done.append(path)
                raise FileNotFoundError(2, "away for a moment", path)
            return super()._real_directory(path)

    done = []
    source = disk.node("src:")
    source._mount = Mount("src", Deployed(tmp_path / "src"))
    with pytest.raises(StorageError, match="'d' was there and then not, while it was listed"):
        source.sync("dst:", delete=True)
    assert there(disk) == TREE
    assert source.sync("dst:", delete=True).deleted == 0


def during(change):
    """A backend to copy to in which something else happens while a file is written."""

    class Meddled(Streaming):
        def write_bytes(self, path, data, **options):
            super().write_bytes(path, data, **options)
            if path == "out/a.txt":
                change(self)

    return Meddled


def mirrored(change_source=None, change_target=None, extra=("gone",)):
    source = Mount("src", Streaming())
    target = Mount(
        "dst",
        during(
            lambda backend: (
                change_source and change_source(source),
                change_target and change_target(backend),
            )
        )(),
    )
    fill(source, "in", TREE)
    fill(target, "out", dict.fromkeys(extra, b"old"))
    with StorageManager() as storage:
        storage.configure([{"name": "src", "type": "memory"}])
        here, there = storage.node("src:in"), storage.node("src:out")
        here._mount, there._mount = source, target
        return here.sync(there, delete=True, skip="exists"), content(target, "out")


def test_what_the_source_has_got_meanwhile_is_not_removed():
    report, found = mirrored(lambda source: source.write_bytes("in/gone", b"new"), None)
    assert (report.deleted, report.spared) == (0, 1)
    assert found["gone"] == b"old"


def test_what_has_changed_at_the_destination_meanwhile_is_not_removed():
    report, found = mirrored(None, lambda backend: backend.put("out/gone", b"of somebody else"))
    assert (report.deleted, report.spared) == (0, 1)
    assert found["gone"] == b"of somebody else"
    report, found = mirrored()
    assert (report.deleted, report.spared, found) == (1, 0, TREE)


def test_a_directory_that_becomes_a_link_meanwhile_is_not_followed(disk, tmp_path):
    fill(disk.node("dst:")._mount, "", {"other/x": b"precious", "gone/x": b"precious"})
    fill(disk.node("src:")._mount, "", {"other/x": b"precious", "a0": b"new"})

    def swap(_):
        if not (tmp_path / "dst/gone").is_symlink():
            (tmp_path / "dst/gone").rename(tmp_path / "away")
            (tmp_path / "dst/gone").symlink_to("other")

    report = disk.node("src:").sync("dst:", delete=True, on_file=swap)
    assert (report.deleted, report.spared) == (0, 1)
    assert there(disk)["other/x"] == b"precious"


@pytest.mark.parametrize("kind", ["link", "filtered"])
def test_a_directory_of_the_name_of_something_that_is_not_copied_stays(disk, tmp_path, kind):
    fill(
        disk.node("dst:")._mount, "", {"photos/1.jpg": b"1", "photos-/x": b"2", "photos.txt": b"3"}
    )
    options = {}
    if kind == "link":
        (tmp_path / "src/photos").symlink_to("/nowhere/at/all")
    else:
        (tmp_path / "src/photos").write_bytes(b"a file that is left out")
        options = {"exclude": "photos"}
    report = disk.node("src:").sync("dst:", delete=True, **options)
    assert there(disk) == {**TREE, "photos/1.jpg": b"1"}
    assert report.deleted == 3  # photos-/x, photos- and photos.txt


@pytest.mark.parametrize("what", ["directory", "link"])
def test_a_source_without_a_file_is_empty_whatever_else_it_has(disk, tmp_path, what):
    disk.node("src:a.txt").delete()
    disk.node("src:d").delete()
    if what == "directory":
        (tmp_path / "src/lost+found").mkdir()
    else:
        (tmp_path / "src/link").symlink_to("/nowhere/at/all")
    with pytest.raises(
        StorageError, match="has no files, so that a mirror of it would remove all 3"
    ):
        disk.node("src:").sync("dst:", delete=True)
    assert there(disk).items() >= TREE.items()


def test_a_filter_is_told_of_the_node_that_is_there(disk):
    disk.node("dst:own.txt").write_text("#keep")
    disk.node("dst:other.txt").write_text("not kept")

    def chosen(node, relpath):
        return not node.read_text().startswith("#keep")

    report = disk.node("src:").sync("dst:", delete=True, filter=chosen)
    assert report.deleted == 1
    assert there(disk) == {**TREE, "own.txt": b"#keep"}


def test_what_cannot_be_removed_is_a_failure_among_others_if_so_asked():
    class Stubborn(Streaming):
        def remove_many(self, paths):
            raise PermissionError(13, "not this one")

    target = Mount("dst", Stubborn())
    fill(target, "out", {"own": b"1"})
    with StorageManager() as storage:
        storage.configure([{"name": "src", "type": "memory"}])
        fill(storage.node("src:")._mount, "in", TREE)
        node = storage.node("src:out")
        node._mount = target
        with pytest.raises(StorageError, match="not this one"):
            storage.node("src:in").sync(node, delete=True)
        report = storage.node("src:in").sync(node, delete=True, on_error="collect")
        assert (report.failed, report.deleted) == (1, 0)


def test_a_tree_that_is_copied_onto_the_one_above_it_stops_at_the_first_error(tmp_path):
    class Refusing(LocalBackend):
        def copy(self, source, target):
            if target == "p/f":
                raise PermissionError(13, "not this one", target)
            super().copy(source, target)

        def upload(self, source, path, **options):
            if path == "p/f":
                raise PermissionError(13, "not this one", path)
            return super().upload(source, path, **options)

    mount = Mount("disk", Refusing(tmp_path))
    fill(mount, "", {"p/p/f": b"inner", "p/f2": b"other"})
    (tmp_path / "p/p/p").mkdir()
    with StorageManager() as storage:
        storage.configure([{"name": "disk", "type": "local", "path": str(tmp_path)}])
        source, target = storage.node("disk:p/p"), storage.node("disk:p")
        source._mount = target._mount = mount
        with pytest.raises(StorageError, match="permission denied"):
            source.copy_to(target, on_error="collect")
        assert (tmp_path / "p/p/f").read_bytes() == b"inner"
    assert os.listdir(tmp_path) == ["p"]


@pytest.mark.services
def test_what_no_path_can_express_is_told(moto_server, caplog):
    import boto3

    config = moto_server.mount()
    client = boto3.client(
        "s3", endpoint_url=config["endpoint_url"], aws_access_key_id=config["key"],
        aws_secret_access_key=config["secret"], region_name="us-east-1",
    )  # fmt: skip
    with StorageManager() as storage:
        storage.configure([{"name": "a", **config}, {"name": "m", "type": "memory"}])
        fill(storage.node("a:x")._mount, "odd", TREE)
        client.put_object(
            Bucket=config["bucket"],
            Key="/".join(filter(None, (config.get("prefix"), "odd//double.txt"))),
            Body=b"1",
        )
        report = storage.node("a:odd").sync("m:odd")
        assert str(report) == "3 copied, 0 skipped, 1 left out (no path can express their names)"
        check = storage.node("a:odd").check("m:odd")
        assert not check.ok
        assert str(check) == "3 same, 1 unknown"
