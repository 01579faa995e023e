"""Clients that talk to the service behind a mount themselves: URLs, and uploads of their own."""

from __future__ import annotations

import io
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, TypeVar, cast

from ..fsspec_backend import FsspecBackend
from ..public import NOT_PUBLIC, PublicOptions, public_address
from ..signing import checked_seconds, checked_type, content_disposition
from .kept import refuse_internal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ...info import Checksum
    from ...uploads import FormTerms, UploadForm, UploadPart, UploadTerms, UploadURL
    from ..remote import RemoteFilesystem

__all__ = ["DirectAccess", "ObjectUrls"]

T = TypeVar("T")


class DirectAccess:
    """What one service offers. Keys are whole; ``client`` is the row's own ``ObjectClient``.

    ``why_not`` has a reason for each capability that is not in ``declared``.
    """

    #: Seconds that a signature is good for at most, None where the service sets no bound.
    longest: ClassVar[int | None] = None
    why_not: ClassVar[Mapping[str, str]] = MappingProxyType({})

    def __init__(self, options: PublicOptions, signs: bool) -> None:
        """``signs``: whether there is a key to sign with."""
        self.options = options
        self.signs = signs
        #: Why a URL would be of no use to anybody, where that is so.
        self.useless = ""

    @property
    def declared(self) -> dict[str, bool]:
        """The capabilities that there are with these credentials."""
        public = (
            self.options.public_base_url is not None if self.useless else self.options.is_public
        )
        return {"presigned_urls": self.signs, "public_urls": public}

    def sign(
        self,
        key: str,
        seconds: int,
        *,
        method: str,
        disposition: str | None,
        content_type: str | None,
        version: str | None,
    ) -> str:
        """A URL for one object; the last three shape the answer to a GET, and which it is."""
        self._refuse("presigned_urls")

    def plain(self, key: str) -> str:
        """The service's own URL of an object, unsigned."""
        self._refuse("public_urls")

    def upload_url(self, key: str, terms: UploadTerms) -> UploadURL:
        """As the verb of a backend, like all that follow."""
        self._refuse("presigned_uploads")

    def upload_form(self, key: str, terms: FormTerms) -> UploadForm:
        self._refuse("upload_forms")

    def upload_session(
        self, client: Any, key: str, terms: UploadTerms, origin: str | None
    ) -> UploadURL:
        self._refuse("upload_sessions")

    def begin_upload(
        self, key: str, content_type: str, metadata: Mapping[str, str], algorithm: str | None
    ) -> str:
        self._refuse("multipart_uploads")

    def sign_part(
        self,
        key: str,
        upload: str,
        number: int,
        *,
        content_length: int | None,
        checksum: Checksum | None,
        expires_in: int,
    ) -> UploadURL:
        self._refuse("multipart_uploads")

    def upload_parts(self, client: Any, key: str, upload: str) -> list[UploadPart]:
        self._refuse("multipart_uploads")

    def complete_upload(
        self, client: Any, key: str, upload: str, parts: Sequence[UploadPart], if_absent: bool
    ) -> None:
        self._refuse("multipart_uploads")

    def abort_upload(self, client: Any, key: str, upload: str) -> None:
        self._refuse("multipart_uploads")

    def _refuse(self, flag: str) -> NoReturn:
        raise io.UnsupportedOperation(
            self.useless or self.why_not.get(flag, "the service has no such thing")
        )


class ObjectUrls(FsspecBackend):
    """The verbs of a backend over a ``DirectAccess``."""

    _direct: DirectAccess
    _remote: RemoteFilesystem

    def _offer(self, direct: DirectAccess) -> None:
        self._direct = direct
        why_not = {"public_urls": NOT_PUBLIC, **direct.why_not}
        if direct.useless:
            missing = (flag for flag, there in direct.declared.items() if not there)
            why_not |= dict.fromkeys(missing, direct.useless)
        self.why_not: Mapping[str, str] = why_not

    def url(
        self,
        path: str,
        *,
        expires_in: int = 3600,
        method: str = "GET",
        download_name: str | None = None,
        content_type: str | None = None,
        version: str | None = None,
        **options: Any,
    ) -> str | None:
        if not path:
            return None
        if options:
            raise ValueError(f"unknown options for a URL: {', '.join(sorted(options))}")
        if not self._direct.signs:
            if self.capabilities.public_urls:
                return self.public_url(path)
            if self._direct.useless:
                raise io.UnsupportedOperation(self._direct.useless)
            return None
        if (download_name, content_type) != (None, None) and method != "GET":
            raise ValueError("download_name and content_type belong to answers: to method GET")
        return self._direct.sign(
            self._full(path),
            checked_seconds(expires_in, self._direct.longest),
            method=method,
            disposition=None if download_name is None else content_disposition(download_name),
            content_type=None if content_type is None else checked_type(content_type),
            version=version,
        )

    def public_url(self, path: str) -> str:
        direct = self._direct
        return public_address(direct.options, path, lambda: direct.plain(self._full(path)))

    def upload_url(self, path: str, terms: UploadTerms) -> UploadURL:
        return self._direct.upload_url(self._written(path, terms.metadata), terms)

    def upload_form(self, path: str, terms: FormTerms) -> UploadForm:
        return self._direct.upload_form(self._written(path, terms.metadata), terms)

    def upload_session(self, path: str, terms: UploadTerms, origin: str | None) -> UploadURL:
        key = self._written(path, terms.metadata)
        return self._with(lambda client: self._direct.upload_session(client, key, terms, origin))

    def begin_upload(
        self, path: str, content_type: str, metadata: Mapping[str, str], algorithm: str | None
    ) -> str:
        key = self._written(path, metadata)
        return self._direct.begin_upload(key, content_type, metadata, algorithm)

    def sign_part(
        self,
        path: str,
        upload: str,
        number: int,
        *,
        content_length: int | None,
        checksum: Checksum | None,
        expires_in: int,
    ) -> UploadURL:
        return self._direct.sign_part(
            self._written(path),
            upload,
            number,
            content_length=content_length,
            checksum=checksum,
            expires_in=expires_in,
        )

    def upload_parts(self, path: str, upload: str) -> list[UploadPart]:
        key = self._full(path)
        return self._with(lambda client: self._direct.upload_parts(client, key, upload))

    def complete_upload(
        self, path: str, upload: str, parts: Sequence[UploadPart], *, if_absent: bool
    ) -> None:
        key = self._written(path)
        # Once: what was completed is no longer there to be completed.
        self._remote.once(
            lambda client: self._direct.complete_upload(client, key, upload, parts, if_absent)
        )

    def abort_upload(self, path: str, upload: str) -> None:
        key = self._full(path)
        self._with(lambda client: self._direct.abort_upload(client, key, upload))

    def _written(self, path: str, metadata: Mapping[str, str] = MappingProxyType({})) -> str:
        """The key of a file that may be written, with these metadata."""
        refuse_internal(metadata)
        self._require_write(path, False)
        return self._full(path)

    def _with(self, step: Callable[[Any], T]) -> T:
        return self._remote.call(lambda client: step(cast("Any", client)))
