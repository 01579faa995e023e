"""What a backend can do, declared once and tested both ways."""

from __future__ import annotations

from dataclasses import dataclass, replace

__all__ = ["BackendCapabilities"]

_NAMES = (
    ("versioning", "versioning"),
    ("metadata", "metadata"),
    ("presigned_urls", "presigned URLs"),
    ("copy_optimization", "server-side copy"),
    ("hash_on_metadata", "fast hashing"),
    ("symbolic_links", "symbolic links"),
    ("readonly", "read-only"),
    ("temporary", "temporary storage"),
)


@dataclass(frozen=True)
class BackendCapabilities:
    """A declared capability works; an undeclared one raises ``StorageUnsupportedError``.

    ``write`` means that content can be stored *at a given path*. ``path_is_content`` (base64)
    means that writing stores nothing and gives the node a new path instead.
    ``atomic_operations`` means that a write is visible whole or not at all, also when the
    process is killed; without it that holds for exceptions, not for a kill.
    ``conditional_writes``: ``if_match`` works, and ``if_absent`` is exact.
    ``tags``: files have tags, which are read, replaced, and written with them.
    ``presigned_uploads``, ``upload_forms``, ``upload_sessions`` and ``multipart_uploads`` are ways
    for clients to upload straight to the store (``node.upload_url()`` and its neighbours).

    >>> str(BackendCapabilities(versioning=True, readonly=True))
    'versioning, read-only'
    """

    read: bool = True
    write: bool = True
    delete: bool = True
    mkdir: bool = True
    list_dir: bool = True
    versioning: bool = False
    version_listing: bool = False
    version_access: bool = False
    metadata: bool = False
    presigned_urls: bool = False
    public_urls: bool = False
    atomic_operations: bool = True
    symbolic_links: bool = False
    copy_optimization: bool = False
    hash_on_metadata: bool = False
    append_mode: bool = False
    seek_support: bool = True
    readonly: bool = False
    temporary: bool = False
    path_is_content: bool = False
    conditional_writes: bool = False
    presigned_uploads: bool = False
    upload_forms: bool = False
    upload_sessions: bool = False
    multipart_uploads: bool = False
    tags: bool = False

    def __str__(self) -> str:
        named = [text for flag, text in _NAMES if getattr(self, flag)]
        return ", ".join(named) if named else "basic file operations"

    def without_writing(self) -> BackendCapabilities:
        """The same, seen through a mount that may only read."""
        return replace(
            self,
            write=False,
            delete=False,
            mkdir=False,
            append_mode=False,
            path_is_content=False,
            conditional_writes=False,
            presigned_uploads=False,
            upload_forms=False,
            upload_sessions=False,
            multipart_uploads=False,
            readonly=True,
        )

    def without_deleting(self) -> BackendCapabilities:
        """The same, seen through a mount that may write but not delete."""
        return replace(self, delete=False)

    def without_versions(self) -> BackendCapabilities:
        """The same, seen from a node that is one version already."""
        return replace(self, versioning=False, version_listing=False, version_access=False)
