"""The versions of the objects in a bucket, where its owner has switched them on.

Whether that is so is asked once for a mount, when something about versions is first wanted.
"""

from __future__ import annotations

import contextlib
import errno
import io
import re
from dataclasses import replace
from datetime import UTC
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, TypeVar, cast
from urllib.parse import urlencode

from ...info import FileVersion
from ..errors import RootNotFoundError
from ..object_stores.listing import pages
from ..object_stores.tags import checked_tags
from ..remote import repeated_async
from .backend import S3Backend
from .codes import server_code
from .filesystem import S3Filesystem
from .looking import Raw
from .metadata import kept_facts

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator, Iterator, Mapping
    from pathlib import Path

    from ...capabilities import BackendCapabilities
    from ...info import Descriptor, FileInfo
    from .client import S3Client
    from .fetched import Fetched

__all__ = ["CURRENT", "State", "VersionedS3Backend"]

T = TypeVar("T")

#: What S3 calls the version of an object that came while versioning was off.
CURRENT = "null"


#: ``unknown``: we may not ask, or the server does not know the question.
State = Literal["enabled", "suspended", "off", "unknown"]
_STATES: dict[str, State] = {"Enabled": "enabled", "Suspended": "suspended"}

#: How a listing of versions goes on.
_MARKERS = ("KeyMarker", "VersionIdMarker")
#: The ids of an answer in its order, which botocore loses by making two lists of it.
_ORDER = "OrderOfVersions"
_VERSION_ID = re.compile(rb"<VersionId>([^<]*)</VersionId>")
# What servers say of an id that cannot be one, and those that know of none.
_NO_ID = ("InvalidArgument", "InvalidVersionId", "NoSuchVersion", "NotImplemented", "501")
_DELETED = ("405", "MethodNotAllowed")


class _OneVersion:
    """What reading asks of a client, of one version instead of the current content."""

    def __init__(self, client: S3Client, version: str) -> None:
        self._client = client
        self._version = version
        self.options = client.options

    def run(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        return self._client.run(work)

    def begin(self, work: Callable[[], Coroutine[Any, Any, T]]) -> Any:
        return self._client.begin(work)

    async def fetch(self, key: str, start: int, end: int, etag: str | None = None) -> Fetched:
        return await self._client.fetch(key, start, end, etag, self._version)


class VersionedS3Backend(S3Backend):
    """A bucket whose objects may have versions.

    In a bucket that keeps none, the current content is the one version of a file.
    """

    def __init__(self, store: S3Filesystem, prefix: str = "") -> None:
        super().__init__(store, prefix)
        self._state: State | None = None
        self._knows_tags = False

    def _declare(self) -> BackendCapabilities:
        return replace(
            super()._declare(), versioning=True, version_listing=True, version_access=True
        )

    # -- whether there are any ----------------------------------------------------------------

    def versioning(self, *, anew: bool = False) -> State:
        """What the bucket does, as it was when it was first asked; ``anew`` asks again."""
        if self._state is None or anew:
            self._state = self._ask_state()
        return self._state

    def _ask_state(self) -> State:
        client = self._store.client
        try:
            answer = client.run(lambda: client.request("get_bucket_versioning"))
        except (PermissionError, io.UnsupportedOperation):
            return "unknown"  # who may read need not be allowed to ask that: try and see
        found = str(answer.get("Status") or "")
        return _STATES.get(found, "off")

    def require_versions(self, path: str) -> None:
        if self.versioning() == "off" and self.versioning(anew=True) == "off":
            raise self._switched_off()

    def _switched_off(self) -> io.UnsupportedOperation:
        bucket = self._store.client.bucket
        return io.UnsupportedOperation(
            f"versioning is not enabled on the bucket {bucket!r}; enable it: aws s3api "
            f"put-bucket-versioning --bucket {bucket} --versioning-configuration Status=Enabled"
        )

    # -- listing ------------------------------------------------------------------------------

    def versions(self, path: str) -> list[FileVersion]:
        if path:
            found = self._versions_of(path)
            if found:
                return found
        self._require_file(path)  # raises, except for a file that has come meanwhile
        raise FileNotFoundError(errno.ENOENT, "not found", path)

    def _versions_of(self, path: str) -> list[FileVersion]:
        key = self._full(path)
        state = self.versioning()
        if state == "off":
            with self._reading(path):
                about = self._store.head(key)
            if about.get("VersionId") in (None, CURRENT):
                return [_only(about)]
            state = self.versioning(anew=True)  # somebody has enabled it meanwhile
        try:
            return self._listed(key)
        except io.UnsupportedOperation:
            if state != "unknown":
                raise
            with self._reading(path):  # a server that knows nothing of versions
                return [_only(self._store.head(key))]

    def _listed(self, key: str) -> list[FileVersion]:
        """The versions of exactly this key, oldest first."""
        found: list[FileVersion] = []
        for page in self._version_pages(key):
            entries, after = _of_key(page, key)
            found += entries
            if after:
                break  # keys come in their order, and this one before those it begins
        found.reverse()
        # Stable: those of one second stay in the order in which they came.
        return sorted(found, key=lambda version: (version.is_latest, version.last_modified))

    def _version_pages(self, key: str) -> Iterator[Raw]:
        client = self._store.client

        def ask(after: tuple[str, str] | None) -> Raw:
            markers = {} if after is None else dict(zip(_MARKERS, after, strict=True))

            async def once(sdk: Any) -> Raw:
                sdk.meta.events.register(
                    "before-parse.s3.ListObjectVersions", _note_order, unique_id=_ORDER
                )
                asked = {"Prefix": key, **markers}
                answer: Raw = await client._send(sdk, "list_object_versions", asked)
                return answer

            async def attempt(_: int) -> Raw:
                return await client._attempt(once)

            return client.run(lambda: repeated_async(client.bounds, attempt))

        def token(page: Raw) -> tuple[str, str] | None:
            if not page.get("IsTruncated"):
                return None
            name, version = (str(page.get(f"Next{marker}", "")) for marker in _MARKERS)
            return name, version

        return pages(ask, token)

    # -- one of them --------------------------------------------------------------------------

    @contextlib.contextmanager
    def _finding(self, path: str, version: str) -> Generator[None]:
        """What is wrong with an id is said of the id."""
        if not path:
            raise IsADirectoryError(errno.EISDIR, "is a directory", path)
        try:
            yield
        except RootNotFoundError:
            raise
        except FileNotFoundError as error:
            # Some servers answer so where it is a marker.
            marker = self._is_marker(path, version)
            raise _no_content(version, marker=marker) from error
        except OSError as error:
            code = server_code(error)
            if code in _DELETED or code in _NO_ID:
                raise _no_content(version, marker=code in _DELETED) from error
            raise

    def _is_marker(self, path: str, version: str) -> bool:
        """Whether a version without content is a delete marker; False where nobody says."""
        try:
            found = self._versions_of(path)
        except OSError:  # it matters for the words of an error only
            return False
        return any(each.is_delete_marker for each in found if each.version_id == version)

    def _is_current(self, version: str) -> bool:
        """Whether the id means the content of a bucket that knows of no other."""
        return version == CURRENT and self.versioning() == "off"

    def _at(self, version: str) -> S3Filesystem:
        """The store with one version in the place of the current content, for reading."""
        client = cast("S3Client", _OneVersion(self._store.client, version))
        return S3Filesystem(client)

    def open_read(self, path: str, *, version: str | None = None) -> BinaryIO:
        if version is None or self._is_current(version):
            return super().open_read(path)
        with self._finding(path, version):
            stream = self._at(version).open(self._full(path))
        return self._verified(stream)

    def read_bytes(
        self, path: str, start: int = 0, end: int | None = None, *, version: str | None = None
    ) -> bytes:
        if version is None or self._is_current(version):
            return super().read_bytes(path, start, end)
        if end is not None and end <= start:
            self._head(path, version)
            return b""
        with self._finding(path, version):
            return self._at(version).cat_file(self._full(path), start, end)

    def download(self, path: str, target: Path, *, version: str | None = None) -> None:
        if version is None or self._is_current(version):
            super().download(path, target)
            return
        with self._finding(path, version):
            self._at(version).get_file(self._full(path), str(target))

    def _head(self, path: str, version: str, **asked: Any) -> Raw:
        client, key = self._store.client, self._full(path)
        with self._finding(path, version):
            try:
                about = client.run(
                    lambda: client.request("head_object", Key=key, VersionId=version, **asked)
                )
            except PermissionError as error:
                if server_code(error) == "400":
                    # A HEAD never says why; a GET does, where it is a matter of the id.
                    client.run(lambda: client.fetch(key, 0, 1, version=version))
                raise
            if about.get("VersionId", CURRENT) != version:
                raise FileNotFoundError(errno.ENOENT, "the server does not know of versions")
            return about

    def stat_version(self, path: str, version: str) -> FileInfo | None:
        if self._is_current(version):
            return self._require_file(path)._replace(version=version)
        about = {"type": "file", "name": self._full(path), **self._head(path, version)}
        return self._describe(path, about)._replace(version=version)

    def version_descriptor(self, path: str, version: str) -> Descriptor:
        if self._is_current(version):
            self._require_file(path)
            return replace(self.descriptor(path), version=version)
        return self._told(path, self._head(path, version, ChecksumMode="ENABLED"))

    def delete_version(self, path: str, version: str) -> None:
        self.require_versions(path)
        # First whether it is there, as a deletion of nothing succeeds.
        if version == CURRENT and self.versioning() != "enabled":
            self._require_others(path)
        else:
            try:
                self._head(path, version)
            except FileNotFoundError as error:
                if server_code(error) not in _DELETED:
                    raise
        client, key = self._store.client, self._full(path)
        client.run(lambda: client.request("delete_object", Key=key, VersionId=version))

    def _require_others(self, path: str) -> None:
        """Refuse what could be the deletion of a file in a bucket without versions."""
        listed = [version.version_id for version in self.versions(path)]
        if CURRENT not in listed:
            raise FileNotFoundError(errno.ENOENT, f"there is no version {CURRENT!r} of it")
        if len(listed) < 2:
            raise io.UnsupportedOperation(
                "it is the only version, in a bucket of which is not known that it keeps others; "
                "delete the file, or enable versioning"
            )

    def restore_version(self, path: str, version: str) -> None:
        self._require_write(path, False)
        if self._is_current(version):
            self._require_file(path)
            return
        about = self._head(path, version)
        client, key = self._store.client, self._full(path)
        try:
            if self._store.head(key).get("VersionId") == version:
                return
        except FileNotFoundError:
            pass  # it is deleted
        transfers = self._store.transfers
        size, etag = int(about["ContentLength"]), about.get("ETag")
        extra: dict[str, Any] = {}
        if size > transfers.copy_at_once:
            extra = {"Metadata": about.get("Metadata", {}), **kept_facts(about)}
            with self._finding(path, version):
                tags = self._store.tags_to_keep(key, VersionId=version)
            if tags:
                extra["Tagging"] = urlencode(tags)
        with self._finding(path, version):
            client.run(lambda: transfers.copy(key, key, size, etag, extra, version=version))

    # -- tags ---------------------------------------------------------------------------------

    def get_tags(self, path: str, *, version: str | None = None) -> dict[str, str]:
        if version is None or self._is_current(version):
            with self._reading(path):
                return self._read_tags(path)
        with self._finding(path, version):
            return self._read_tags(path, VersionId=version)

    def _read_tags(self, path: str, **asked: Any) -> dict[str, str]:
        found = self._store.tags_of(self._full(path), **asked)
        self._knows_tags = True
        return found

    def set_tags(self, path: str, tags: Mapping[str, str]) -> None:
        pairs = [{"Key": key, "Value": value} for key, value in checked_tags(tags).items()]
        with self._reading(path):
            if not self._knows_tags:
                # A server that ignores "?tagging" would store the tags as the file's content, and
                # delete the file with its tags: rclone does. Asking shows it without harm.
                self._read_tags(path)
            if pairs:
                self._tagging("put_object_tagging", path, Tagging={"TagSet": pairs})
            else:
                self._tagging("delete_object_tagging", path)

    def _tagging(self, operation: str, path: str, **asked: Any) -> Raw:
        client, key = self._store.client, self._full(path)
        return client.run(lambda: client.request(operation, Key=key, **asked))


def _no_content(version: str, *, marker: bool) -> FileNotFoundError:
    text = f"there is no version {version!r} of it"
    if marker:
        text = f"version {version!r} is a delete marker and has no content"
    return FileNotFoundError(errno.ENOENT, text)


def _only(about: Mapping[str, Any]) -> FileVersion:
    return FileVersion(
        CURRENT,
        True,
        about["LastModified"].astimezone(UTC),
        int(about["ContentLength"]),
        _bare(about.get("ETag")),
    )


def _bare(etag: Any) -> str | None:
    return str(etag).strip('"') or None if etag else None


def _of_key(page: Raw, key: str) -> tuple[list[FileVersion], bool]:
    """The versions of this key in a page, latest first, and whether others come after them."""
    given = [(each, False) for each in page.get("Versions", ())]
    given += [(each, True) for each in page.get("DeleteMarkers", ())]
    after = any(each["Key"] != key for each, _ in given)
    found = [
        FileVersion(
            str(each["VersionId"]),
            bool(each.get("IsLatest")),
            each["LastModified"].astimezone(UTC),
            None if is_marker else each.get("Size"),
            None if is_marker else _bare(each.get("ETag")),
            is_marker,
        )
        for each, is_marker in given
        if each["Key"] == key
    ]
    order: list[str] = page.get(_ORDER, [])
    # The first of each: other keys, which come later, can have versions of the same name.
    place = {name: number for number, name in reversed(list(enumerate(order)))}
    found.sort(key=lambda version: place.get(version.version_id, len(order)))
    return found, after


def _note_order(
    response_dict: Mapping[str, Any], customized_response_dict: dict[str, Any], **_: Any
) -> None:
    """Keep in which order versions and delete markers come; several can be of one second."""
    found = _VERSION_ID.findall(response_dict["body"])
    customized_response_dict[_ORDER] = [name.decode() for name in found]
