from __future__ import annotations

import contextvars
import errno
import io
import logging
import os
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import pytest

from genro_storage.backends.base64 import Base64Backend
from genro_storage.backends.local import LocalBackend
from genro_storage.backends.memory import MemoryBackend
from genro_storage.exceptions import (
    StorageFullError,
    StorageIOError,
    StorageIsDirectoryError,
    StorageNotFoundError,
    StoragePermissionError,
    StorageValueError,
)
from genro_storage.external import PathBinding, call, local_path
from genro_storage.mount import Mount

if TYPE_CHECKING:
    from genro_storage.info import Attributes

SNAPSHOT = "v1"


class Recorder(MemoryBackend):
    """A store elsewhere, with one old version of every file, that remembers what moved."""

    capabilities = replace(MemoryBackend.capabilities, version_access=True)

    def __init__(self) -> None:
        super().__init__()
        self.downloads: list[str] = []
        self.uploads: list[tuple[str, bytes]] = []
        self.refuses = False

    def open_read(self, path: str, *, version: str | None = None) -> BinaryIO:
        if version is None:
            return super().open_read(path)
        if version != SNAPSHOT:
            raise FileNotFoundError(path)
        return io.BytesIO(b"old " + super().open_read(path).read())

    def download(self, path: str, target: Path, *, version: str | None = None) -> None:
        self.downloads.append(path)
        super().download(path, target, version=version)

    def upload(
        self,
        source: Path,
        path: str,
        *,
        if_absent: bool = False,
        attributes: Attributes | None = None,
    ) -> str | None:
        if self.refuses:
            raise ConnectionResetError("gone")
        self.uploads.append((path, source.read_bytes()))
        return super().upload(source, path, if_absent=if_absent, attributes=attributes)


@pytest.fixture
def store() -> Recorder:
    return Recorder()


@pytest.fixture
def mount(store: Recorder) -> Mount:
    made = Mount("far", store)
    made.write_bytes("d/in.txt", b"hello")
    return made


@pytest.fixture
def readonly(mount: Mount) -> Mount:
    return mount.narrow("view", "", "readonly")


@pytest.fixture
def local(tmp_path: Path) -> Mount:
    (tmp_path / "root").mkdir()
    return Mount("disk", LocalBackend(tmp_path / "root"))


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary files go, so that what is left behind is seen."""
    made = tmp_path / "temporary"
    made.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(made))
    return made


# -- local_path ---------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["r", "w", "rw"])
def test_a_local_mount_gives_the_real_path_and_makes_no_parents(
    local: Mount, tmp_path: Path, mode: str
) -> None:
    with local_path(local, "no/such.txt", mode) as path:
        assert path == str(tmp_path / "root/no/such.txt")
        assert not Path(path).parent.exists()


def test_a_callable_root_is_evaluated_once(tmp_path: Path) -> None:
    from genro_storage.backends.dynamic import DynamicRoot

    calls: list[int] = []

    def root() -> str:
        calls.append(1)
        return str(tmp_path)

    with local_path(
        Mount("u", DynamicRoot(root, lambda place: LocalBackend(str(place)))), "a", "rw"
    ) as path:
        assert path == str(tmp_path / "a")
    assert len(calls) == 1


def test_reading_gives_a_copy_of_the_same_name_that_goes_away(
    mount: Mount, store: Recorder, temporary: Path
) -> None:
    with local_path(mount, "d/in.txt") as path:
        assert Path(path).read_bytes() == b"hello"
        assert Path(path).name == "in.txt"
        assert (Path(path).parent.stat().st_mode & 0o777) == 0o700
        Path(path).write_bytes(b"changed")
    assert list(temporary.iterdir()) == []
    assert mount.read_bytes("d/in.txt") == b"hello"
    assert store.uploads == []


def test_reading_what_is_missing_gives_an_empty_file(mount: Mount) -> None:
    with local_path(mount, "no.bin") as path:
        assert Path(path).read_bytes() == b""
    assert not mount.exists("no.bin")


def test_reading_a_directory_is_an_error(mount: Mount, temporary: Path) -> None:
    with pytest.raises(StorageIsDirectoryError, match="far:d:"), local_path(mount, "d"):
        pass
    assert list(temporary.iterdir()) == []


def test_writing_starts_empty_and_uploads(mount: Mount, store: Recorder) -> None:
    with local_path(mount, "d/in.txt", "w") as path:
        assert Path(path).read_bytes() == b""
        Path(path).write_bytes(b"new")
        assert mount.read_bytes("d/in.txt") == b"hello"
    assert mount.read_bytes("d/in.txt") == b"new"
    assert store.downloads == []


def test_writing_nothing_uploads_an_empty_file(mount: Mount) -> None:
    with local_path(mount, "x/new.txt", "w"):
        pass
    assert mount.read_bytes("x/new.txt") == b""


def test_reading_and_writing_does_both(mount: Mount, store: Recorder) -> None:
    with local_path(mount, "d/in.txt", "rw") as path, Path(path).open("ab") as stream:
        stream.write(b" world")
    assert store.uploads == [("d/in.txt", b"hello world")]


@pytest.mark.parametrize("mode", ["w", "rw"])
def test_a_block_that_raises_uploads_nothing(
    mount: Mount, store: Recorder, temporary: Path, mode: str
) -> None:
    with pytest.raises(KeyError), local_path(mount, "d/in.txt", mode) as path:
        Path(path).write_bytes(b"half")
        raise KeyError
    assert store.uploads == []
    assert list(temporary.iterdir()) == []


def untouched(path: Path) -> None:
    path.read_bytes()


def rewritten(path: Path) -> None:
    path.write_bytes(b"HELLO")


def rewritten_with_the_old_time(path: Path) -> None:
    before = path.stat()
    path.write_bytes(b"HELLO")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def renamed_over(path: Path) -> None:
    other = path.with_suffix(".new")
    other.write_bytes(b"HELLO")
    before = path.stat()
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.replace(path)


def deleted_and_made_again(path: Path) -> None:
    path.unlink()
    path.write_bytes(b"HELLO")


def truncated(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (untouched, None),
        (rewritten, b"HELLO"),
        (renamed_over, b"HELLO"),
        (deleted_and_made_again, b"HELLO"),
        (truncated, b""),
    ],
)
def test_only_a_changed_file_is_uploaded(
    mount: Mount, store: Recorder, change: Any, expected: bytes | None
) -> None:
    # Often, because the changes must also be seen within one tick of the file system's clock.
    for _ in range(30):
        mount.write_bytes("d/in.txt", b"hello")
        store.uploads.clear()
        with local_path(mount, "d/in.txt", "rw") as path:
            change(Path(path))
        assert store.uploads == ([] if expected is None else [("d/in.txt", expected)])


def test_a_tool_that_sets_the_old_time_back_is_noticed(mount: Mount, store: Recorder) -> None:
    import time

    with local_path(mount, "d/in.txt", "rw") as path:
        time.sleep(0.02)
        rewritten_with_the_old_time(Path(path))
    assert store.uploads == [("d/in.txt", b"HELLO")]


@pytest.mark.parametrize("mode", ["w", "rw"])
def test_a_file_that_the_tool_deleted_leaves_the_node_as_it_was(
    mount: Mount, temporary: Path, mode: str
) -> None:
    with (
        pytest.raises(StorageIOError, match=r"far:d/in.txt: the temporary file was deleted"),
        local_path(mount, "d/in.txt", mode) as path,
    ):
        Path(path).unlink()
    assert mount.read_bytes("d/in.txt") == b"hello"
    assert list(temporary.iterdir()) == []


def test_a_directory_in_place_of_the_file_is_not_uploaded(mount: Mount) -> None:
    with (
        pytest.raises(StorageIOError, match="no regular file"),
        local_path(mount, "d/in.txt", "w") as path,
    ):
        Path(path).unlink()
        Path(path).mkdir()
    assert mount.read_bytes("d/in.txt") == b"hello"


@pytest.mark.parametrize("mode", ["w", "rw"])
def test_writing_to_a_readonly_mount_is_refused_at_the_call(readonly: Mount, mode: str) -> None:
    with pytest.raises(StoragePermissionError, match=r"view:d/in.txt.*readonly"):
        local_path(readonly, "d/in.txt", mode)


@pytest.mark.parametrize("mode", ["w", "rw"])
def test_writing_to_base64_is_refused_at_the_call(mode: str) -> None:
    with pytest.raises(PermissionError, match="read-only"):
        local_path(Mount("b64", Base64Backend()), "aGk=", mode)


def test_base64_content_of_any_length_can_be_read() -> None:
    import base64

    data = os.urandom(3000)
    with local_path(Mount("b64", Base64Backend()), base64.b64encode(data).decode()) as path:
        assert Path(path).read_bytes() == data


@pytest.mark.parametrize("mode", ["w", "rw"])
def test_a_snapshot_cannot_be_written(mount: Mount, mode: str) -> None:
    with pytest.raises(StorageValueError, match="Cannot write to versioned snapshot"):
        local_path(mount, "d/in.txt", mode, version=SNAPSHOT)


def test_a_snapshot_gives_that_version(mount: Mount) -> None:
    with local_path(mount, "d/in.txt", version=SNAPSHOT) as path:
        assert Path(path).read_bytes() == b"old hello"


def test_a_missing_version_is_an_error_not_an_empty_file(mount: Mount) -> None:
    with pytest.raises(StorageNotFoundError), local_path(mount, "d/in.txt", version="v9"):
        pass


@pytest.mark.parametrize("mode", ["", "a", "wr", "rb", "r+"])
def test_an_unknown_mode_is_refused(mount: Mount, mode: str) -> None:
    with pytest.raises(StorageValueError, match="use 'r', 'w' or 'rw'"):
        local_path(mount, "d/in.txt", mode)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a b [1] è.tar.gz", "a b [1] è.tar.gz"),
        (".hidden", ".hidden"),
        ("-rf", "-rf"),
        ("x" * 250 + ".jpeg", "file.jpeg"),
        ("x" * 250, "file"),
        ("è" * 120 + ".txt", "file.txt"),
        ("a:b?.txt", "a_b_.txt"),
        ("./.", "file"),
        ("", "file"),
    ],
)
def test_the_name_is_kept_where_the_system_can_have_it(
    mount: Mount, name: str, expected: str
) -> None:
    opened = local_path(mount, name, "w")
    with pytest.raises(InterruptedError), opened as path:
        assert Path(path).name == expected
        assert Path(path).read_bytes() == b""
        raise InterruptedError


def test_a_new_path_is_told_where_the_content_decides_it(mount: Mount, store: Recorder) -> None:
    told: list[str] = []
    store.upload = lambda *_, **__: "elsewhere"  # type: ignore[method-assign]
    with local_path(mount, "a", "w", on_new_path=told.append):
        pass
    assert told == ["elsewhere"]


def test_no_room_for_a_temporary_file_names_the_node(
    mount: Mount, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", "/no/such/directory")
    with (
        pytest.raises(
            StorageIOError,
            match=r"far:d/in.txt: .*'/no/such/directory'.*TMPDIR.*making a temporary copy",
        ),
        local_path(mount, "d/in.txt"),
    ):
        pass


def test_a_server_that_is_full_is_not_the_disk_of_this_machine(mount: Mount) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "the server has no space left (507)")

    mount.backend.download = refuse  # type: ignore[method-assign]
    with (
        pytest.raises(StorageFullError, match=r"far:d/in.txt: .*the server has no space left") as e,
        local_path(mount, "d/in.txt"),
    ):
        pass
    assert "TMPDIR" not in str(e.value)


# -- call ---------------------------------------------------------------------------------------


def resolve(argument: object) -> PathBinding | None:
    return argument if isinstance(argument, PathBinding) else None


def python(code: str, *args: object, **options: Any) -> str | None:
    code = f"import sys, os, pathlib; a = sys.argv[1:]; {code}"
    return call([Path(sys.executable), "-I", "-c", code, *args], resolve=resolve, **options)


def output_of(code: str, *args: object, **options: Any) -> str:
    output = python(f"sys.stdout.reconfigure(encoding='utf-8'); {code}", *args, return_output=True,
                    **options)  # fmt: skip
    assert output is not None
    return output


def test_arguments_become_text(tmp_path: Path) -> None:
    assert output_of("print(a)", 1, 2.5, tmp_path, b"raw", None, "è", "a b;$x") == (
        f"{['1', '2.5', str(tmp_path), 'raw', 'None', 'è', 'a b;$x']}{os.linesep}"
    )


def test_output_is_returned_only_when_asked_for(capfd: pytest.CaptureFixture[str]) -> None:
    assert python("print('shown')") is None
    assert capfd.readouterr().out.strip() == "shown"
    assert output_of("print('è')").strip() == "è"
    assert output_of("sys.stdout.buffer.write(b'\\xff')") == "�"
    assert output_of("print('x')", text=True) == "x\n"
    assert output_of("print('x')", capture_output=True).strip() == "x"


def test_an_input_gets_no_second_version(mount: Mount, store: Recorder) -> None:
    text = output_of("print(pathlib.Path(a[0]).read_text())", PathBinding(mount, "d/in.txt"))
    assert text.strip() == "hello"
    assert store.uploads == []


def test_inputs_may_lie_on_readonly_mounts_and_be_snapshots(readonly: Mount, mount: Mount) -> None:
    code = "print([pathlib.Path(x).read_text() for x in a])"
    args = [PathBinding(readonly, "d/in.txt"), PathBinding(mount, "d/in.txt", SNAPSHOT)]
    assert output_of(code, *args).strip() == "['hello', 'old hello']"
    b64 = PathBinding(Mount("b64", Base64Backend()), "aGk=")
    assert output_of("print(pathlib.Path(a[0]).read_text())", b64).strip() == "hi"


def test_outputs_are_written_back(mount: Mount, store: Recorder) -> None:
    python(
        "pathlib.Path(a[1]).write_text(pathlib.Path(a[0]).read_text().upper())",
        PathBinding(mount, "d/in.txt"),
        PathBinding(mount, "out/new.txt"),
    )
    assert store.uploads == [("out/new.txt", b"HELLO")]


def test_outputs_on_a_local_mount_are_written_in_place(local: Mount, tmp_path: Path) -> None:
    python("pathlib.Path(a[0]).write_text('x')", PathBinding(local, "a.txt"))
    assert (tmp_path / "root/a.txt").read_text() == "x"


def test_a_node_given_twice_is_one_file(mount: Mount, store: Recorder) -> None:
    same = [PathBinding(mount, "d/in.txt"), PathBinding(mount, "./d/in.txt"),
            PathBinding(mount.narrow("sub", "d"), "in.txt")]  # fmt: skip
    code = "assert len(set(a)) == 1, a; pathlib.Path(a[0]).write_text('twice')"
    python(code, *same)
    assert store.uploads == [("d/in.txt", b"twice")]
    assert store.downloads == ["d/in.txt"]


def test_the_same_place_with_other_rights_or_version_is_another_file(
    mount: Mount, readonly: Mount, store: Recorder
) -> None:
    three = [PathBinding(readonly, "d/in.txt"), PathBinding(mount, "d/in.txt"),
             PathBinding(mount, "d/in.txt", SNAPSHOT)]  # fmt: skip
    python("assert len(set(a)) == 3; pathlib.Path(a[1]).write_text('new')", *three)
    assert store.uploads == [("d/in.txt", b"new")]


def test_a_program_that_fails_writes_nothing_back(
    mount: Mount, store: Recorder, temporary: Path
) -> None:
    done: list[str] = []
    with pytest.raises(subprocess.CalledProcessError) as caught:
        python("pathlib.Path(a[0]).write_text('half'); sys.exit(3)", PathBinding(mount, "d/in.txt"),
               callback=lambda: done.append("called"))  # fmt: skip
    assert caught.value.returncode == 3
    assert (store.uploads, done, list(temporary.iterdir())) == ([], [], [])


def test_a_program_that_takes_too_long_writes_nothing_back(mount: Mount, store: Recorder) -> None:
    code = "import time; pathlib.Path(a[0]).write_text('half'); time.sleep(30)"
    with pytest.raises(subprocess.TimeoutExpired):
        python(code, PathBinding(mount, "d/in.txt"), timeout=0.5)
    assert store.uploads == []


def test_a_program_that_does_not_exist(mount: Mount) -> None:
    with pytest.raises(FileNotFoundError):
        call(["no-such-program-here", PathBinding(mount, "d/in.txt")], resolve=resolve)


def test_a_node_can_be_the_program(mount: Mount, local: Mount) -> None:
    local.write_bytes("run.sh", b"#!/bin/sh\necho ran $1\n")
    path = local.local_path("run.sh")
    assert path is not None
    Path(path).chmod(0o755)
    assert call([PathBinding(local, "run.sh"), "it"], resolve=resolve, return_output=True) == (
        "ran it\n"
    )


def test_callback_comes_after_the_results_are_back(mount: Mount) -> None:
    seen: list[bytes] = []
    python("pathlib.Path(a[0]).write_text('x')", PathBinding(mount, "new"),
           callback=lambda: seen.append(mount.read_bytes("new")))  # fmt: skip
    assert seen == [b"x"]


def test_subprocess_options_are_passed_on(tmp_path: Path) -> None:
    code = "print(os.getcwd(), os.environ['X'], sys.stdin.read())"
    text = output_of(code, cwd=tmp_path, env={**os.environ, "X": "y"}, input=b"in")
    assert text.split() == [str(tmp_path), "y", "in"]
    assert output_of("print('x'); sys.exit(1)", check=False).strip() == "x"


def test_shell_with_nodes_is_refused_and_without_is_passed_on(mount: Mount) -> None:
    with pytest.raises(StorageValueError, match="shell=True cannot be combined with nodes"):
        call(["cat", PathBinding(mount, "d/in.txt")], resolve=resolve, shell=True)
    shown = call(["echo a; echo b"], resolve=resolve, shell=True, return_output=True)
    assert shown == "a\nb\n"


def test_contradictions_and_emptiness_are_refused() -> None:
    with pytest.raises(StorageValueError, match="name of a program"):
        call([], resolve=resolve)
    with pytest.raises(StorageValueError, match="exclude each other"):
        python("", return_output=True, stdout=subprocess.DEVNULL)


def test_a_failing_upload_is_raised_and_the_callback_not_called(
    mount: Mount, store: Recorder
) -> None:
    store.refuses = True
    done: list[int] = []
    with pytest.raises(ConnectionError, match="far:new"):
        python("pathlib.Path(a[0]).write_text('x')", PathBinding(mount, "new"),
               callback=lambda: done.append(1))  # fmt: skip
    assert done == []


# -- call in the background ---------------------------------------------------------------------


def test_background_returns_at_once_and_calls_back(mount: Mount) -> None:
    done = threading.Event()
    code = "import time; time.sleep(0.2); pathlib.Path(a[0]).write_text('x')"
    assert python(code, PathBinding(mount, "new"), async_mode=True, callback=done.set) is None
    assert not done.is_set()
    running = [t for t in threading.enumerate() if t.name.startswith("call ")]
    assert running
    assert all(t.daemon for t in running)
    assert done.wait(10)
    assert mount.read_bytes("new") == b"x"


def test_background_failure_goes_to_on_error(
    mount: Mount, store: Recorder, caplog: pytest.LogCaptureFixture
) -> None:
    failures: list[Exception] = []
    told = threading.Event()

    def on_error(error: Exception) -> None:
        failures.append(error)
        told.set()

    code = "pathlib.Path(a[0]).write_text('x'); sys.exit(4)"
    python(code, PathBinding(mount, "new"), async_mode=True, on_error=on_error)
    assert told.wait(10)
    assert isinstance(failures[0], subprocess.CalledProcessError)
    assert store.uploads == []
    assert caplog.records == []


def test_background_failure_is_logged_without_arguments_and_raised_in_the_thread(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    hooked: list[Any] = []
    told = threading.Event()

    def hook(args: Any) -> None:
        hooked.append(args.exc_type)
        told.set()

    monkeypatch.setattr(threading, "excepthook", hook)
    with caplog.at_level(logging.ERROR, "genro_storage"):
        python("sys.exit(4)", "s3cret", async_mode=True)
        assert told.wait(10)
    assert hooked == [subprocess.CalledProcessError]
    assert [(r.name, r.levelname) for r in caplog.records] == [("genro_storage", "ERROR")]
    assert "exit status 4" in caplog.text
    assert "s3cret" not in caplog.text


def test_background_sees_the_callers_context() -> None:
    user = contextvars.ContextVar("user", default="nobody")
    seen: list[str] = []
    done = threading.Event()

    def callback() -> None:
        seen.append(user.get())
        done.set()

    token = user.set("ada")
    python("", async_mode=True, callback=callback)
    user.reset(token)
    assert done.wait(10)
    assert seen == ["ada"]


def test_background_refuses_at_the_call_what_cannot_work(mount: Mount) -> None:
    with pytest.raises(StorageValueError, match="shell=True"):
        call([PathBinding(mount, "a")], resolve=resolve, async_mode=True, shell=True)
