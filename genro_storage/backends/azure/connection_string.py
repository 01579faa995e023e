"""Connection strings of storage accounts, as the portal shows them. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .options import require_base64

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["parse"]


def parse(text: str, wrong: Callable[[str], Exception]) -> dict[str, str]:
    """The parts of a connection string, by their names in small letters.

    Raises what ``wrong`` makes of a message, which quotes nothing of the string.
    """
    parts: dict[str, str] = {}
    for part in text.strip().strip(";").split(";"):
        name, sign, value = part.partition("=")
        if not sign:
            raise wrong("'connection_string' is not made of NAME=VALUE; parts")
        parts[name.strip().lower()] = value.strip()
    if parts.get("usedevelopmentstorage", "").lower() == "true":
        raise wrong(
            "UseDevelopmentStorage is not supported; write `use_emulator: true`, or name the "
            "emulator's account, key and endpoint"
        )
    if "accountkey" in parts:
        try:
            require_base64(parts["accountkey"])
        except ValueError as error:
            raise wrong(f"the AccountKey in 'connection_string': {error}") from None
    return parts
