"""The verbs of a mount for clients that talk to the store themselves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .content import mimetype
from .exceptions import StorageIsDirectoryError, StorageValueError
from .mount_reach import MountReach
from .uploads import FormTerms, UploadTerms, chosen_parts

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from .info import Checksum
    from .uploads import UploadForm, UploadPart, UploadURL

__all__ = ["MountUrls"]

_METHODS = ("GET", "HEAD", "PUT", "DELETE")
_PARTS = "uploads in parts"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class MountUrls(MountReach):
    """Whoever gets a URL has the right in it: what the mount may not do, no URL of it may."""

    def url(
        self,
        path: str,
        *,
        expires_in: int = 3600,
        method: str = "GET",
        version: str | None = None,
        **options: Any,
    ) -> str | None:
        """A URL for the outside world, None where the backend has none."""
        if method not in _METHODS:
            raise StorageValueError(
                f"{self.label(path)}: method is {method!r}; there are {', '.join(_METHODS)}",
                node=self.label(path),
            )
        if method == "PUT":
            self.require_write(path, "making a URL that writes")
        elif method == "DELETE":
            self.require_delete(path, "making a URL that deletes")
            self.require_below_root(path)
        given = {name: value for name, value in options.items() if value is not None}
        if method != "GET":
            given["method"] = method
        if version is not None:
            given["version"] = version
        shaped = given.keys() & {"method", "version", "download_name", "content_type"}
        if shaped and not self.backend.capabilities.presigned_urls:
            if shaped <= {"download_name", "content_type"} and self._has_no_urls(path):
                return None
            if version is not None:
                raise self._unsupported(
                    path, f"no URL is known of version {version!r}, only of the current file"
                )
            names = ", ".join(sorted(shaped))
            why = self.why_not("presigned_urls") or "its URLs are not signed"
            raise self._unsupported(path, f"no URL of this mount can have {names}: {why}")
        if version is not None:
            self._require("version_access", path, "versioning")
        found: str | None = self._run(path, "making a URL", "url", expires_in=expires_in, **given)
        return found

    def _has_no_urls(self, path: str) -> bool:
        return self._run(path, "making a URL", "url") is None

    def internal_url(self, path: str, *, nocache: bool = False) -> str | None:
        """A URL for use inside the application, None where there is none."""
        found: str | None = self._run(path, "making a URL", "internal_url", nocache=nocache)
        return found

    def public_url(self, path: str) -> str:
        """The URL under which everybody can read the file."""
        self._require("public_urls", path, "public URLs")
        self._require_name(path)
        found: str = self._run(path, "making a public URL", "public_url")
        return found

    # -- uploads by clients -----------------------------------------------------------------------

    def upload_url(self, path: str, terms: UploadTerms) -> UploadURL:
        """A URL that stores the file."""
        self._may_upload(path, "presigned_uploads", "presigned uploads")
        found: UploadURL = self._run(path, "making an upload URL", "upload_url", terms)
        return found

    def upload_form(self, path: str, terms: FormTerms) -> UploadForm:
        """A form that stores the file."""
        self._may_upload(path, "upload_forms", "upload forms")
        found: UploadForm = self._run(path, "making an upload form", "upload_form", terms)
        return found

    def upload_session(self, path: str, terms: UploadTerms, origin: str | None) -> UploadURL:
        """A URL that takes the file in pieces."""
        self._may_upload(path, "upload_sessions", "upload sessions")
        found: UploadURL = self._run(path, "beginning an upload", "upload_session", terms, origin)
        return found

    def begin_upload(
        self, path: str, content_type: str, metadata: Mapping[str, str], algorithm: str | None
    ) -> str:
        """The id of a new upload in parts."""
        self._may_upload(path, "multipart_uploads", _PARTS)
        found: str = self._run(
            path, "beginning an upload", "begin_upload", content_type, metadata, algorithm
        )
        return found

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
        """A URL that stores one part of an upload."""
        self._may_upload(path, "multipart_uploads", _PARTS)
        found: UploadURL = self._run(
            path,
            "making an upload URL",
            "sign_part",
            upload,
            number,
            content_length=content_length,
            checksum=checksum,
            expires_in=expires_in,
        )
        return found

    def upload_parts(self, path: str, upload: str) -> list[UploadPart]:
        """The parts that have arrived, by number."""
        self._may_upload(path, "multipart_uploads", _PARTS)
        found: list[UploadPart] = self._run(path, "listing parts", "upload_parts", upload)
        return found

    def complete_upload(
        self,
        path: str,
        upload: str,
        parts: Iterable[UploadPart | tuple[int, str | None]] | None,
        *,
        size: int | None,
        if_absent: bool,
    ) -> None:
        """Make the file of the parts that have arrived, if they are all there."""
        arrived = self.upload_parts(path, upload)
        try:
            chosen = chosen_parts(arrived, parts, size)
        except ValueError as error:
            label = self.label(path)
            raise StorageValueError(f"{label}: {error}", node=label) from None
        self._run(
            path, "completing an upload", "complete_upload", upload, chosen, if_absent=if_absent
        )

    def abort_upload(self, path: str, upload: str) -> None:
        """Forget an upload in parts."""
        self._may_upload(path, "multipart_uploads", _PARTS)
        self._run(path, "aborting an upload", "abort_upload", upload)

    # -- what they share --------------------------------------------------------------------------

    def guessed_type(self, path: str) -> str:
        """The content type of what is stored under this name, where nobody says another."""
        return mimetype(path)

    def _may_upload(self, path: str, flag: str, what: str) -> None:
        self.require_write(path, f"preparing {what}")
        self._require(flag, path, what)
        self._require_name(path)

    def _require_name(self, path: str) -> None:
        if not path and not self.prefix:
            raise StorageIsDirectoryError(
                f"{self.label(path)}: is the root of the mount; name a file in it",
                node=self.label(path),
            )
