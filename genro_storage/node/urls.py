"""URLs of a node: to read it, to publish it, and for clients that upload straight to the store."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..durations import in_seconds
from ..exceptions import StorageValueError
from ..uploads import FormTerms, UploadTerms, is_count
from .multipart import MultipartUpload
from .tree import NodeTree

if TYPE_CHECKING:
    from datetime import timedelta

    from ..info import Checksum
    from ..uploads import UploadForm, UploadURL

__all__ = ["NodeUrls"]


class NodeUrls(NodeTree):
    """Nothing here transfers content: what it returns is given to somebody else's client.

    Making a URL that writes needs the right to write; whoever gets it needs none. A client's upload
    is not seen by this node: ``stat()`` asks anew.
    """

    __slots__ = ()

    def url(
        self,
        expires_in: float | timedelta | str = 3600,
        *,
        method: str = "GET",
        download_name: str | None = None,
        content_type: str | None = None,
        **kwargs: Any,
    ) -> str | None:
        """A URL that serves the file (for ``expires_in``); None where there is none.

        ``expires_in`` is a number of seconds, a ``timedelta``, or a text such as ``"1h"``, here and
        in everything that makes a URL.

        Signed for ``method`` (GET, HEAD, PUT, DELETE) on object stores. With ``download_name``
        browsers save it under that name; ``content_type`` is sent in place of the stored one. A
        snapshot's URL serves that version. ``StorageUnsupportedError`` where the mount's URLs
        cannot do that, ``StorageValueError`` for line breaks, and times that the service refuses.
        """
        if method in ("PUT", "DELETE"):
            self._refuse_snapshot()
        if "version" in kwargs or "path" in kwargs:
            raise self._wrong(
                "url() takes no version and no path; take the URL of the node that has them: "
                "storage.node(…, version=…)"
            )
        return self._mount.url(
            self._path,
            expires_in=self._seconds(expires_in),
            method=method,
            version=self._version_id(),
            download_name=download_name,
            content_type=content_type,
            **kwargs,
        )

    def internal_url(self, nocache: bool = False) -> str | None:
        """A URL for use inside the application; None where there is none."""
        self._require_current("URL")
        return self._mount.internal_url(self._path, nocache=nocache)

    def public_url(self) -> str:
        """The URL under which everybody can read the file for ever, percent-encoded (RFC 3986).

        ``StorageUnsupportedError`` for mounts that are not public, with the key that would make
        them so.

        >>> from genro_storage import StorageManager
        >>> storage = StorageManager()
        >>> storage.configure([{
        ...     "name": "site", "type": "s3", "bucket": "site", "region": "eu-west-1",
        ...     "public_base_url": "https://cdn.example.org/files",
        ... }])
        >>> storage.node("site:img/a b.png").public_url()
        'https://cdn.example.org/files/img/a%20b.png'
        """
        self._require_current("public URL")
        return self._mount.public_url(self._path)

    # -- uploads by clients -----------------------------------------------------------------------

    def upload_url(
        self,
        *,
        content_type: str | None = None,
        content_length: int | None = None,
        checksum: Checksum | None = None,
        expires_in: float | timedelta | str = 3600,
        if_absent: bool = False,
        metadata: Mapping[str, str] | None = None,
    ) -> UploadURL:
        """One request with which a client stores the file, whole or not at all.

        The client sends exactly the ``headers`` of the result: those are signed, so that the store
        refuses another type, length (bytes) or content. Without ``content_type`` it is guessed from
        the name. With ``if_absent`` the store refuses to replace a file.
        ``StorageUnsupportedError`` where the service cannot bind what was asked for.

        >>> from genro_storage import StorageManager
        >>> storage = StorageManager()
        >>> storage.configure([{
        ...     "name": "up", "type": "s3", "bucket": "b", "region": "eu-west-1",
        ...     "key": "AKIDEXAMPLE", "secret": "example",
        ... }])
        >>> upload = storage.node("up:a.png").upload_url(content_length=1000)
        >>> upload.method, upload.headers
        ('PUT', {'Content-Type': 'image/png', 'Content-Length': '1000'})
        """
        terms = self._terms(content_type, content_length, checksum, expires_in, if_absent, metadata)
        return self._mount.upload_url(self._path, terms)

    def upload_form(
        self,
        *,
        max_size: int,
        min_size: int = 0,
        content_type: str | None = None,
        expires_in: float | timedelta | str = 3600,
        metadata: Mapping[str, str] | None = None,
    ) -> UploadForm:
        """A form with which a browser stores the file, of ``min_size`` to ``max_size`` bytes.

        ``content_type`` may be one type, ``image/*`` or ``*``; then the client adds a field
        ``Content-Type``. Without it, it is guessed from the name.
        """
        self._refuse_snapshot()
        if not (is_count(min_size) and is_count(max_size) and min_size <= max_size):
            raise self._wrong("min_size and max_size are bytes, and the second is not smaller")
        wanted = self._mount.guessed_type(self._path) if content_type is None else content_type
        lasting = self._seconds(expires_in)
        terms = FormTerms(wanted, min_size, max_size, lasting, self._pairs(metadata))
        return self._mount.upload_form(self._path, terms)

    def upload_session(
        self,
        *,
        content_type: str | None = None,
        content_length: int | None = None,
        checksum: Checksum | None = None,
        if_absent: bool = False,
        metadata: Mapping[str, str] | None = None,
        origin: str | None = None,
    ) -> UploadURL:
        """A URL that takes the file in pieces, one after the other, and goes on where it broke off.

        Google Cloud Storage has these (resumable uploads); they end after a week. ``origin`` is
        that of the web page, such as ``https://www.example.org``, where a browser uploads.
        """
        terms = self._terms(content_type, content_length, checksum, 3600, if_absent, metadata)
        return self._mount.upload_session(self._path, terms, origin)

    def begin_upload(
        self,
        *,
        content_type: str | None = None,
        metadata: Mapping[str, str] | None = None,
        checksum_algorithm: str | None = None,
    ) -> MultipartUpload:
        """An upload in parts that a client sends in any order, and again where one failed.

        ``checksum_algorithm`` (``sha256`` …) must be said here where parts are signed with such
        checksums. Until ``complete()`` the file is what it was.
        """
        self._refuse_snapshot()
        wanted = self._mount.guessed_type(self._path) if content_type is None else content_type
        mount, pairs = self._mount, self._pairs(metadata)
        upload = mount.begin_upload(self._path, wanted, pairs, checksum_algorithm)
        return MultipartUpload(mount, self._path, upload)

    def resume_upload(self, upload_id: str) -> MultipartUpload:
        """The upload that ``begin_upload`` began, here or in another process; asks nothing."""
        self._refuse_snapshot()
        given: object = upload_id
        if not (isinstance(given, str) and given):
            raise self._wrong("upload_id must be that of an upload that was begun")
        return MultipartUpload(self._mount, self._path, upload_id)

    # -- what they share --------------------------------------------------------------------------

    def _terms(
        self,
        content_type: str | None,
        content_length: int | None,
        checksum: Checksum | None,
        expires_in: float | timedelta | str,
        if_absent: bool,
        metadata: Mapping[str, str] | None,
    ) -> UploadTerms:
        self._refuse_snapshot()
        if content_length is not None and not is_count(content_length):
            raise self._wrong("content_length is a number of bytes")
        wanted = self._mount.guessed_type(self._path) if content_type is None else content_type
        pairs = self._pairs(metadata)
        lasting = self._seconds(expires_in)
        return UploadTerms(wanted, content_length, checksum, lasting, if_absent, pairs)

    def _seconds(self, expires_in: float | timedelta | str) -> int:
        """What every backend checks: some allow more than others."""
        try:
            found: int = in_seconds(expires_in, "expires_in")
        except ValueError as error:
            raise self._wrong(str(error)) from None
        return found

    def _pairs(self, metadata: Mapping[str, str] | None) -> dict[str, str]:
        if metadata is not None and not isinstance(metadata, Mapping):
            raise self._wrong("metadata must be a dict of str to str")
        found = {} if metadata is None else dict(metadata)
        texts: list[object] = [*found.keys(), *found.values()]
        if not all(isinstance(text, str) for text in texts):
            raise self._wrong("metadata must be a dict of str to str")
        return found

    def _wrong(self, text: str) -> StorageValueError:
        return StorageValueError(f"{self._label}: {text}", node=self._label)
