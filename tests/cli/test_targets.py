"""Which place a word on the command line names, and what an unknown one is answered."""

from __future__ import annotations

import pickle

import pytest

from genro_storage import MountNotFoundError, StorageManager, StoragePathError
from genro_storage.cli.targets import Session, exit_code
from genro_storage.exceptions import (
    MountRootNotFoundError,
    StorageConfigError,
    StorageExistsError,
    StorageMissingExtraError,
    StorageNotFoundError,
    StoragePermissionError,
    StorageUnsupportedError,
)


@pytest.fixture
def session(work):
    return Session(work / "mounts.yaml")


@pytest.mark.parametrize(
    ("text", "shown", "inner"),
    [
        ("docs/a.txt", "docs/a.txt", "a.txt"),
        ("./docs/a.txt", "./docs/a.txt", "a.txt"),
        ("docs/sub/../a.txt", "docs/sub/../a.txt", "a.txt"),
        ("docs/", "docs", "docs"),
        (".", "./", ""),
        ("./", "./", ""),
        ("..", "../", ""),
        ("/", "/", ""),
        ("~", "~/", ""),
        ("~/x", "~/x", "x"),
        ("./docs:a", "./docs:a", "docs:a"),
        ("x/y:z", "x/y:z", "y:z"),
    ],
)
def test_a_local_path_is_shown_as_it_was_written(session, text, shown, inner):
    node = session.resolve(text)
    assert node.fullpath == shown
    assert node.path == inner


def test_what_is_below_a_local_path_is_shown_in_the_same_way(session):
    assert [node.fullpath for node in session.resolve("./docs").children()] == [
        "./docs/a.txt",
        "./docs/sub",
    ]
    assert "./docs" in [node.fullpath for node in session.resolve(".").children()]


def test_a_local_path_is_the_place_that_the_system_means(session, work, monkeypatch):
    monkeypatch.setenv("HOME", str(work / "docs"))
    assert session.resolve("~/a.txt").read_text() == "hello\n"
    (work / "link").symlink_to("docs/sub")
    # ".." is what the link leads to, not what stands before it.
    assert session.resolve("link/../a.txt").read_text() == "hello\n"
    assert session.resolve(str(work / "docs" / "a.txt")).samefile(session.resolve("docs:a.txt"))


def test_a_mount_comes_before_a_local_file_of_the_same_spelling(session, work):
    (work / "docs:a.txt").write_text("local")
    assert session.resolve("docs:a.txt").read_text() == "hello\n"
    assert session.resolve("./docs:a.txt").read_text() == "local"


def test_a_local_file_with_a_colon_comes_before_an_unknown_mount(session, work):
    (work / "other:a").write_text("local")
    assert session.resolve("other:a").read_text() == "local"


def test_an_unknown_mount_suggests_the_nearest(session):
    with pytest.raises(MountNotFoundError, match=r"^doc:x: .*did you mean 'docs'\?"):
        session.resolve("doc:x")


def test_without_a_configuration_the_error_says_how_to_give_one(work):
    with pytest.raises(MountNotFoundError, match="GENRO_STORAGE_CONFIG"):
        Session().resolve("docs:x")


def test_plain_paths_need_no_configuration(work):
    assert Session(work / "broken.yaml").resolve("docs/a.txt").size == 6


def test_a_configuration_that_is_missing_is_a_configuration_error(work):
    with pytest.raises(StorageConfigError, match=r"broken\.yaml: not found"):
        Session(work / "broken.yaml").resolve("docs:x")


@pytest.mark.parametrize("path", ["", "a\0b"])
def test_what_cannot_be_a_local_path_is_refused(path):
    with pytest.raises(StoragePathError):
        StorageManager()._local_node(path)


def test_a_pickled_local_node_is_the_same_place_from_anywhere(session, monkeypatch, tmp_path):
    pickled = pickle.dumps(session.resolve("docs/a.txt"))
    monkeypatch.chdir("/")
    assert pickle.loads(pickled).read_text() == "hello\n"


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (StorageExistsError, 1),
        (StorageConfigError, 3),
        (MountRootNotFoundError, 3),
        (StorageMissingExtraError, 3),
        (StorageNotFoundError, 4),
        (MountNotFoundError, 4),
        (StoragePermissionError, 5),
        (StorageUnsupportedError, 5),
    ],
)
def test_each_kind_of_error_has_its_exit_code(kind, code):
    assert exit_code(kind("x")) == code
