"""What a configuration says and no object store takes, told apart without asking one. Pure.

Only what every server refuses: those that speak the protocol of S3 allow more than Amazon does. A
native client, which has no exceptions, would panic where some of this reaches it.
Values are never quoted: any may be a secret.
"""

from __future__ import annotations

import re

__all__ = ["check_account", "check_line", "check_name", "check_region"]

_NAME = re.compile(r"[A-Za-z0-9._-]+", re.ASCII)
# As botocore has it, which signs for no other.
_REGION = re.compile(r"(?![0-9]+\Z)[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?", re.ASCII)
_ACCOUNT = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def check_name(value: str, what: str, prefix: str, *, any_letter: bool = False) -> str:
    """The name of a ``what`` (bucket, container); ``ValueError`` where it can be none.

    ``prefix`` is the key that takes what comes after a name. ``any_letter``: also those that no
    object store has in its names, as blanks.
    """
    if "/" in value or "\\" in value:
        raise ValueError(
            f"write the {what}'s name alone; what comes after it belongs into {prefix!r}"
        )
    if _CONTROL.search(value):
        raise ValueError(f"the {what}'s name has a line end or another control character in it")
    if value.strip(". ") == "":
        raise ValueError(f"it names no {what}")
    # Azure's own containers: $root, $web, $logs.
    plain = value.removeprefix("$") if what == "container" else value
    if not any_letter and not _NAME.fullmatch(plain):
        raise ValueError(f"a {what}'s name has letters, digits, dots, dashes and underscores")
    return value


def check_region(value: str) -> str:
    """The name of a region; ``ValueError`` where no signature can hold it."""
    if not _REGION.fullmatch(value):
        raise ValueError("a region has letters, digits and dashes, as 'eu-west-1' has")
    return value


def check_account(value: str) -> str:
    """The name of a storage account; ``ValueError`` where it is not only a name."""
    if not _ACCOUNT.fullmatch(value):
        raise ValueError(
            "write the account's name alone, which has letters and digits; where it is found "
            "belongs into 'endpoint_url'"
        )
    return value


def check_line(value: str, *, ascii_only: bool = True) -> str:
    r"""What goes along with requests in a header; ``ValueError`` where no header can hold it.

    >>> check_line("a2V5\n")
    Traceback (most recent call last):
    ValueError: it has a line end or another control character in it; was it read from a file?
    """
    if _CONTROL.search(value):
        raise ValueError(
            "it has a line end or another control character in it; was it read from a file?"
        )
    if value != value.strip():
        raise ValueError("it begins or ends with a blank; remove that")
    if ascii_only and not value.isascii():
        raise ValueError("it has a character beyond ASCII, which no header carries")
    return value
