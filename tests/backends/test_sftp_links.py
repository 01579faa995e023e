"""Names and links on an SFTP server: what is odd is kept, and nothing leads out of the root."""

from __future__ import annotations

import os

import pytest

from genro_storage import StorageManager, StoragePathError, StoragePermissionError
from genro_storage.backends.sftp.files import SftpFiles
from tests.services.base import running
from tests.services.interrupted import within
from tests.services.sftp import RcloneSftp, mounted

pytestmark = pytest.mark.services


@pytest.fixture
def here(tmp_path):
    """The directory that the mount shows, as this machine sees it."""
    (tmp_path / "root").mkdir()
    return tmp_path / "root"


@pytest.fixture
def far(sshd, here):
    with StorageManager() as storage:
        storage.configure([{"name": "far", **sshd.mount(here)}])
        yield storage.node("far:")


def test_names_that_are_no_text_are_kept(here, far):
    name = b"caf\xe9.txt"
    with open(os.path.join(os.fsencode(here), name), "wb") as file:
        file.write(b"x")
    (child,) = far.children()
    assert child.read_bytes() == b"x"
    child.write_bytes(b"y")
    child.move_to(far / "d" / child.name)
    assert os.listdir(os.fsencode(here / "d")) == [name]
    assert (far / "d" / child.name).read_bytes() == b"y"


def test_a_name_without_any_bytes_is_refused(here, far):
    for step in (lambda n: n.write_bytes(b"x"), lambda n: n.exists):
        with pytest.raises(StoragePathError):
            step(far / "\ud800.txt")
    assert os.listdir(here) == []


@pytest.fixture
def links(here, tmp_path):
    """Links of every kind below the root, and a secret beside it."""
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret/key.txt").write_bytes(b"secret")
    (here / "d").mkdir()
    (here / "d/file.txt").write_bytes(b"inside")
    for name, target in {
        "to_file": "d/file.txt",
        "to_dir": "d",
        "absolute": str(here / "d/file.txt"),
        "around": "../root/d/file.txt",
        "out_file": "../secret/key.txt",
        "out_dir": str(tmp_path / "secret"),
        "up": "..",
        "broken": "nothing",
        "loop": "loop",
        "d/above": "..",
        "chain": "to_dir/above/to_file",
    }.items():
        (here / name).symlink_to(target)
    return here


@pytest.mark.parametrize("name", ["to_file", "absolute", "around", "chain", "to_dir/file.txt"])
def test_links_that_stay_inside_are_followed(links, far, name):
    node = far / name
    assert node.read_bytes() == b"inside"
    assert node.size == 6
    node.write_bytes(b"through the link")
    assert (links / "d/file.txt").read_bytes() == b"through the link"
    assert (links / "to_file").is_symlink() and (links / "to_dir").is_symlink()
    assert sorted(os.listdir(links / "d")) == ["above", "file.txt"]


@pytest.mark.parametrize(
    "path", ["out_file", "out_dir/key.txt", "up/secret/key.txt", "to_dir/above/out_dir/key.txt"]
)
def test_no_link_leads_out_of_the_root(links, far, tmp_path, path):
    node = far / path
    for step in (
        node.read_bytes,
        lambda: node.write_bytes(b"overwritten"),
        lambda: node.open("ab"),
        lambda: node.open("rb"),
        lambda: far._mount.set_mtime(path, 1.0) if "/" in path else node.read_bytes(),
        lambda: (far / "d/file.txt").copy_to(node),
    ):
        with pytest.raises(StoragePermissionError, match="far:"):
            step()
    if "/" in path:
        for step in (node.delete, lambda: node.move_to(far / "stolen"), lambda: node.exists):
            with pytest.raises(StoragePermissionError, match="leads out of the mount's root"):
                step()
    assert (tmp_path / "secret/key.txt").read_bytes() == b"secret"
    assert os.listdir(tmp_path / "secret") == ["key.txt"]


def test_a_root_at_the_top_has_no_outside(sshd, links, tmp_path):
    with mounted(sshd.mount("/")) as node:
        below = node / str(links).lstrip("/")
        assert (below / "out_file").read_bytes() == b"secret"
        assert (below / "out_dir/key.txt").read_bytes() == b"secret"


def test_a_root_behind_a_link_is_itself(sshd, links, tmp_path):
    (tmp_path / "way").symlink_to("root")
    with mounted(sshd.mount(tmp_path / "way")) as node:
        for name in ("to_file", "absolute", "chain", "to_dir/file.txt"):
            assert (node / name).read_bytes() == b"inside"
        with pytest.raises(StoragePermissionError):
            (node / "out_file").read_bytes()
        found = {info.path: info.type for info in node._mount.find("")}
        assert found["d/above"] == "link", "it leads to where the walk began"
        assert found["to_dir/file.txt"] == "file"
        # Where the link leads elsewhere, so does the mount.
        (tmp_path / "other").mkdir()
        (tmp_path / "other/new.txt").write_bytes(b"new")
        (tmp_path / "way").unlink()
        (tmp_path / "way").symlink_to("other")
        assert [child.name for child in node.children()] == ["new.txt"]


def test_links_are_told_for_what_they_are(links, far):
    found = {info.path: (info.type, info.symlink) for info in far._mount.scan("")}
    assert found == {
        "d": ("directory", False),
        "to_file": ("file", True),
        "to_dir": ("directory", True),
        "absolute": ("file", True),
        "around": ("file", True),
        "chain": ("file", True),
        "out_file": ("link", True),
        "out_dir": ("link", True),
        "up": ("link", True),
        "broken": ("link", True),
        "loop": ("link", True),
    }
    for path, (kind, _) in found.items():
        info = far._mount.stat(path)
        assert (info.type, info.symlink) == (kind, found[path][1])


def test_walking_a_tree_ends_where_links_form_circles(links, far):
    found = [info.path for info in far._mount.find("")]
    assert "to_dir/file.txt" in found and "d/above/d" not in found
    assert len(found) == len(set(found))


def test_removing_never_follows_a_link(links, far, tmp_path):
    for name in ("to_file", "to_dir", "out_file", "out_dir", "broken", "loop", "up"):
        (far / name).delete()
        assert not (links / name).is_symlink()
    (far / "d").delete()
    assert (links / "around").is_symlink()
    assert (tmp_path / "secret/key.txt").read_bytes() == b"secret"


def test_removing_a_tree_does_not_follow_what_became_a_link(here, far, monkeypatch):
    # As where another client is quick, or a server lists links as what they lead to.
    (far / "kept/file.txt").write_bytes(b"kept")
    (far / "gone/sub/file.txt").write_bytes(b"x")
    entries = SftpFiles.entries

    def swapped(self, path, **options):
        found = entries(self, path, **options)
        if path == "gone":
            os.rename(here / "gone/sub", here / "gone_sub")
            (here / "gone/sub").symlink_to("../kept")
        return found

    monkeypatch.setattr(SftpFiles, "entries", swapped)
    (far / "gone").delete()
    assert sorted(os.listdir(here)) == ["gone_sub", "kept"]
    assert (here / "kept/file.txt").read_bytes() == b"kept"


def test_no_time_is_set_through_a_link_that_leads_out(here, far, tmp_path):
    outside = tmp_path / "outside.txt"
    outside.write_bytes(b"x")
    (here / "out").symlink_to(outside)
    before = outside.stat().st_mtime_ns
    with pytest.raises(StoragePermissionError, match="out of the mount's root"):
        far._mount.set_mtime("out", 1.0)
    assert outside.stat().st_mtime_ns == before


def test_a_link_made_in_the_meantime_is_seen(links, far, tmp_path):
    (far / "sub/a.txt").write_bytes(b"mine")
    os.unlink(links / "sub/a.txt")
    os.rmdir(links / "sub")
    (links / "sub").symlink_to(tmp_path / "secret")
    with pytest.raises(StoragePermissionError):
        (far / "sub/key.txt").read_bytes()


def test_pipes_and_devices_are_not_waited_for(here, far):
    os.mkfifo(here / "pipe")
    assert far._mount.stat("pipe").type == "other"
    with within(20), pytest.raises(StoragePermissionError, match="not a regular file"):
        (far / "pipe").read_bytes()
    with within(20), pytest.raises(StoragePermissionError, match="not a regular file"):
        (far / "pipe").write_bytes(b"x")


def test_moving_one_of_two_names_of_a_file_leaves_one(here, far):
    (here / "a").write_bytes(b"x")
    os.link(here / "a", here / "b")
    (far / "a").move_to(far / "b")
    assert os.listdir(here) == ["b"]


@pytest.fixture(scope="module")
def careless_sftp(tmp_path_factory):
    class Careless(RcloneSftp):
        """A server to which small and capital letters are the same, as on Windows and macOS."""

        def command(self):
            return [*super().command(), "--vfs-case-insensitive"]

    yield from running(Careless, tmp_path_factory)


def test_moving_a_file_to_its_own_name_in_capitals_keeps_it(careless_sftp):
    with mounted(careless_sftp.mount("/")) as node:
        (node / "a.txt").write_bytes(b"the only one")
        (node / "a.txt").move_to(node / "A.txt")
        assert (node / "A.txt").read_bytes() == b"the only one"
        assert [child.basename for child in node.children()] == ["A.txt"]


def test_moving_a_file_through_its_directory_in_capitals_keeps_it(careless_sftp):
    with mounted(careless_sftp.mount("/")) as node:
        (node / "dir/b.txt").write_bytes(b"the only one")
        (node / "dir/b.txt").move_to(node / "DIR/b.txt")
        assert (node / "dir/b.txt").read_bytes() == b"the only one"
