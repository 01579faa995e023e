"""What the answers of a web server mean: sizes, times, ranges, refusals. Pure."""

from __future__ import annotations

import errno
import re
import time
from typing import TYPE_CHECKING, NamedTuple

from ...info import FileInfo
from ..content_ranges import content_range, unsatisfied_size
from ..fsspec_info import moment
from ..remote import BusyError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "Facts",
    "FinalError",
    "busy",
    "is_stored_encoding",
    "refusal",
    "unsupported_login",
]

# Several are one header, or one with commas between.
_LOGIN = re.compile(r"(?:^|,)\s*(basic|bearer|digest|ntlm|negotiate)\b", re.IGNORECASE)

# A server that knows files by their suffix names the compression of what is simply a file.
_GZIP = (".gz", ".gzip", ".tgz", ".svgz", ".emz", ".wmz")
_SUFFIXES: dict[str, tuple[str, ...]] = {
    "gzip": _GZIP,
    "x-gzip": _GZIP,
    "compress": (".z", ".taz"),
    "x-compress": (".z", ".taz"),
    "br": (".br",),
    "zstd": (".zst", ".tzst"),
    "bzip2": (".bz2", ".tbz2"),
    "x-bzip2": (".bz2", ".tbz2"),
    "xz": (".xz", ".txz"),
    "x-xz": (".xz", ".txz"),
}


class FinalError(ConnectionError):
    """A failure of the connection that another attempt would only repeat."""


class Facts(NamedTuple):
    """What an answer says about the whole file, whichever part of it came along.

    ``size`` is None where the server does not say, and where it compresses what it sends.
    ``ranges`` says that the server announces range requests.
    """

    size: int | None
    etag: str | None
    modified: str | None
    content_type: str | None
    ranges: bool

    @classmethod
    def of(cls, status: int, headers: Mapping[str, str], *, encoded: bool) -> Facts:
        """Read them from the headers of an answer."""
        if encoded:
            size = None
        elif status == 206:
            found = content_range(headers)
            size = None if found is None else found[2]
        elif status == 416:
            size = unsatisfied_size(headers)
        else:
            size = _number(headers.get("Content-Length"))
        return cls(
            size,
            _etag(headers.get("ETag")),
            (headers.get("Last-Modified") or "").strip() or None,
            (headers.get("Content-Type") or "").strip() or None,
            not encoded and "bytes" in (headers.get("Accept-Ranges") or "").lower(),
        )

    @property
    def is_versioned(self) -> bool:
        """Whether a change of the file would show in another answer."""
        return self.etag is not None or self.modified is not None

    def contradicts(self, other: Facts) -> bool:
        """Whether the other answer is about another content, or cannot be shown to be about this.

        An answer need not repeat everything, but what both say must agree.
        """
        agreed = False
        for mine, theirs in ((self.etag, other.etag), (self.modified, other.modified)):
            if mine is not None and theirs is not None:
                if mine != theirs:
                    return True
                agreed = True
        if self.size is not None and other.size is not None and self.size != other.size:
            return True
        return not agreed

    def info(self, path: str) -> FileInfo:
        """The same in the words of the library."""
        return FileInfo(
            path,
            "file",
            self.size,
            moment(self.modified),
            self.etag,
            None,
            self.content_type,
        )


def _number(text: str | None) -> int | None:
    text = (text or "").strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 19 else None


def _etag(text: str | None) -> str | None:
    """Opaque, without its marks: apache calls one weak for a second, and strong afterwards."""
    return (text or "").strip().removeprefix("W/").strip('"') or None


def is_stored_encoding(encoding: str, path: str) -> bool:
    """Whether ``Content-Encoding`` only tells what the file itself is.

    >>> is_stored_encoding("gzip", "backup.tar.gz"), is_stored_encoding("gzip", "page.html")
    (True, False)
    """
    return path.lower().endswith(_SUFFIXES.get(encoding.strip().lower(), ()))


def _retry_after(headers: Mapping[str, str]) -> float | None:
    text = (headers.get("Retry-After") or "").strip()
    seconds = _number(text)
    if seconds is not None:
        return float(seconds)
    when = moment(text)
    return None if when is None else max(0.0, when - time.time())


def refusal(
    status: int, headers: Mapping[str, str], *, credentials: str | None, elsewhere: str | None
) -> Exception:
    """What to raise for a status that is no answer to the question.

    ``credentials`` are the keys of the options that were sent along, in words; ``elsewhere`` is
    the server that a redirect has led to, which never gets them.
    """
    if status in (404, 410):
        return FileNotFoundError(errno.ENOENT, "not found")
    if status in (401, 403):
        return PermissionError(errno.EACCES, _denied(status, headers, credentials, elsewhere))
    if status == 407:
        return PermissionError(
            errno.EACCES, "the proxy wants credentials (407); write them into 'proxy'"
        )
    if status in (429, 502, 503):
        return busy(status, headers)
    if status in (408, 504):
        return TimeoutError(errno.ETIMEDOUT, f"the server gave up waiting ({status})")
    if status == 414:
        return OSError(errno.ENAMETOOLONG, "the server refuses so long a URL (414)")
    if status in (405, 501):
        return OSError(errno.ENOTSUP, f"the server does not serve this for reading ({status})")
    if status == 507:
        return OSError(errno.ENOSPC, "the server has no space left (507)")
    if 500 <= status < 600:
        return ConnectionError(errno.EIO, f"the server failed (status {status})")
    if 300 <= status < 400:
        return FinalError(errno.EIO, f"the server redirects without saying where (status {status})")
    return OSError(errno.EIO, f"the server answers with status {status}")


def _denied(
    status: int, headers: Mapping[str, str], credentials: str | None, elsewhere: str | None
) -> str:
    if elsewhere is not None:
        return (
            f"{elsewhere}, to which the server redirects, refuses access ({status}); credentials "
            "are sent to the server of 'base_url' only: correct 'base_url' if that is another one"
        )
    unsupported = unsupported_login(headers)
    if status == 401 and unsupported is not None:
        return (
            f"the server wants the credentials in a way that is not supported ({unsupported}, "
            "401); let it accept 'basic' or a token"
        )
    if credentials is None:
        return (
            f"the server wants credentials ({status}); give 'username' and 'password', or 'token'"
            if status == 401
            else "the server refuses access (403); if it wants credentials, give 'username' and "
            "'password', or 'token'"
        )
    what = "refuses the credentials (401)" if status == 401 else "refuses access (403)"
    return f"the server {what}; check {credentials}"


def unsupported_login(headers: Mapping[str, str]) -> str | None:
    """The login that the server asks for, where it offers none that can be given."""
    offered = [found.lower() for found in _LOGIN.findall(headers.get("WWW-Authenticate") or "")]
    return offered[0] if offered and not {"basic", "bearer"}.intersection(offered) else None


def busy(status: int, headers: Mapping[str, str]) -> BusyError:
    """What to raise where the server asks to come back later (429, 502, 503)."""
    wait = _retry_after(headers)
    what = "too many requests" if status == 429 else "the service is not available now"
    when = "try again later" if wait is None else f"the server asks to wait {wait:.0f} seconds"
    return BusyError(f"{what} (status {status}); {when}", wait)
