"""An upload in parts, which clients send straight to the store."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from ..durations import in_seconds
from ..exceptions import StorageValueError
from ..uploads import MOST_PARTS, is_count

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import timedelta

    from ..info import Checksum
    from ..mount import Mount
    from ..uploads import UploadPart, UploadURL

__all__ = ["MultipartUpload"]


class MultipartUpload:
    """Made by ``node.begin_upload()`` and ``node.resume_upload(upload_id)``; holds no connection.

    Keep ``upload_id`` to go on in another process. Whoever loses interest calls ``abort()``: the
    parts are paid for until then, where the store keeps them.
    """

    __slots__ = ("_mount", "_path", "_upload_id")

    def __init__(self, mount: Mount, path: str, upload_id: str) -> None:
        self._mount = mount
        self._path = path
        self._upload_id = upload_id

    def __repr__(self) -> str:
        return f"<MultipartUpload {self.fullpath}>"

    def __reduce__(self) -> NoReturn:
        # A mount holds credentials.
        raise TypeError(
            f"{self.fullpath}: an upload does not travel; send its upload_id, and call "
            "node.resume_upload(upload_id) there"
        )

    @property
    def upload_id(self) -> str:
        """What ``resume_upload`` takes; it opens nothing by itself."""
        return self._upload_id

    @property
    def fullpath(self) -> str:
        """``mount:path`` of the file that it will be."""
        return self._mount.fullpath(self._path)

    def sign_part(
        self,
        number: int,
        *,
        content_length: int | None = None,
        checksum: Checksum | None = None,
        expires_in: float | timedelta | str = 3600,
    ) -> UploadURL:
        """The request that stores part ``number`` (from 1 on), or replaces it."""
        if not is_count(number) or number < 1:
            raise self._wrong("the numbers of parts begin with 1")
        if number > MOST_PARTS:
            raise self._wrong(f"no store takes more than {MOST_PARTS} parts; make them larger")
        if content_length is not None and not is_count(content_length):
            raise self._wrong("content_length is a number of bytes")
        try:
            lasting = in_seconds(expires_in, "expires_in")
        except ValueError as error:
            raise self._wrong(str(error)) from None
        return self._mount.sign_part(
            self._path,
            self._upload_id,
            number,
            content_length=content_length,
            checksum=checksum,
            expires_in=lasting,
        )

    def parts(self) -> list[UploadPart]:
        """What has arrived, by number; ``StorageNotFoundError`` where the upload has ended."""
        return self._mount.upload_parts(self._path, self._upload_id)

    def complete(
        self,
        parts: Iterable[UploadPart | tuple[int, str | None]] | None = None,
        *,
        size: int | None = None,
        if_absent: bool = False,
    ) -> None:
        """Make the file of the parts; whole, or ``StorageValueError`` and as before.

        The parts must have the numbers from 1 on without a gap. ``parts`` (as ``parts()`` has them,
        or number and ETag) names those that were sent, ``size`` all bytes: without either nobody
        knows of a last part that is missing. ``StorageExistsError`` with ``if_absent`` where a file
        is there.
        """
        if size is not None and not is_count(size):
            raise self._wrong("size is a number of bytes")
        self._mount.complete_upload(
            self._path, self._upload_id, parts, size=size, if_absent=if_absent
        )

    def abort(self) -> None:
        """Forget the upload and what has arrived. One that has ended already is no error."""
        self._mount.abort_upload(self._path, self._upload_id)

    def _wrong(self, text: str) -> StorageValueError:
        label = self._mount.label(self._path)
        return StorageValueError(f"{label}: {text}", node=label)
