"""What is found out about how a place takes names is what it does with them."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import unicodedata
from pathlib import Path

import pytest

from genro_storage import StorageCollisionError, StorageManager, StorageNotFoundError
from genro_storage.backends import local_names
from genro_storage.backends.spellings import Told, told_by
from genro_storage.backends.temporary_names import is_temporary, spelling_name
from genro_storage.paths import Folding

NFC, NFD = "caf\u00e9", "cafe\u0301"
BOTH, CASE, FORM, NONE = Folding(True, True), Folding(True), Folding(False, True), Folding()


@pytest.fixture
def opened():
    with StorageManager() as storage:

        def open_mount(name="m", **config):
            storage.configure([{"name": name, **config}])
            return storage.node(f"{name}:")

        yield open_mount


def folding(node):
    return node._mount.folding(node._path)


def does(root):
    """How the place really takes names."""
    with contextlib.suppress(FileExistsError):
        root.mkdir()
    name = secrets.token_hex(4) + "x"
    (root / f"{name}{NFC}").write_bytes(b"there")
    found = []
    for other in (f"{name.upper()}{NFC}", f"{name}{NFD}"):
        try:
            found.append((root / other).read_bytes() == b"there")
        except StorageNotFoundError:
            found.append(False)
    (root / f"{name}{NFC}").delete()
    return Folding(*found)


# -- what names tell ------------------------------------------------------------------------------


def told(names, *, case=False, form=False):
    folds = Folding(case, form)
    there = {folds.key(name) for name in names}
    return told_by(set(names), lambda name: folds.key(name) in there)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ([], (None, None)),
        (["1", "-", "é"], (None, True)),
        (["a"], (True, None)),
        ([NFD], (True, True)),
        (["a", "A"], (None, None)),  # somebody has made both, here or by a link
        (["a", "A", "b"], (True, None)),
        ([NFC, NFD], (True, None)),
        ([spelling_name()], (True, True)),
    ],
)
def test_a_name_that_is_found_in_another_spelling_tells(names, expected):
    assert told(names, case=True, form=True) == expected
    sure = [None if each is None else False for each in expected]
    if {NFC, NFD} - set(names) and names != ["a", "A", "b"]:
        assert [*told(names)] == sure


def test_a_name_that_has_gone_meanwhile_tells_nothing():
    assert told_by(["gone"], lambda name: False) == Told()
    assert told_by(["gone", "there"], lambda name: name == "there") == Told(case=False)


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_the_name_that_is_tried_is_a_hidden_one_in_both_forms(form):
    made = unicodedata.normalize(form, spelling_name())
    assert is_temporary(made)
    assert not is_temporary(made + "x")


# -- local ----------------------------------------------------------------------------------------

LOCAL = {
    "local": lambda root: {"type": "local", "path": str(root)},
    "fsspec": lambda root: {"type": "fsspec", "filesystem": "file", "path": str(root)},
}


@pytest.fixture(params=LOCAL)
def local(request, opened):
    return lambda root: opened(**LOCAL[request.param](root))


def test_a_directory_is_tried_and_left_as_it_was(local, tmp_path):
    root = local(tmp_path)
    assert folding(root) == does(root)
    assert folding(root / "not/yet/there") == folding(root)
    assert os.listdir(tmp_path) == []


def test_a_file_in_the_way_is_no_directory(local, tmp_path):
    (tmp_path / "f").write_bytes(b"x")
    assert folding(local(tmp_path) / "f/g") == does(local(tmp_path))


def test_a_missing_root_is_said(local, tmp_path):
    (tmp_path / "r").mkdir()
    root = local(tmp_path / "r")
    (tmp_path / "r").rmdir()
    with pytest.raises(StorageNotFoundError, match="m:"):
        folding(root)


def test_a_directory_that_takes_no_file_is_looked_at(local, tmp_path, monkeypatch):
    """By its names; where these do not tell either, nothing is claimed."""

    def refuse(*_):
        raise PermissionError(errno.EACCES, "not here")

    empty, full = tmp_path / "empty", tmp_path / "full"
    empty.mkdir()
    full.mkdir()
    (full / "Name").touch()
    expected = Folding((full / "nAME").exists())
    monkeypatch.setattr(local_names.os, "open", refuse)
    assert folding(local(empty)) == NONE
    assert folding(local(full)) == expected
    monkeypatch.setattr(local_names.os, "listdir", refuse)
    assert folding(local(full)) == NONE


def test_a_directory_is_tried_once(opened, tmp_path, monkeypatch):
    root = opened(type="local", path=str(tmp_path))
    before = folding(root)
    monkeypatch.setattr(local_names, "_look", None)
    assert folding(root) == before


def test_a_file_system_without_accents_is_asked_about_case(opened, tmp_path, monkeypatch):
    real = os.open

    def ascii_only(path, *arguments, **options):
        if not os.fspath(path).isascii():
            raise OSError(errno.EILSEQ, "Invalid or incomplete multibyte or wide character")
        return real(path, *arguments, **options)

    monkeypatch.setattr(local_names.os, "open", ascii_only)
    root = opened(type="local", path=str(tmp_path))
    assert folding(root) == Folding((tmp_path.parent / tmp_path.name.upper()).exists())
    assert os.listdir(tmp_path) == []


@pytest.mark.services
@pytest.mark.parametrize(
    ("service", "expected"),
    [("both_folding", BOTH), ("case_folding", CASE), ("form_folding", FORM)],
)
def test_a_directory_that_folds_is_found_out(local, request, service, expected):
    server = request.getfixturevalue(service)
    root = local(server.root) / secrets.token_hex(4)
    root.mkdir()
    assert folding(root) == expected
    assert list(root.children()) == []
    assert does(root) == expected
    assert os.listdir(server.root / root.name) == []


@pytest.mark.services
def test_directories_of_one_mount_differ(opened, both_folding, tmp_path):
    (tmp_path / "plain").mkdir()
    real = secrets.token_hex(4)
    (both_folding.root / real).mkdir()
    above = Path(os.path.commonpath([tmp_path, both_folding.root]))
    root = opened(type="local", path=str(above))
    plain = (tmp_path / "plain").relative_to(above).as_posix()
    folded = (both_folding.root / real).relative_to(above).as_posix()
    assert folding(root / plain) == does(root / plain)
    assert folding(root / folded) == BOTH


@pytest.mark.services
def test_a_copy_is_refused_before_the_first_byte(opened, both_folding):
    source = opened("src", type="memory")
    for name in ("d/A.txt", "d/a.txt", NFC, NFD):
        (source / name).write_bytes(name.encode())
    target = opened("dst", type="local", path=str(both_folding.root)) / secrets.token_hex(4)
    with pytest.raises(StorageCollisionError) as caught:
        source.copy_to(target)
    for name in ("src:d/A.txt", "src:d/a.txt", f"src:{NFC}", f"src:{NFD}"):
        assert name in str(caught.value)
    assert not target.exists
    source.copy_to(target, exclude=["d/a.txt", NFC])
    assert [(node.name, node.read_bytes()) for node in target.rglob("*") if node.isfile] == [
        (NFD, NFD.encode()),
        ("A.txt", b"d/A.txt"),
    ]


@pytest.mark.services
@pytest.mark.parametrize("options", [{}, {"progress": lambda *_: None}])
def test_a_copy_to_a_server_is_refused_as_well(opened, caseless, options):
    source = opened("src", type="memory")
    for name in ("A/x", "a/y"):
        (source / name).write_bytes(b"x")
    target = opened("dst", **caseless.mount(secrets.token_hex(4))) / "tree"
    with pytest.raises(StorageCollisionError, match=r"src:A and src:a would be one directory at "):
        source.copy_to(target, **options)
    assert not target.exists
    # Both are made, at once: which of the spellings the one directory gets is nobody's business.
    source.copy_to(target, exclude="a/*", **options)
    assert [node.path.lower() for node in target.rglob("*")] == ["tree/a", "tree/a/x"]


# -- servers --------------------------------------------------------------------------------------


@pytest.mark.services
def test_a_share_is_tried(opened, samba):
    name = secrets.token_hex(4)
    (samba.data / name).mkdir()
    root = opened(**samba.mount(path=name))
    assert folding(root) == does(root) == CASE
    assert folding(root / "not/yet") == CASE
    assert os.listdir(samba.data / name) == []


@pytest.mark.services
def test_a_copy_to_a_share_is_refused_and_another_spelling_replaces(opened, samba):
    source = opened("src", type="memory")
    for name in ("A.txt", "a.txt"):
        (source / name).write_bytes(name.encode())
    target = opened("dst", **samba.mount()) / secrets.token_hex(4)
    with pytest.raises(StorageCollisionError, match=r"src:A.txt and src:a.txt would be one file"):
        source.copy_to(target)
    assert not target.exists
    source.copy_to(target, exclude="a.txt")
    source.copy_to(target, exclude="A.txt")
    [only] = target.children()
    assert only.read_bytes() == b"a.txt"


@pytest.mark.services
def test_a_mirror_does_not_remove_what_it_has_just_replaced(opened, samba):
    """Of readme and README the share keeps one file, which the source seems not to have."""
    source = opened("src", type="memory")
    (source / "readme").write_bytes(b"new")
    target = opened("dst", **samba.mount()) / secrets.token_hex(4)
    (target / "README").write_bytes(b"old")
    with pytest.raises(StorageCollisionError, match=r"dst:\w+/README and src:readme would be one"):
        source.copy_to(target, delete=True)
    assert (target / "README").read_bytes() == b"old"
    source.copy_to(target)
    assert (target / "README").read_bytes() == b"new"
    source.copy_to(target, delete=True, exclude="*")  # what takes no part is not removed
    assert (target / "README").read_bytes() == b"new"


@pytest.mark.services
def test_a_share_that_cannot_be_tried_is_believed_to_ignore_case(opened, samba):
    """As nearly all do; the names that are there say it better."""
    name = secrets.token_hex(4)
    (samba.data / name).mkdir()
    root = opened(**samba.mount("locked", path=name))
    assert folding(root) == CASE
    (samba.data / name / "Name").touch()
    assert folding(root) == CASE


@pytest.mark.services
@pytest.mark.parametrize("commit", ["move", "put"])
@pytest.mark.parametrize(("service", "expected"), [("caseless", CASE), ("apache", NONE)])
def test_a_collection_is_tried_or_looked_at(opened, request, service, expected, commit):
    server = request.getfixturevalue(service)
    name = secrets.token_hex(4)
    root = opened(**server.mount(name), commit=commit)
    if commit == "put":  # where writes leave nothing beside their targets, this does not either
        assert folding(root) == NONE
        (root / f"N{NFC}").write_bytes(b"x")
    before = os.listdir(server.data / name)
    assert folding(root) == does(root) == expected
    assert os.listdir(server.data / name) == before


@pytest.mark.services
def test_a_directory_of_openssh_is_tried(opened, sshd, tmp_path):
    root = opened(**sshd.mount(str(tmp_path)))
    assert folding(root) == does(root) == NONE
    assert os.listdir(tmp_path) == []


@pytest.mark.services
def test_what_a_server_has_told_is_remembered(opened, samba, monkeypatch):
    name = secrets.token_hex(4)
    (samba.data / name).mkdir()
    root = opened(**samba.mount(path=name))
    assert folding(root) == CASE
    monkeypatch.setattr(type(root._mount.backend), "_told", None)
    assert folding(root / "d") == CASE


# -- those that fold nothing ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "config", [{"type": "memory"}, {"type": "zip"}, {"type": "fsspec", "filesystem": "memory"}]
)
def test_other_storages_tell_all_names_apart(opened, config, tmp_path):
    if config["type"] == "zip":
        config = {**config, "file": str(tmp_path / "a.zip"), "create": True}
    root = opened(**config)
    assert folding(root / "d") == NONE
    (root / "d/A").write_bytes(b"1")
    (root / "d/a").write_bytes(b"2")
    assert (root / "d/A").read_bytes() == b"1"
