"""Paths inside a mount: normalise, join, split, order. Pure: no I/O, no backend.

A path is relative, uses ``/``, has no empty component and no leading or trailing slash; ``""``
is the root. ``..`` is refused in every spelling rather than resolved, because what it resolves
to differs between storages and is never what a mount's limits meant to allow.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .exceptions import StoragePathError

if TYPE_CHECKING:
    from .info import FileInfo

__all__ = [
    "Folding",
    "is_addressable",
    "is_plain",
    "join",
    "normalise",
    "order_key",
    "parent_of",
    "physical",
    "printable",
    "relative_to",
    "split",
]

# A path that needs no work: no empty or dot-dot component, no NUL, no backslash that could be
# a separator in disguise. One regular expression, because every node is made through here.
_PLAIN = re.compile(
    r"(?!/)(?!.*(?://|\x00|\\))(?!(?:.*/)?\.\.(?:/|\Z))(?![A-Za-z]:(?:/|\Z)).*[^/]\Z", re.DOTALL
)
#: What an odd path may begin with; one that is empty begins with "".
_DOT_OR_SLASH = ("", ".", "/")
_ODD = re.compile(r"(?:\A|/)\.{0,2}(?:/|\Z)|\x00")
_DRIVE = re.compile(r"[A-Za-z]:(?:[/\\]|\Z)")


def is_plain(path: str) -> bool:
    """Whether a path is spelt as it is to be."""
    return not path or _PLAIN.match(path) is not None


def normalise(path: str, *, node: str | None = None) -> str:
    """Return ``path`` in the one spelling, or raise ``StoragePathError``.

    Repeated, leading and trailing slashes go; a single dot stays, as does a backslash (it is an
    ordinary character of a name), unless the path reads as ``..`` with it for a separator.

    >>> normalise("/users//1/a.jpg/")
    'users/1/a.jpg'
    """
    if is_plain(path):
        return path
    shown = path if node is None else node
    if "\x00" in path:
        raise StoragePathError(f"{shown!r}: a path cannot contain a NUL character", node=shown)
    if _DRIVE.match(path.lstrip("/")):
        raise StoragePathError(
            f"{shown!r}: a drive letter cannot start a path inside a mount; "
            "configure the drive as a mount's root, or write the path relative to the mount",
            node=shown,
        )
    if any(part == ".." for part in re.split(r"[/\\]", path)):
        raise StoragePathError(
            f"Parent directory traversal ('..') in {shown!r}: Path escapes base directory. "
            "Name the place from the mount's root instead",
            node=shown,
        )
    return "/".join(part for part in path.split("/") if part)


def physical(path: str) -> str:
    """``path`` without its single-dot components: where a backend looks for it.

    A node keeps the dots that it was written with (``u:./a``), the storage never sees them.
    """
    if "." not in path or not ("/./" in path or path.startswith("./") or path.endswith("/.")):
        return "" if path == "." else path
    return "/".join(part for part in path.split("/") if part != ".")


def is_addressable(path: str) -> bool:
    """Whether an entry of a listing can be a node: no empty, ``.`` or ``..`` component, no NUL.

    Wider than what :func:`normalise` takes from a user: two dots and a backslash begin an odd but
    harmless name of a POSIX file, and are suspicious only in what somebody typed or sent.
    """
    # Of every entry of every listing, nearly all of which these few looks are enough for.
    if (
        "/." not in path
        and "//" not in path
        and "\x00" not in path
        and path[:1] not in _DOT_OR_SLASH
        and path[-1] != "/"
    ):
        return True
    return _ODD.search(path) is None


def join(prefix: str, path: str) -> str:
    """Put ``path`` below ``prefix``; either may be the root.

    >>> join("a/b", "c"), join("", "c"), join("a/b", "")
    ('a/b/c', 'c', 'a/b')
    """
    if not prefix:
        return path
    return f"{prefix}/{path}" if path else prefix


def parent_of(path: str) -> str:
    """The path of the directory that holds ``path``; the root's is the root."""
    return path.rpartition("/")[0]


def split(path: str) -> tuple[str, ...]:
    """The components; none for the root."""
    return tuple(path.split("/")) if path else ()


def relative_to(path: str, base: str) -> str:
    """``path`` as seen from ``base``, which must be the same or above it.

    >>> relative_to("a/b/c", "a")
    'b/c'
    """
    if not base:
        return path
    if path == base:
        return ""
    if path.startswith(base + "/"):
        return path[len(base) + 1 :]
    raise StoragePathError(f"{path!r} is not inside {base!r}", node=path)


def order_key(info: FileInfo) -> str:
    """What listings are sorted by: the key order of object stores.

    A directory sorts as if its name ended in ``/``, so that a depth-first walk that sorts each
    level by this key yields all paths in the order in which an object store lists its keys
    (``a-b`` before ``a/x`` before ``a0``).
    """
    return info.path + "/" if info.type == "directory" else info.path


def printable(text: str) -> str:
    r"""``text`` with everything escaped that could steer a terminal or hide in it.

    >>> printable("a\x1b[31m\u202eb\udcff")
    'a\\x1b[31m\\u202eb\\xff'
    """
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else _escape(each) for each in text)


def _escape(character: str) -> str:
    number = ord(character)
    if 0xDC80 <= number <= 0xDCFF:
        return f"\\x{number - 0xDC00:02x}"
    return character.encode("unicode_escape").decode("ascii")


@dataclass(frozen=True, slots=True)
class Folding:
    """Which differences between names a directory does not see: they lead to one file.

    ``case``: small and capital letters (Windows, macOS); ``unicode``: how an accent is encoded
    (macOS). True where there is any.

    >>> Folding(case=True).key("Straße"), Folding().key("Straße"), bool(Folding())
    ('strasse', 'Straße', False)
    """

    case: bool = False
    unicode: bool = False

    def __bool__(self) -> bool:
        return self.case or self.unicode

    def key(self, name: str) -> str:
        """What names have in common that are one here.

        Systems disagree on letters such as ``ß``; this takes for one what any of them does,
        since a needless refusal costs less than a lost file.
        """
        if name.isascii():
            return name.lower() if self.case else name
        if not self.unicode:
            return name.casefold() if self.case else name
        if self.case:
            # Canonical caseless matching (Unicode, D145).
            name = unicodedata.normalize("NFD", name).casefold()
        return unicodedata.normalize("NFC", name)
