"""What every part of the suite stands on: mounts, an empty root, a way to put content there."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from ..exceptions import StorageError, StorageUnsupportedError
from ..manager import StorageManager
from ..mount import Mount

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from ..capabilities import BackendCapabilities
    from ..node import StorageNode

__all__ = ["AWKWARD_NAMES", "LONG_NAME", "Ground", "Shelf", "Spy", "names_in"]

LONG_NAME = "n" * 251 + ".txt"
_UMLAUT = unicodedata.normalize("NFC", "\u00fcber.txt")

#: One name each that some storage, shell or library is known to treat specially.
AWKWARD_NAMES: tuple[str, ...] = (
    "data[1].txt",
    "star*.txt",
    "what?.txt",
    "{a,b}.txt",
    "hash#1.txt",
    "100%.txt",
    "%2e%2e",
    "%20.txt",
    "a+b.txt",
    "~home",
    "a&b=c;d.txt",
    "it's.txt",
    'say "hi".txt',
    "<angle>.txt",
    "a|b.txt",
    "a:b.txt",
    "a\\b.txt",
    "$HOME",
    "two  spaces.txt",
    " leading space",
    "trailing space ",
    "trailing dot.",
    "...",
    "-rf",
    ".hidden",
    "line\nbreak.txt",
    "tab\there.txt",
    _UMLAUT,
    unicodedata.normalize("NFD", _UMLAUT),
    "\u65e5\u672c\u8a9e.txt",
    "\U0001f600.txt",
    "CON",
    LONG_NAME,
)


def _label(name: str) -> str:
    if name == LONG_NAME:
        return "a name of 255 bytes"
    if not name.isascii():
        form = "NFC" if unicodedata.is_normalized("NFC", name) else "NFD"
        return f"{name} ({form})"
    return name


#: The same, for ``@pytest.mark.parametrize("name", AWKWARD)``.
AWKWARD = [pytest.param(name, id=_label(name)) for name in AWKWARD_NAMES]


def names_in(node: StorageNode) -> list[str]:
    """The names that a listing shows."""
    return [child.name for child in node.children()]


class Spy:
    """A backend that notes each verb it is asked for and hands it on."""

    def __init__(self, backend: Any) -> None:
        self._backend = backend
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._backend, name)
        if callable(value):
            self.calls.append(name)
        return value


@dataclass(frozen=True)
class Shelf:
    """A place to read from: content is put through a writable mount and seen through another."""

    suite: Ground
    storage: StorageManager
    #: The mount that tests read through.
    mount: str
    #: Where that mount begins inside the mount that content is put through.
    prefix: str

    @property
    def root(self) -> StorageNode:
        """The root as the variant under test sees it."""
        return self.storage.node(f"{self.mount}:")

    @property
    def capabilities(self) -> BackendCapabilities:
        """What the backend declares, without the permissions of the variant."""
        return self.storage.node("mine:").capabilities

    def put(self, path: str, data: bytes = b"content") -> StorageNode:
        """Store ``data`` under ``path`` and return its node as the variant sees it."""
        below = f"{self.prefix}/{path}" if self.prefix else path
        stored = self.suite.put(self.storage.node("mine", below), data)
        found = stored.path or ""
        if not self.capabilities.path_is_content:
            found = found[len(self.prefix) :].lstrip("/") if self.prefix else found
        return self.storage.node(self.mount, found)


class Ground:
    """Fixtures, and what a subclass says about its technology beyond the capabilities."""

    #: False where ``A`` and ``a`` are one name.
    case_sensitive: ClassVar[bool] = True
    #: False where the NFC and the NFD form of a name are one name.
    keeps_unicode_forms: ClassVar[bool] = True
    #: Names of ``AWKWARD_NAMES`` that the technology cannot hold: writing them must raise.
    refused_names: ClassVar[frozenset[str]] = frozenset()
    #: How far, in seconds, a modification time may be off: its granularity and the clocks.
    mtime_granularity: ClassVar[float] = 2.0
    #: False where creating a file only if it is absent is a look before the write, with a gap.
    exclusive_creation: ClassVar[bool] = True
    #: False where ``mount_config`` leads to a place that keeps no versions although the technology
    #: can (a bucket without versioning): then the current content is all there is.
    keeps_versions: ClassVar[bool] = True
    #: Python code that another process runs first, to ``register()`` the type under test.
    child_setup: ClassVar[str] = ""

    @pytest.fixture
    def mount_config(self) -> Mapping[str, Any]:
        """The mapping of a mount, without its name, that leads to an empty place."""
        raise NotImplementedError(
            f"{type(self).__name__} needs a fixture mount_config, for example "
            'return {"type": "local", "path": str(tmp_path)}'
        )

    @pytest.fixture
    def holders(self) -> list[dict[str, Any]]:
        """Mounts that must be there first, because ``mount_config`` keeps its content in them."""
        return []

    def put(self, node: StorageNode, data: bytes) -> StorageNode:
        """Store content for a reading test and return its node.

        Override it where the mount itself cannot write (an archive, a web server).
        """
        node.write_bytes(data)
        return node

    # -- mounts -------------------------------------------------------------------------------

    @pytest.fixture
    def storage(
        self, mount_config: Mapping[str, Any], holders: list[dict[str, Any]]
    ) -> Iterator[StorageManager]:
        """A manager with the mount ``mine``, a directory of it, and a read-only view of it."""
        with StorageManager() as manager:
            manager.configure([*holders, {"name": "mine", **mount_config}])
            capabilities = manager.node("mine:").capabilities
            below = "" if capabilities.path_is_content else self._narrow_to
            manager.configure(
                [
                    {"name": "inner", "path": f"mine:{below}"},
                    {"name": "locked", "path": "mine:", "permissions": "readonly"},
                ]
            )
            if capabilities.mkdir and capabilities.list_dir:
                found = names_in(manager.node("mine:"))
                assert found == [], f"mount_config must lead to an empty place; it holds {found}"
            yield manager

    _narrow_to: ClassVar[str] = "inner/deep [1]"

    @pytest.fixture(params=["plain", "narrowed"])
    def root(self, request: pytest.FixtureRequest, storage: StorageManager) -> StorageNode:
        """An empty directory to write into: the mount's root, or that of a narrowed mount."""
        capabilities = storage.node("mine:").capabilities
        if not capabilities.write:
            pytest.skip("the backend does not declare 'write'")
        if request.param == "plain":
            return storage.node("mine:")
        if capabilities.mkdir:
            storage.node("mine", self._narrow_to).mkdir(parents=True)
        return storage.node("inner:")

    @pytest.fixture(params=["plain", "narrowed", "readonly"])
    def shelf(self, request: pytest.FixtureRequest, storage: StorageManager) -> Shelf:
        """A place to read from, also where the mount cannot write."""
        opaque = storage.node("mine:").capabilities.path_is_content
        if request.param == "plain":
            return Shelf(self, storage, "mine", "")
        if request.param == "narrowed":
            return Shelf(self, storage, "inner", "" if opaque else self._narrow_to)
        return Shelf(self, storage, "locked", "")

    # -- gates --------------------------------------------------------------------------------

    def declares(self, node: StorageNode, capability: str, otherwise: Callable[[], object]) -> bool:
        """Whether a capability is declared; where it is not, ``otherwise`` must be refused."""
        if getattr(node.capabilities, capability):
            return True
        with pytest.raises(StorageUnsupportedError):
            otherwise()
        return False

    @staticmethod
    def need_directories(node: StorageNode) -> None:
        """Skip where there are no directories of their own; capability.py tests the refusal."""
        if not node.capabilities.mkdir:
            pytest.skip("the backend does not declare 'mkdir'")

    @staticmethod
    def need_listing(node: StorageNode) -> None:
        """Skip where nothing can be listed; capability.py tests the refusal."""
        if not node.capabilities.list_dir:
            pytest.skip("the backend does not declare 'list_dir'")

    @staticmethod
    def need_deletion(node: StorageNode) -> None:
        """Skip where nothing can be deleted; capability.py tests the refusal."""
        if not node.capabilities.delete:
            pytest.skip("the backend does not declare 'delete'")

    # -- helpers ------------------------------------------------------------------------------

    @staticmethod
    def spied(node: StorageNode) -> tuple[StorageNode, Spy]:
        """The same node with a spy between its mount and the backend."""
        mount = node._mount.bind()
        backend, _ = mount._at("")
        spy = Spy(backend)
        watched: Any = spy
        twin = node._derive(node._path)
        twin._mount = Mount(mount.name, watched, mount.prefix, mount.permissions)
        return twin, spy

    @staticmethod
    def raises_ours(
        expected: type[StorageError] | tuple[type[StorageError], ...],
        node: StorageNode,
        step: Callable[[], object],
    ) -> None:
        """``step`` raises exactly one of these classes, and the message names the node."""
        with pytest.raises(StorageError) as caught:
            step()
        kinds = expected if isinstance(expected, tuple) else (expected,)
        assert type(caught.value) in kinds, f"{type(caught.value).__name__}: {caught.value}"
        assert node.fullpath in str(caught.value)
