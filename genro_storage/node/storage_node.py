"""StorageNode: what people hold. A mount, a path, and maybe a version."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..exceptions import (
    StorageValueError,
)
from ..strategy import SkipStrategy
from .tree import NodeTree

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager

    from ..compat import MountView
    from ..external import PathBinding


__all__ = ["SkipStrategy", "StorageNode"]


class StorageNode(NodeTree):
    """A file or directory on a mount, existing or not.

    Nodes are cheap and hold no connection. ``==`` compares contents, so a node cannot be a
    dictionary key: use ``node.fullpath``. Errors are always ``StorageError`` subclasses that name
    ``mount:path``.

    >>> from genro_storage import StorageManager
    >>> storage = StorageManager()
    >>> storage.configure([{"name": "docs", "type": "memory"}])
    >>> node = storage.node("docs:2026/report.txt")
    >>> node.write_text("done")
    True
    >>> node.size, node.parent.fullpath
    (4, 'docs:2026')
    """

    __slots__ = ()

    @property
    def _backend(self) -> MountView:
        """The mount with the verbs that 0.4 offered on a backend."""
        from ..compat import MountView

        return MountView(self)

    # -- external tools -----------------------------------------------------------------------

    def local_path(self, mode: str = "r") -> AbstractContextManager[str]:
        """A real path for tools that need one, as ``with node.local_path() as path:``.

        ``r`` downloads, ``w`` uploads at the end, ``rw`` does both; on a local mount it is the
        file itself. An exception in the body uploads nothing. ``StorageValueError`` for another
        mode, ``StoragePermissionError`` (from the call itself) where the node may not be written.
        """
        from ..external import local_path

        self._info = None
        return local_path(
            self._mount,
            self._path,
            mode,
            version=self._version_id(),
            on_new_path=self._changed,
        )

    def call(
        self,
        *args: object,
        callback: Callable[[], object] | None = None,
        async_mode: bool = False,
        return_output: bool = False,
        on_error: Callable[[Exception], object] | None = None,
        **subprocess_kwargs: Any,
    ) -> str | None:
        """Run a command; nodes among ``args`` become local paths, uploaded if they changed.

        Returns the output with ``return_output``. Raises ``CalledProcessError`` (and uploads
        nothing), ``FileNotFoundError`` for an unknown command. With ``async_mode`` it runs in a
        thread: ``callback()`` follows success, ``on_error(error)`` failure.
        """
        from ..external import call

        return call(
            args,
            resolve=_binding,
            callback=callback,
            async_mode=async_mode,
            return_output=return_output,
            on_error=on_error,
            **subprocess_kwargs,
        )

    @property
    def resolved_path(self) -> str | None:
        """The absolute path on a local mount, existing or not; None elsewhere.

        None for a snapshot too: at the path stands what is there now.
        """
        return None if self._snapshot is not None else self._mount.local_path(self._path)

    def __fspath__(self) -> str:
        found = self.resolved_path
        if found is None:
            raise TypeError(
                f"{self._label} is not on a local mount; use 'with node.local_path() as path:'"
            )
        return found

    # -- metadata and URLs --------------------------------------------------------------------

    def get_metadata(self) -> dict[str, str]:
        """The user metadata; empty where the backend keeps none.

        For a snapshot, that of its version; ``StorageUnsupportedError`` where the backend only
        knows it of the current file.
        """
        if self._snapshot is not None:
            return self._metadata_of_version()
        return self._mount.get_metadata(self._path)

    def set_metadata(self, metadata: Mapping[str, str]) -> None:
        """Replace the user metadata. Raises ``StorageUnsupportedError`` (a PermissionError)
        where the backend keeps none, ``StorageValueError`` for anything but text.
        """
        self._refuse_snapshot()
        if not isinstance(metadata, dict) or not all(
            isinstance(text, str) for pair in metadata.items() for text in pair
        ):
            raise StorageValueError(f"{self._label}: metadata must be a dict of str to str")
        self._mount.set_metadata(self._path, metadata)
        self._changed()

    def url(self, expires_in: int = 3600, **kwargs: Any) -> str | None:
        """A URL that serves the file (for ``expires_in`` seconds); None where there is none."""
        self._require_current("URL")
        return self._mount.url(self._path, expires_in=expires_in, **kwargs)

    def internal_url(self, nocache: bool = False) -> str | None:
        """A URL for use inside the application; None where there is none."""
        self._require_current("URL")
        return self._mount.internal_url(self._path, nocache=nocache)


def _binding(argument: object) -> PathBinding | None:
    """What ``call`` needs to know of an argument that is a node."""
    from ..external import PathBinding

    if not isinstance(argument, StorageNode):
        return None
    argument._info = None  # what a listing said is no longer so when the program has run
    return PathBinding(
        argument._mount,
        argument._path,
        argument._version_id(),
        argument._changed,
    )
