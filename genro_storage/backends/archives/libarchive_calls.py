"""The calls of libarchive that are made, on one archive that is walked from its start.

libarchive-c finds and loads the system's library; its own wrappers take a warning for a number of
bytes and cannot name an entry outside of a UTF-8 locale, so they are not used.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import functools
import importlib
import sys
from typing import TYPE_CHECKING, Any

from ...exceptions import StorageMissingExtraError
from .tree import BrokenArchiveError

if TYPE_CHECKING:
    from collections.abc import Generator

    from .sources import Source

__all__ = ["Found", "Walk", "load"]

_EOF, _OK, _WARN, _FATAL = 1, 0, -20, -30
_BLOCK = 128 * 1024
#: Left out on purpose: mtree, which may name files of this machine, and raw, which is any file.
_FORMATS = (
    "7zip", "ar", "cab", "cpio", "iso9660", "lha", "rar", "rar5", "tar", "warc", "xar", "zip",
)  # fmt: skip
#: Left out on purpose: what libarchive undoes by starting another program.
_FILTERS = ("bzip2", "compress", "gzip", "lzip", "lzma", "xz", "lz4", "zstd", "rpm")

_POINTER, _TEXT, _INT = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int
_READ = ctypes.CFUNCTYPE(ctypes.c_ssize_t, _POINTER, _POINTER, ctypes.POINTER(_POINTER))
_SEEK = ctypes.CFUNCTYPE(ctypes.c_longlong, _POINTER, _POINTER, ctypes.c_longlong, _INT)
_CALLS: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "read_new": (_POINTER, ()),
    "read_free": (_INT, (_POINTER,)),
    "read_set_read_callback": (_INT, (_POINTER, _READ)),
    "read_set_seek_callback": (_INT, (_POINTER, _SEEK)),
    "read_set_callback_data": (_INT, (_POINTER, _POINTER)),
    "read_open1": (_INT, (_POINTER,)),
    "read_next_header2": (_INT, (_POINTER, _POINTER)),
    "read_data": (ctypes.c_ssize_t, (_POINTER, _POINTER, ctypes.c_size_t)),
    "error_string": (_TEXT, (_POINTER,)),
    "entry_new": (_POINTER, ()),
    "entry_free": (None, (_POINTER,)),
    "entry_filetype": (_INT, (_POINTER,)),
    "entry_size": (ctypes.c_longlong, (_POINTER,)),
    "entry_size_is_set": (_INT, (_POINTER,)),
    "entry_mtime": (ctypes.c_longlong, (_POINTER,)),
    "entry_mtime_nsec": (ctypes.c_long, (_POINTER,)),
    "entry_mtime_is_set": (_INT, (_POINTER,)),
    "entry_is_encrypted": (_INT, (_POINTER,)),
    **{
        f"entry_{what}{form}": (_TEXT, (_POINTER,))
        for what in ("pathname", "hardlink", "symlink")
        for form in ("", "_utf8")
    },
}


class _Library:
    """The functions, each as the header of libarchive declares it."""

    def __init__(self, library: Any) -> None:
        self._library = library
        for name, (result, arguments) in _CALLS.items():
            setattr(self, name, self._bind(name, result, arguments))
        self.formats: list[Any] = self._available("read_support_format_", _FORMATS)
        self.filters: list[Any] = self._available("read_support_filter_", _FILTERS)

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...

    def _bind(self, name: str, result: Any, arguments: tuple[Any, ...]) -> Any:
        # By item: the attribute is shared with libarchive-c, which has its own idea of errors.
        function = self._library[f"archive_{name}"]
        function.restype, function.argtypes = result, list(arguments)
        return function

    def _available(self, prefix: str, names: tuple[str, ...]) -> list[Any]:
        found: list[Any] = []
        for name in names:
            with contextlib.suppress(AttributeError):  # an older library
                found.append(self._bind(prefix + name, _INT, (_POINTER,)))
        return found

    def add_password(self, archive: Any, password: bytes) -> None:
        """Try this password where something is encrypted."""
        self._bind("read_add_passphrase", _INT, (_POINTER, _TEXT))(archive, password)


@functools.cache
def _library() -> _Library:
    return _Library(importlib.import_module("libarchive.ffi").libarchive)


def load(mount: str) -> _Library:
    """The library; ``StorageMissingExtraError`` says what to install, and how."""
    label = f"mount {mount!r} (libarchive)"
    try:
        return _library()
    except ImportError as error:
        raise StorageMissingExtraError(
            f"{label}: the module {error.name or 'libarchive'!r} is not installed; install it "
            'with: pip install "genro-storage[libarchive]"',
            node=mount,
        ) from error
    except (OSError, AttributeError, TypeError) as error:
        # libarchive-c is there, and fails in one of these ways without what it stands on.
        raise StorageMissingExtraError(
            f"{label}: the system's library libarchive is missing; install it, for instance with: "
            "apt install libarchive13",
            node=mount,
        ) from error


@functools.cache
def _unicode_locale() -> tuple[Any, Any] | None:
    """(the call that sets the locale of a thread, one of UTF-8); None where that is not needed."""
    if sys.platform not in ("linux", "darwin") or _is_utf8():
        return None
    system = ctypes.CDLL(None)
    system.newlocale.restype = _POINTER
    system.newlocale.argtypes = [_INT, _TEXT, _POINTER]
    system.uselocale.restype = _POINTER
    system.uselocale.argtypes = [_POINTER]
    mask, name = (1, b"C.UTF-8") if sys.platform == "linux" else (2, b"UTF-8")
    made = system.newlocale(mask, name, None)
    return (system.uselocale, made) if made else None


def _is_utf8() -> bool:
    import locale

    return locale.nl_langinfo(locale.CODESET).upper().replace("-", "") == "UTF8"


@contextlib.contextmanager
def _unicode_names() -> Generator[None]:
    """Libarchive forgets names that the locale of the thread cannot hold, so it gets another one."""
    found = _unicode_locale()
    if found is None:
        yield
        return
    use, unicode = found
    before = use(unicode)
    try:
        yield
    finally:
        use(before)


class Found:
    """The header of one entry."""

    __slots__ = ("encrypted", "hardlink", "kind", "mtime", "name", "size", "symlink")

    def __init__(self, library: _Library, entry: Any) -> None:
        self.name: str | None = _text(library, entry, "pathname")
        self.hardlink: str | None = _text(library, entry, "hardlink")
        self.symlink: str | None = _text(library, entry, "symlink")
        self.kind: int = library.entry_filetype(entry) & 0o170000
        self.size: int | None = (
            max(0, library.entry_size(entry)) if library.entry_size_is_set(entry) else None
        )
        self.mtime: float | None = None
        if library.entry_mtime_is_set(entry):
            self.mtime = library.entry_mtime(entry) + library.entry_mtime_nsec(entry) / 1e9
        self.encrypted: bool = bool(library.entry_is_encrypted(entry))


def _text(library: _Library, entry: Any, what: str) -> str | None:
    raw = getattr(library, f"entry_{what}_utf8")(entry)
    if raw is None:  # bytes of no known encoding, or of none that this locale has
        raw = getattr(library, f"entry_{what}")(entry)
    return None if raw is None else raw.decode("utf-8", "surrogateescape")


class _Feed:
    """What libarchive asks for bytes. No exception may pass through C, so it is kept."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.position = 0
        self.failure: BaseException | None = None
        self._buffer = ctypes.create_string_buffer(_BLOCK)

    def read(self, _archive: Any, _data: Any, buffer: Any) -> int:
        try:
            data = self.source.read_at(self.position, _BLOCK)
        except BaseException as error:  # noqa: BLE001 - raised again on the other side
            self.failure = error
            return _FATAL
        self.position += len(data)
        ctypes.memmove(self._buffer, data, len(data))
        buffer[0] = ctypes.addressof(self._buffer)
        return len(data)

    def seek(self, _archive: Any, _data: Any, offset: int, whence: int) -> int:
        start = (0, self.position, self.source.size)[whence]
        self.position = min(max(0, start + offset), self.source.size)
        return self.position


class Walk:
    """One way through an archive, for one thread at a time. ``close`` closes the source too."""

    def __init__(self, library: _Library, source: Source, password: bytes | None) -> None:
        self._library = library
        self.source = source
        self._password = password
        self._archive: Any = None
        self._entry: Any = None
        # Apart from the walk, which ends with its last reference and not when cycles are sought.
        self._feed = _Feed(source)
        # Kept as long as the library may call them.
        self._callbacks = (_READ(self._feed.read), _SEEK(self._feed.seek))
        #: The number of the entry whose header was read last, and whether its content is untouched.
        self.at: int = -1
        self.fresh: bool = False
        self.name: str = ""
        #: Whether nobody else closes the source, so that it must go with the walk.
        self.waits = False

    # -- walking ------------------------------------------------------------------------------

    def _open(self) -> None:
        library = self._library
        self._feed.position = 0
        self._entry = library.entry_new()
        archive = self._archive = library.read_new()
        for support in (*library.filters, *library.formats):
            support(archive)
        if self._password is not None:
            library.add_password(archive, self._password)
        library.read_set_read_callback(archive, self._callbacks[0])
        library.read_set_seek_callback(archive, self._callbacks[1])
        # Without data of its own, read_open1 would look into nothing.
        library.read_set_callback_data(archive, None)
        self._check(library.read_open1(archive), "the archive")

    def next(self) -> Found | None:
        """The header of the next entry, None behind the last."""
        with _unicode_names():
            if self._archive is None:
                self._open()
            result = self._library.read_next_header2(self._archive, self._entry)
            if result == _EOF:
                return None
            if result != _WARN:  # an attribute that nobody here asks for
                self._check(result, "the archive")
            self.at += 1
            self.fresh = True
            return Found(self._library, self._entry)

    def go_to(self, number: int, name: str) -> None:
        """Stand before the content of an entry, from the start again where that is behind."""
        if self.at > number or (self.at == number and not self.fresh):
            self.rewind()
        while self.at < number:
            if self.next() is None:
                raise BrokenArchiveError(f"the entry {name!r} is not there any more")
        self.name = name

    def read(self, count: int) -> bytes:
        """At most ``count`` bytes of the entry, none at its end."""
        self.fresh = False
        count = min(count, 1024 * 1024)
        buffer = ctypes.create_string_buffer(count)
        got = self._library.read_data(self._archive, buffer, count)
        if got < 0:
            self._check(got, f"the entry {self.name!r}", strict=True)
        return buffer.raw[:got]

    def _check(self, result: int, what: str, *, strict: bool = False) -> None:
        if result >= (_OK if strict else _WARN):
            return
        failure, self._feed.failure = self._feed.failure, None
        if failure is not None:
            raise failure
        raw = self._library.error_string(self._archive)
        text = raw.decode("utf-8", "replace") if raw else "unknown error"
        raise _explained(what, text)

    def rewind(self) -> None:
        """Be as new."""
        self._free()
        self.at = -1
        self.fresh = False

    def _free(self) -> None:
        archive, self._archive = self._archive, None
        entry, self._entry = self._entry, None
        if archive is not None:
            self._library.read_free(archive)
        if entry is not None:
            self._library.entry_free(entry)

    def close(self) -> None:
        try:
            self._free()
        finally:
            self.source.close()

    def __del__(self) -> None:
        with contextlib.suppress(Exception):
            if self.waits:
                self.close()
            else:
                self._free()


_SECRETIVE = ("ncrypt", "assphrase", "assword", "Crypto codec")


def _explained(what: str, text: str) -> OSError:
    if any(word in text for word in _SECRETIVE):
        return PermissionError(
            errno.EACCES,
            f"{what} is encrypted: {text}; check 'password' (libarchive opens encrypted zip "
            "archives only)",
        )
    if "Unrecognized archive format" in text:
        return BrokenArchiveError(
            "libarchive knows no archive that begins like this file; it is another kind of file, or damaged"
        )
    return BrokenArchiveError(
        f"{what} cannot be read, as it is damaged or of a kind that libarchive does not know: {text}"
    )
