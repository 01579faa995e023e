"""Writing, appending, making, copying, moving and removing."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from ..exceptions import (
    StorageExistsError,
    StorageNotEmptyError,
    StorageNotFoundError,
    StoragePermissionError,
    StorageUnsupportedError,
    StorageValueError,
)
from .ground import Ground, names_in

if TYPE_CHECKING:
    from pathlib import Path

    from ..node import StorageNode

__all__ = ["WritingConformance"]


class WritingConformance(Ground):
    """What changes the storage, through the plain and the narrowed mount."""

    def test_overwriting_replaces_the_whole_content(self, root: StorageNode) -> None:
        node = root / "file.txt"
        for data in (b"a long content", b"short", b"", b"and longer again"):
            node.write_bytes(data)
            assert node.read_bytes() == data
            assert node.size == len(data)
        with node.open("wb") as stream:
            stream.write(b"tiny")
        assert node.read_bytes() == b"tiny"

    def test_missing_directories_are_made_by_a_write(self, root: StorageNode) -> None:
        node = root / "a/b/c.txt"
        node.write_bytes(b"deep")
        assert node.read_bytes() == b"deep"
        assert node.parent.isdir and node.parent.parent.isdir
        with (root / "x/y.txt").open("w") as stream:
            stream.write("also")
        assert (root / "x/y.txt").read_text() == "also"

    def test_a_large_file_arrives_in_pieces(self, root: StorageNode) -> None:
        piece = bytes(range(256)) * 512
        node = root / "large.bin"
        with node.open("wb") as stream:
            for _ in range(64):
                assert stream.write(piece) == len(piece)
            stream.write(b"!")
        assert node.size == 8 * 1024 * 1024 + 1
        assert node.read_bytes() == piece * 64 + b"!"

    def test_an_upload_is_the_content_of_the_file(self, root: StorageNode, tmp_path: Path) -> None:
        source = tmp_path / "upload.bin"
        source.write_bytes(b"uploaded" * 1000)
        node = root / "d/uploaded.bin"
        node._mount.upload(source, node._path)
        assert node.read_bytes() == source.read_bytes()
        with pytest.raises(StorageExistsError):
            node._mount.upload(source, node._path, if_absent=True)

    def test_appending_adds_to_the_end(self, root: StorageNode) -> None:
        node = root / "log.txt"
        node.write_bytes(b"one,")
        if not self.declares(root, "append_mode", lambda: node.open("ab")):
            assert node.read_bytes() == b"one,"
            return
        for data in (b"two,", b"three"):
            with node.open("ab") as stream:
                stream.write(data)
        assert node.read_bytes() == b"one,two,three"
        with (root / "new.txt").open("a") as text:
            text.write("begun")
        assert (root / "new.txt").read_bytes() == b"begun"

    def test_exclusive_creation_never_replaces(self, root: StorageNode) -> None:
        node = root / "once.txt"
        with node.open("xb") as stream:
            stream.write(b"first")
        self.raises_ours(StorageExistsError, node, lambda: _write(node, "xb", b"second"))
        self.raises_ours(StorageExistsError, node, lambda: _write(node, "x", "second"))
        self.raises_ours(
            StorageExistsError,
            node,
            lambda: node._mount.write_bytes(node._path, b"second", if_absent=True),
        )
        assert node.read_bytes() == b"first"

    def test_updating_changes_only_what_was_written(self, root: StorageNode) -> None:
        node = root / "update.bin"
        node.write_bytes(b"0123456789")
        with node.open("r+b") as stream:
            stream.seek(3)
            stream.write(b"abc")
        assert node.read_bytes() == b"012abc6789"
        with node.open("w+b") as stream:
            stream.write(b"new")
            stream.seek(0)
            assert stream.read() == b"new"
        assert node.read_bytes() == b"new"
        with node.open("r+b") as stream:
            stream.truncate(1)
        assert node.read_bytes() == b"n"

    @pytest.mark.parametrize(
        ("newline", "expected"), [(None, b"a\nb\n"), ("\r\n", b"a\r\nb\r\n"), ("", b"a\nb\n")]
    )
    def test_text_is_written_with_the_line_ends_asked_for(
        self, root: StorageNode, newline: str | None, expected: bytes
    ) -> None:
        node = root / "text.txt"
        with node.open("w", newline=newline, encoding="utf-8") as stream:
            stream.write("a\nb\n")
        written = node.read_bytes()
        assert written == expected or (newline is None and written == b"a\r\nb\r\n")

    def test_text_is_encoded_as_asked(self, root: StorageNode) -> None:
        node = root / "text.txt"
        node.write_text("\u00e9t\u00e9", "latin-1")
        assert node.read_bytes() == b"\xe9t\xe9"
        with node.open("w", encoding="utf-16") as stream:
            stream.write("\u00e9t\u00e9")
        assert node.read_text("utf-16") == "\u00e9t\u00e9"

    def test_unchanged_content_is_not_written_again(self, root: StorageNode) -> None:
        node = root / "same.txt"
        assert node.write_bytes(b"same", skip_if_unchanged=True) is True
        before = node.stat()
        assert node.write_bytes(b"same", skip_if_unchanged=True) is False
        assert node.stat() == before
        assert node.write_bytes(b"other", skip_if_unchanged=True) is True
        assert node.read_bytes() == b"other"

    def test_a_write_touches_no_other_file(self, root: StorageNode) -> None:
        for name in ("a.txt", "a.txt.bak", "a", "a.tx"):
            (root / name).write_bytes(name.encode())
        (root / "a.txt").write_bytes(b"changed")
        assert (root / "a.txt.bak").read_bytes() == b"a.txt.bak"
        assert (root / "a").read_bytes() == b"a"
        assert (root / "a.tx").read_bytes() == b"a.tx"

    # -- times --------------------------------------------------------------------------------

    def test_a_time_is_set_or_refused(self, root: StorageNode) -> None:
        node = root / "timed.txt"
        node.write_bytes(b"content")
        before = node.mtime
        try:
            node._mount.set_mtime(node._path, 1_000_000_000.0)
        except StorageUnsupportedError:
            assert node.stat().mtime == before
        else:
            mtime = node.stat().mtime
            assert mtime is not None
            assert abs(mtime - 1_000_000_000.0) <= self.mtime_granularity
        assert node.read_bytes() == b"content"

    def test_touching_makes_a_file_or_renews_its_time(self, root: StorageNode) -> None:
        node = root / "touched.txt"
        node.touch()
        assert node.read_bytes() == b""
        with pytest.raises(StorageExistsError):
            node.touch(exist_ok=False)
        node.write_bytes(b"kept")
        try:
            node._mount.set_mtime(node._path, 1_000_000_000.0)
        except StorageUnsupportedError:
            with pytest.raises(StorageUnsupportedError):
                node.touch()
        else:
            node.touch()
            assert abs((node.stat().mtime or 0.0) - time.time()) <= self.mtime_granularity + 5
        assert node.read_bytes() == b"kept"

    # -- directories --------------------------------------------------------------------------

    def test_an_empty_directory_is_kept(self, root: StorageNode) -> None:
        self.need_directories(root)
        directory = root / "empty"
        directory.mkdir()
        assert directory.exists and directory.isdir and not directory.isfile
        assert names_in(root) == ["empty"]
        assert names_in(directory) == []
        (directory / "f.txt").write_bytes(b"x")
        (directory / "f.txt").delete()
        assert directory.isdir

    def test_mkdir_says_what_is_wrong(self, root: StorageNode) -> None:
        self.need_directories(root)
        deep = root / "a/b/c"
        self.raises_ours(StorageNotFoundError, deep, deep.mkdir)
        assert not (root / "a").exists
        deep.mkdir(parents=True)
        assert deep.isdir
        self.raises_ours(StorageExistsError, deep, deep.mkdir)
        self.raises_ours(StorageExistsError, deep, lambda: deep.mkdir(parents=True))
        deep.mkdir(parents=True, exist_ok=True)
        file = root / "file.txt"
        file.write_bytes(b"x")
        self.raises_ours(StorageExistsError, file, file.mkdir)
        self.raises_ours(StorageExistsError, file, lambda: file.mkdir(exist_ok=True))
        assert file.read_bytes() == b"x"

    def test_a_directory_with_entries_is_not_removed_by_rmdir(self, root: StorageNode) -> None:
        self.need_directories(root)
        self.need_deletion(root)
        directory = root / "full"
        (directory / "f.txt").write_bytes(b"x")
        self.raises_ours(StorageNotEmptyError, directory, directory.rmdir)
        assert (directory / "f.txt").read_bytes() == b"x"
        (directory / "f.txt").unlink()
        directory.rmdir()
        assert not directory.exists

    # -- removing -----------------------------------------------------------------------------

    def test_deleting_takes_the_tree_and_nothing_else(self, root: StorageNode) -> None:
        self.need_deletion(root)
        for path in ("d/a.txt", "d/e/b.txt", "d.txt", "dd/c.txt"):
            (root / path).write_bytes(path.encode())
        (root / "d").delete()
        assert not (root / "d").exists
        assert not (root / "d/e/b.txt").exists
        assert (root / "d.txt").read_bytes() == b"d.txt"
        assert (root / "dd/c.txt").read_bytes() == b"dd/c.txt"

    def test_deleting_what_is_missing_is_no_error(self, root: StorageNode) -> None:
        self.need_deletion(root)
        (root / "missing.txt").delete()
        (root / "no/such/tree").delete()
        (root / "missing.txt").unlink(missing_ok=True)

    def test_the_root_stays(self, root: StorageNode) -> None:
        self.need_deletion(root)
        file = root / "d/file.txt"
        file.write_bytes(b"x")
        for step in (root.delete, root.rmdir, lambda: root.move_to(root / "elsewhere")):
            with pytest.raises(StoragePermissionError):
                step()
            assert file.read_bytes() == b"x"
        root.delete(root=True)
        assert not file.exists
        if root.capabilities.mkdir:
            assert names_in(root) == []
        file.write_bytes(b"again")
        assert file.read_bytes() == b"again"

    def test_several_files_are_removed_at_once(self, root: StorageNode) -> None:
        self.need_deletion(root)
        removed = {"a.txt", "data[1].txt", "star*.txt"} - self.refused_names
        kept = {"data1.txt", "starx.txt", "z.txt"}
        for name in removed | kept:
            (root / name).write_bytes(name.encode())
        root._mount.remove_many([*removed, "missing.txt"])
        assert {name for name in removed | kept if (root / name).exists} == kept

    # -- copying and moving inside the mount ---------------------------------------------------

    def test_a_copy_is_another_file(self, root: StorageNode) -> None:
        source, target = root / "s.txt", root / "d/t.txt"
        source.write_bytes(b"content")
        assert source.copy_to(target) is target
        source.write_bytes(b"changed")
        assert target.read_bytes() == b"content"
        source.copy_to(target)
        assert target.read_bytes() == b"changed"

    def test_copying_a_tree_twice_merges(self, root: StorageNode) -> None:
        self.need_listing(root)
        for path in ("s/a.txt", "s/d/b.txt"):
            (root / path).write_bytes(path.encode())
        (root / "t/own.txt").write_bytes(b"own")
        for _ in range(2):
            (root / "s").copy_to(root / "t")
        found = sorted(info.path for info in root._mount.find("t") if info.type == "file")
        assert found == ["t/a.txt", "t/d/b.txt", "t/own.txt"]
        assert (root / "t/d/b.txt").read_bytes() == b"s/d/b.txt"

    def test_nothing_is_lost_by_copying_or_moving_onto_itself(self, root: StorageNode) -> None:
        node = root / "f.txt"
        node.write_bytes(b"precious")
        node.copy_to(root / "f.txt")
        assert node.read_bytes() == b"precious"
        if root.capabilities.delete:
            node.move_to(root / "f.txt")
            assert node.read_bytes() == b"precious"

    def test_a_directory_does_not_go_into_itself(self, root: StorageNode) -> None:
        self.need_directories(root)
        self.need_listing(root)
        (root / "d/f.txt").write_bytes(b"x")
        with pytest.raises(StorageValueError):
            (root / "d").copy_to(root / "d/e")
        if root.capabilities.delete:
            with pytest.raises(StorageValueError):
                (root / "d").move_to(root / "d/e")
        assert names_in(root / "d") == ["f.txt"]

    def test_moving_a_file_leaves_nothing_behind(self, root: StorageNode) -> None:
        self.need_deletion(root)
        source, target = root / "s.txt", root / "d/t.txt"
        source.write_bytes(b"content")
        target.write_bytes(b"old")
        source.move_to(target)
        assert source.fullpath == target.fullpath
        assert target.read_bytes() == b"content"
        assert not (root / "s.txt").exists

    def test_moving_a_tree_leaves_nothing_behind(self, root: StorageNode) -> None:
        self.need_deletion(root)
        self.need_listing(root)
        for path in ("s/a.txt", "s/d/b.txt"):
            (root / path).write_bytes(path.encode())
        (root / "s").move_to(root / "t")
        assert not (root / "s").exists
        assert (root / "t/a.txt").read_bytes() == b"s/a.txt"
        assert (root / "t/d/b.txt").read_bytes() == b"s/d/b.txt"

    # -- real paths for tools -----------------------------------------------------------------

    def test_local_path_brings_back_what_a_tool_wrote(self, root: StorageNode) -> None:
        node = root / "tool.txt"
        with node.local_path("w") as path, open(path, "wb") as stream:
            stream.write(b"written")
        assert node.read_bytes() == b"written"
        with node.local_path("rw") as path, open(path, "r+b") as stream:
            assert stream.read() == b"written"
            stream.write(b" and more")
        assert node.read_bytes() == b"written and more"


def _write(node: StorageNode, mode: str, data: object) -> None:
    with node.open(mode) as stream:
        stream.write(data)
