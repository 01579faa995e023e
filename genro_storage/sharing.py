"""How another process opens the same mount: by a reference, never by what the mount holds."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from .mount import Mount
    from .rights import Permissions

__all__ = ["Origin", "Reference", "SharedMount"]


class Reference(Protocol):
    """Names and paths that lead to a mount's configuration, in any process that can read it."""

    def open(self) -> Mount:
        """The mount as this process knows it."""
        ...


class Origin(Protocol):
    """Where a mount was configured, as its manager tells."""

    def reference(self) -> Reference:
        """What leads there; ``LookupError`` with a clause and the fix where nothing does."""
        ...


@dataclass(frozen=True, slots=True)
class SharedMount:
    """A mount as it travels to another process: names, a directory and rights, and no keys.

    ``reference`` leads to the configured mount; the rest is what narrowing has made of it.
    """

    reference: Reference
    name: str
    prefix: str
    permissions: Permissions

    def open(self) -> Mount:
        """The same mount here, with no more rights than it had there, or than the one here has."""
        mount = self.reference.open().narrow(self.name, "", self.permissions)
        return replace(mount, prefix=self.prefix)
