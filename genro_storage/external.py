"""Files for programs that only know local ones: ``local_path`` and ``call``.

Where a mount lies on this machine its real path is handed out; elsewhere a private temporary
copy, which goes back to the mount only where it may be written and has been changed.
"""

from __future__ import annotations

import contextlib
import contextvars
import logging
import os
import re
import stat
import subprocess
import tempfile
import threading
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, NamedTuple

from .exceptions import (
    StorageFullError,
    StorageIOError,
    StorageNotFoundError,
    StoragePermissionError,
    StorageValueError,
    translating,
)
from .temporary_files import naming_tempdir

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence
    from contextlib import AbstractContextManager

    from .mount import Mount

__all__ = ["PathBinding", "call", "local_path"]

_log = logging.getLogger("genro_storage")
_MODES = ("r", "w", "rw")


class PathBinding(NamedTuple):
    """Where an argument of ``call`` lies; ``on_new_path`` as in ``local_path``."""

    mount: Mount
    path: str
    version: str | None = None
    on_new_path: Callable[[str], None] | None = None


# -- local_path ---------------------------------------------------------------------------------


def local_path(
    mount: Mount,
    path: str,
    mode: str = "r",
    *,
    version: str | None = None,
    on_new_path: Callable[[str], None] | None = None,
) -> AbstractContextManager[str]:
    """A path of this machine for the content of ``path``, valid inside the ``with`` block.

    On a local mount the real path; its parents are not made. Elsewhere a temporary file of the
    same name, removed at the end: ``r`` downloads (a missing file gives an empty one), ``w``
    starts empty and uploads at the end, ``rw`` downloads and uploads what has been changed. A
    block that raises uploads nothing. ``on_new_path`` gets the new path where the content is the
    path. What may not be written is refused by the call itself, not by entering the block.
    """
    if mode not in _MODES:
        raise StorageValueError(
            f"{mount.label(path)}: unknown mode {mode!r} for local_path; use 'r', 'w' or 'rw'"
        )
    mount = mount.bind()
    label = mount.label(path)
    if mode != "r":
        if version is not None:
            raise StorageValueError(f"{label}: Cannot write to versioned snapshot", node=label)
        mount.require_write(path, "writing through a local path")
        if not mount.capabilities.write:
            raise StoragePermissionError(
                f"{label}: a local path for writing is not possible: the mount is read-only",
                node=label,
            )
    if version is None:
        real = mount.local_path(path)
        if real is not None:
            return contextlib.nullcontext(real)
    return _temporary(mount, path, mode, version, on_new_path)


@contextlib.contextmanager
def _temporary(
    mount: Mount,
    path: str,
    mode: str,
    version: str | None,
    on_new_path: Callable[[str], None] | None,
) -> Generator[str]:
    label = mount.label(path)
    with contextlib.ExitStack() as stack:
        with _making_copy(label):
            # Private (mode 0700), so that no other user can read the content or swap the file.
            directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="genro-storage-"))
            target = Path(directory, _file_name(path))
            target.touch()
        if mode != "w":
            _download(mount, path, target, version, label)
        before = None
        if mode == "rw":
            with _making_copy(label):
                before = _mark(target)
        yield str(target)
        if mode == "r" or not _is_changed(target, before, label):
            return
        new_path = mount.upload(target, path)
        if new_path is not None and on_new_path is not None:
            on_new_path(new_path)


def _download(mount: Mount, path: str, target: Path, version: str | None, label: str) -> None:
    try:
        mount.download(path, target, version=version)
    except StorageFullError as error:
        cause = error.__cause__
        if not (isinstance(cause, OSError) and cause.strerror == os.strerror(cause.errno or 0)):
            raise  # a server's own words, or a temporary file's
        with _making_copy(label):
            raise OSError(cause.errno, cause.strerror) from error
    except StorageNotFoundError:
        # A version that is asked for by its id must exist; a file may be about to be made.
        if version is not None:
            raise
        target.write_bytes(b"")


def _file_name(path: str) -> str:
    """The name of the temporary file: the node's own, where this system can have it."""
    name = re.sub(r'[<>:"|?*\\\x00-\x1f]', "_", path.rpartition("/")[2])
    name = name.rstrip(". ") if os.name == "nt" else name
    if name in ("", ".", ".."):
        return "file"
    # A base64 node's path is its content, far longer than a file's name may be.
    if len(os.fsencode(name)) > 200:
        suffix = PurePosixPath(name).suffix
        return "file" + (suffix if len(os.fsencode(suffix)) <= 32 else "")
    return name


# Some moment long ago that no tool sets by accident, with a fraction that shows coarse clocks.
_MARK_NS = 946_684_807_123_456_700

_State = tuple[int, int, int, int]


def _mark(target: Path) -> _State:
    """Date the file long ago and remember how it looks.

    A download and a quick tool may well fall into one tick of the file system's clock (several
    milliseconds), so that a changed file of the same size would still show the same time. Any
    write moves the time away from a moment long ago. A tool that sets the old time back (rsync,
    exiftool) is betrayed by the change time, one that renames a new file over the old by the inode.
    """
    os.utime(target, ns=(_MARK_NS, _MARK_NS))
    return _state(target.stat())


def _state(status: os.stat_result) -> _State:
    return status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino


def _is_changed(target: Path, before: _State | None, label: str) -> bool:
    try:
        status = target.stat()
    except FileNotFoundError:
        raise StorageIOError(
            f"{label}: the temporary file was deleted or renamed, so nothing was written back "
            "and the node is as it was; leave the result at the path that was given",
            node=label,
        ) from None
    if not stat.S_ISREG(status.st_mode):
        raise StorageIOError(
            f"{label}: something that is no regular file took the place of the temporary file, "
            "so nothing was written back",
            node=label,
        )
    return before is None or _state(status) != before


@contextlib.contextmanager
def _making_copy(label: str) -> Generator[None]:
    with translating(label, "making a temporary copy"), naming_tempdir():
        yield


# -- call ---------------------------------------------------------------------------------------


def call(
    args: Sequence[object],
    *,
    resolve: Callable[[object], PathBinding | None],
    callback: Callable[[], object] | None = None,
    async_mode: bool = False,
    return_output: bool = False,
    on_error: Callable[[Exception], object] | None = None,
    **subprocess_kwargs: Any,
) -> str | None:
    """Run a program, nodes among its arguments given as local paths.

    ``resolve`` says where an argument lies, None for an ordinary one. What the program changed is
    written back after it succeeded; a file that it only read is not, nor one that may not be
    written. A node given twice is one file. ``callback()`` runs after success.

    Returns the standard output as text with ``return_output``, else None. Raises
    ``subprocess.CalledProcessError``, ``subprocess.TimeoutExpired`` (``timeout=`` in seconds) or
    ``FileNotFoundError`` (no such program), and then nothing is written back. With ``check=False``
    the caller says that the exit status means nothing, so the files are written back whatever it is.

    ``async_mode`` returns None at once and runs in a daemon thread; what fails there goes to
    ``on_error``, or else is logged and raised in the thread (``threading.excepthook``). The thread
    ends with the process: what is not finished then is not written back.
    """
    if not args:
        raise StorageValueError("call() needs the name of a program as its first argument")
    if return_output and subprocess_kwargs.get("stdout", subprocess.PIPE) != subprocess.PIPE:
        raise StorageValueError("call(): return_output=True and stdout= exclude each other")
    command = _Command.prepare(args, resolve)
    if subprocess_kwargs.get("shell") and command.files:
        raise StorageValueError(
            "call(): shell=True cannot be combined with nodes, because the shell would take parts "
            "of their paths for syntax; pass the program and its arguments without shell=True, or "
            "use node.local_path() and shlex.quote()"
        )

    def work() -> str | None:
        output = command.run(return_output, subprocess_kwargs)
        if callback is not None:
            callback()
        return output

    if not async_mode:
        return work()

    def in_background() -> None:
        try:
            work()
        except Exception as error:  # whatever it is, nobody is waiting for it here
            if on_error is not None:
                on_error(error)
                return
            # Without the arguments: a password may be among them.
            status = getattr(error, "returncode", None)
            how = type(error).__name__ if status is None else f"exit status {status}"
            _log.error("call of %s in the background failed: %s", command.program, how)
            raise

    # Callable roots and the like may look at the caller's context (who is logged in, say).
    context = contextvars.copy_context()
    threading.Thread(
        target=context.run, args=(in_background,), name=f"call {command.program}", daemon=True
    ).start()
    return None


class _File(NamedTuple):
    binding: PathBinding
    local: AbstractContextManager[str]


class _Command(NamedTuple):
    """A command line: text, or the index of the file whose local path belongs there."""

    words: list[str | int]
    files: list[_File]

    @classmethod
    def prepare(
        cls, args: Sequence[object], resolve: Callable[[object], PathBinding | None]
    ) -> _Command:
        words: list[str | int] = []
        files: list[_File] = []
        for argument in args:
            binding = resolve(argument)
            if binding is None:
                words.append(_as_text(argument))
                continue
            same = (n for n, file in enumerate(files) if _same_file(file.binding, binding))
            index = next(same, len(files))
            if index == len(files):
                files.append(_File(binding, _open_binding(binding)))
            words.append(index)
        return cls(words, files)

    @property
    def program(self) -> str:
        first = self.words[0]
        if isinstance(first, str):
            return first
        binding = self.files[first].binding
        return binding.mount.label(binding.path)

    def run(self, return_output: bool, options: dict[str, Any]) -> str | None:
        options = dict(options)
        check = options.pop("check", True)
        if return_output and not options.get("capture_output"):
            options["stdout"] = subprocess.PIPE
        with contextlib.ExitStack() as stack:
            paths = [stack.enter_context(file.local) for file in self.files]
            line = [word if isinstance(word, str) else paths[word] for word in self.words]
            finished = subprocess.run(line, check=check, **options)
        if not return_output:
            return None
        output = finished.stdout
        return output if isinstance(output, str) else output.decode("utf-8", "replace")


def _open_binding(binding: PathBinding) -> AbstractContextManager[str]:
    return local_path(
        binding.mount,
        binding.path,
        _mode(binding),
        version=binding.version,
        on_new_path=binding.on_new_path,
    )


def _mode(binding: PathBinding) -> str:
    # Whether a program reads or writes an argument cannot be known, only whether it may write.
    return "rw" if binding.version is None and binding.mount.capabilities.write else "r"


def _same_file(one: PathBinding, other: PathBinding) -> bool:
    """One place, seen with the same rights: what the second may write, the first can carry."""
    if one.version != other.version or _mode(one) != _mode(other):
        return False
    if one.mount is other.mount and one.path == other.path:
        return True
    return one.mount.same_place(one.path, other.mount, other.path)


def _as_text(argument: object) -> str:
    if isinstance(argument, bytes | os.PathLike):
        return os.fsdecode(argument)
    return str(argument)
