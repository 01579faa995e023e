"""Who logs in where, and whom to trust: known_hosts files as ssh reads them (sshd(8)), and the keys of a configuration."""

from __future__ import annotations

import base64
import binascii
import getpass
import hashlib
import hmac
import itertools
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ..remote import Bounds

__all__ = [
    "Checking",
    "HostTrust",
    "KnownKey",
    "Login",
    "find_known",
    "fingerprint",
    "parse_host_key",
]

#: ``strict``: only known keys. ``accept-new``: a key of a host that has none is trusted as long
#: as the mount lives. ``ignore``: whoever answers is trusted.
Checking = Literal["strict", "accept-new", "ignore"]

_FINGERPRINT = re.compile(r"SHA256:[A-Za-z0-9+/]{43}=?\Z")
_TYPE = re.compile(r"(ssh|ecdsa|sk-ssh|sk-ecdsa)-[a-z0-9@.-]+\Z")


class KnownKey(NamedTuple):
    """One key that a file says a host has; ``kind`` is its type, ``blob`` the key itself."""

    kind: str
    blob: bytes
    where: str
    revoked: bool = False


def fingerprint(blob: bytes) -> str:
    """As ``ssh-keygen -l`` shows it.

    >>> fingerprint(b"key")
    'SHA256:LHDhK3oGRvkiefQnx7OOczTY5Tic/xZ6HcMOc/gmtoM'
    """
    digest = hashlib.sha256(blob).digest()
    return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")


def parse_host_key(text: str) -> tuple[str, str]:
    """``(type, fingerprint)`` of a key as people write it; the type is ``""`` where unknown.

    Takes a fingerprint (``SHA256:…``), with the type before it as our messages show it, a line
    of a ``.pub`` file, or one of ``ssh-keyscan``. Raises ``ValueError``.
    """
    words = text.split()
    if words and _FINGERPRINT.match(words[-1]):
        kind = " ".join(words[:-1])
        if not kind or _TYPE.match(kind):
            return kind, words[-1].rstrip("=")
    for kind, encoded in itertools.pairwise(words):
        if _TYPE.match(kind):
            try:
                return kind, fingerprint(base64.b64decode(encoded, validate=True))
            except binascii.Error:
                break
    raise ValueError(
        "expected a host key like 'ssh-ed25519 AAAA…' (a line that ssh-keyscan prints) or its "
        "fingerprint, 'ssh-ed25519 SHA256:…' or 'SHA256:…'"
    )


def find_known(lines: Iterable[str], host: str, port: int, name: str) -> list[KnownKey]:
    """What the lines of the file ``name`` say about a host.

    Lines about certificate authorities are left out: host certificates are not checked.
    """
    wanted = host.lower() if port == 22 else f"[{host.lower()}]:{port}"
    found: list[KnownKey] = []
    for number, line in enumerate(lines, 1):
        words = line.split()
        marker = words.pop(0) if words and words[0].startswith("@") else ""
        if len(words) < 3 or words[0].startswith("#") or marker not in ("", "@revoked"):
            continue
        if not _names(words[0], wanted):
            continue
        try:
            blob = base64.b64decode(words[2], validate=True)
        except binascii.Error:
            continue  # ssh, too, skips what is no key
        found.append(KnownKey(words[1], blob, f"{name}:{number}", bool(marker)))
    return found


def _names(patterns: str, wanted: str) -> bool:
    """Whether a line's first field is about this host."""
    if patterns.startswith("|1|"):
        return _is_hash_of(patterns, wanted)
    named = False
    for pattern in patterns.lower().split(","):
        bare = pattern.removeprefix("!")
        if _matches(bare, wanted):
            if bare != pattern:
                return False
            named = True
    return named


def _is_hash_of(field: str, wanted: str) -> bool:
    try:
        salt, digest = (base64.b64decode(part, validate=True) for part in field[3:].split("|"))
    except ValueError:  # binascii.Error is one
        return False
    # The file format prescribes SHA-1; it hides names from readers and secures nothing.
    return hmac.compare_digest(hmac.new(salt, wanted.encode(), "sha1").digest(), digest)


def _matches(pattern: str, wanted: str) -> bool:
    """Only ``*`` and ``?`` are special: the brackets of ``[host]:port`` are not."""
    parts = (".*" if c == "*" else "." if c == "?" else re.escape(c) for c in pattern)
    return re.fullmatch("".join(parts), wanted) is not None


@dataclass(frozen=True)
class HostTrust:
    """What the configuration says: expected keys as ``(type, fingerprint)``, files, strictness.

    ``optional`` files may be missing. ``accepted``: somebody has said in so many words that a
    server nobody knows is to be trusted.
    """

    checking: Checking
    expected: Sequence[tuple[str, str]] = ()
    files: Sequence[str] = ()
    optional: bool = False
    accepted: bool = False

    def known(self, host: str, port: int) -> list[KnownKey]:
        """What the files say about the host; ``PermissionError`` where one cannot be read."""
        found: list[KnownKey] = []
        for path in self.files:
            try:
                with open(path, encoding="utf-8", errors="replace") as lines:
                    found += find_known(lines, host, port, path)
            except (FileNotFoundError, NotADirectoryError) as error:
                if not self.optional:
                    raise PermissionError(
                        f"the file {path!r} does not exist; correct 'known_hosts'"
                    ) from error
            except (OSError, IsADirectoryError) as error:
                raise PermissionError(
                    f"the file {path!r} of known host keys cannot be read: {error.strerror}"
                ) from error
        return found


@dataclass
class Login:
    """Where to connect, as whom, and whom to trust. Secrets are kept out of ``repr``."""

    mount: str
    host: str
    port: int
    username: str | None
    password: str | None = field(repr=False)
    key_files: tuple[str, ...]
    passphrase: str | None = field(repr=False)
    trust: HostTrust
    bounds: Bounds
    #: The key of a host that nobody knew: trusted from the first connection to the last.
    pinned: bytes | None = None

    @property
    def user(self) -> str:
        """Who logs in; as with ssh, by default the user of this machine."""
        if self.username is not None:
            return self.username
        try:
            return getpass.getuser()
        except (KeyError, OSError) as error:  # a container's user needs no name
            raise PermissionError(
                "the user of this process has no name on this machine; give 'username'"
            ) from error

    @property
    def label(self) -> str:
        """The server, for messages."""
        return f"{self.host}:{self.port}"
