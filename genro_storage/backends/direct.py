"""The verbs for clients that talk to the store themselves: URLs that publish, sign and upload.

A backend that has none of them overrides none: each raises ``io.UnsupportedOperation``.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..info import Checksum
    from ..uploads import FormTerms, UploadForm, UploadPart, UploadTerms, UploadURL

__all__ = ["DirectVerbs"]


class DirectVerbs:
    """A part of :class:`~genro_storage.backends.optional.OptionalVerbs`."""

    def public_url(self, path: str) -> str:
        """The URL under which everybody can read the file for ever, percent-encoded."""
        _refuse("public URLs")

    def upload_url(self, path: str, terms: UploadTerms) -> UploadURL:
        """A URL that stores the file, by a request that keeps these terms."""
        _refuse("presigned uploads")

    def upload_form(self, path: str, terms: FormTerms) -> UploadForm:
        """A form that stores the file, within these terms."""
        _refuse("upload forms")

    def upload_session(self, path: str, terms: UploadTerms, origin: str | None) -> UploadURL:
        """A URL that takes the file in pieces; ``origin`` is the web page's, for browsers."""
        _refuse("upload sessions")

    def begin_upload(
        self, path: str, content_type: str, metadata: Mapping[str, str], algorithm: str | None
    ) -> str:
        """The id of a new upload in parts. ``algorithm`` names the checksums of its parts."""
        _refuse("uploads in parts")

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
        """A URL that stores one part."""
        _refuse("uploads in parts")

    def upload_parts(self, path: str, upload: str) -> list[UploadPart]:
        """The parts that have arrived, by number; ``FileNotFoundError`` for no such upload."""
        _refuse("uploads in parts")

    def complete_upload(
        self, path: str, upload: str, parts: Sequence[UploadPart], *, if_absent: bool
    ) -> None:
        """Make the file of these parts; ``FileExistsError`` if it must not replace one."""
        _refuse("uploads in parts")

    def abort_upload(self, path: str, upload: str) -> None:
        """Forget an upload and its parts; one that is gone already is no error."""
        _refuse("uploads in parts")


def _refuse(what: str) -> NoReturn:
    raise io.UnsupportedOperation(f"this kind of mount does not support {what}")
