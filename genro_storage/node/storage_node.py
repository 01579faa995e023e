"""StorageNode: what people hold. A mount, a path, and maybe a version."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..exceptions import StorageValueError
from ..info import Descriptor
from ..strategy import SkipStrategy
from .urls import NodeUrls

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from ..compat import MountView
    from ..external import PathBinding


__all__ = ["SkipStrategy", "StorageNode"]


class StorageNode(NodeUrls):
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

    # -- metadata -----------------------------------------------------------------------------

    def get_metadata(self) -> dict[str, str]:
        """The user metadata; empty where the backend keeps none.

        For a snapshot, that of its version; ``StorageUnsupportedError`` where the backend only
        knows it of the current file.
        """
        if self._snapshot is not None:
            return self._metadata_of_version()
        return self._mount.get_metadata(self._path)

    def set_metadata(self, metadata: Mapping[str, str], *, merge: bool = False) -> None:
        """Replace the user metadata; with ``merge`` only the keys that are given.

        What else is kept with the file stays. Raises ``StorageUnsupportedError`` (a
        PermissionError) where the backend keeps none, ``StorageValueError`` for anything but text.
        """
        self._refuse_snapshot()
        self._require_texts(metadata, "metadata")
        self._mount.set_metadata(self._path, metadata, merge=merge)
        self._changed()

    def get_tags(self) -> dict[str, str]:
        """The tags of the file; for a snapshot, those of its version.

        ``StorageUnsupportedError`` (a PermissionError) where the mount has none; the capability is
        ``tags``.
        """
        return self._mount.get_tags(self._path, version=self._version_id())

    def set_tags(self, tags: Mapping[str, str], *, merge: bool = False) -> None:
        """Replace all tags, an empty dict removes them; with ``merge`` only those that are given.

        ``StorageUnsupportedError`` where the mount has none, ``StorageValueError`` for anything but
        text, and for more or longer tags than the store takes.
        """
        self._refuse_snapshot()
        self._require_texts(tags, "tags")
        self._mount.set_tags(self._path, tags, merge=merge)

    def _require_texts(self, pairs: object, what: str) -> None:
        if not isinstance(pairs, Mapping) or not all(
            isinstance(text, str) for pair in pairs.items() for text in pair
        ):
            raise StorageValueError(
                f"{self._label}: {what} must be a dict of str to str", node=self._label
            )

    def descriptor(self) -> Descriptor:
        """All that is known of the file without reading it; one request on an object store.

        For a snapshot, that of its version.

        >>> from genro_storage import StorageManager
        >>> storage = StorageManager()
        >>> storage.configure([{"name": "m", "type": "memory"}])
        >>> storage.node("m:a.html").write_text("<p>", content_type="text/html")
        True
        >>> found = storage.node("m:a.html").descriptor()
        >>> found.size, found.content_type
        (3, 'text/html')
        """
        wanted = self._version_id()
        if wanted is None:
            return self._mount.descriptor(self._path)
        found = self._mount.version_descriptor(self._path, wanted)
        return Descriptor.of(self._version_info()) if found is None else found


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
