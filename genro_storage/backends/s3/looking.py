"""What is in a bucket: single objects, and listings page by page."""

from __future__ import annotations

import errno
import io
import itertools
from typing import TYPE_CHECKING, Any

from ..errors import WrongServerError
from ..object_stores.engine import Facts
from ..object_stores.listing import pages
from .codes import server_code
from .fast_facts import as_head

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from .client import S3Client

__all__ = ["Raw", "S3Looks"]

Raw = dict[str, Any]

#: Bytes that the answer about ten tags may have, of 128 and 256 letters, however they are written.
_MOST_TAGS = 256 * 1024


class S3Looks:
    """The half of ``S3Filesystem`` that looks. ``client`` belongs to it; thread-safe."""

    def __init__(self, client: S3Client) -> None:
        self.client = client

    def _ask(self, operation: str, **parameters: Any) -> Raw:
        return self.client.run(lambda: self.client.request(operation, **parameters))

    # -- single objects -----------------------------------------------------------------------

    def head(self, path: str, **asked: Any) -> Raw:
        """What a HEAD says about one object; ``FileNotFoundError`` where there is none."""
        return self._ask("head_object", Key=path, **asked)

    def _look(self, path: str) -> Raw | Facts:
        """As ``head``, perhaps without what only a copy must know."""
        return self.head(path)

    def look(self, path: str) -> Raw | Facts | None:
        """One object; None for a prefix that some key has. The root is there if the bucket is."""
        if path:
            try:
                return self._look(path)
            except FileNotFoundError:
                pass
            except PermissionError:
                source = self.client.source
                used = None if source is None else source.peek()
                # A HEAD never says why; a listing does, where it is a matter of who we are.
                self.has_any(path)
                if source is None or source.peek() is used:
                    raise
                # We are somebody else by now: what we were had ended.
                return self._look(path)
            except io.UnsupportedOperation:
                self.has_any(path)  # which tells a server that is none
                raise
        if self.has_any(f"{path}/" if path else ""):
            return None
        raise FileNotFoundError(errno.ENOENT, "not found", path)

    def info(self, path: str) -> Raw:
        """The same as fsspec has it."""
        found = self.look(path)
        if found is None:
            return {"type": "directory", "name": path}
        about = as_head(found) if isinstance(found, Facts) else found
        return {"type": "file", "name": path, **about}

    def tags_of(self, path: str, **asked: Any) -> dict[str, str]:
        """The tags of one object; ``UnsupportedOperation`` from a server that knows none.

        Such a server ignores "?tagging" and sends the file, which may be large.
        """
        part = {"Range": f"bytes=0-{_MOST_TAGS - 1}"}
        answer: Raw
        try:
            answer = self._ask("get_object_tagging", Key=path, ExtraHeaders=part, **asked)
        except FileNotFoundError as error:
            if server_code(error) != "NoSuchTagSet":
                raise
            answer = {"TagSet": []}  # the word of some servers for none
        except WrongServerError:
            answer = {}  # the file itself, which is no XML
        headers = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})
        # Also where the content looks like tags: then its headers are those of a file.
        if "TagSet" not in answer or "etag" in headers or "last-modified" in headers:
            raise io.UnsupportedOperation(
                "the server knows nothing of tags, and answers as if it were asked for the file; "
                "say so by 'disable_tagging: true'"
            )
        return {each["Key"]: each["Value"] for each in answer["TagSet"]}

    def has_any(self, prefix: str) -> bool:
        """Whether some key begins so."""
        return bool(self.some_keys(prefix, 1))

    def some_keys(self, prefix: str, count: int) -> list[str]:
        """The first keys that begin so."""
        found = self._pages(Prefix=prefix, MaxKeys=count)
        keys = (str(each["Key"]) for page in found for each in page.get("Contents", ()))
        return list(itertools.islice(keys, count))

    def ls(self, path: str, detail: bool = True) -> list[Raw]:
        """One level below a prefix; directories end with a slash, and may be their own entry."""
        found: list[Raw] = []
        for page in self._pages(Prefix=f"{path}/" if path else "", Delimiter="/"):
            found += (
                {"type": "directory", "name": each["Prefix"]}
                for each in page.get("CommonPrefixes", ())
            )
            found += (_listed(each) for each in page.get("Contents", ()))
        return found

    def keys_below(self, prefix: str, after: str | None = None) -> Iterator[tuple[list[Raw], bool]]:
        """Pages of all keys that begin with ``prefix``, in order; and whether that is the last."""
        more = {} if after is None else {"StartAfter": after}
        for page in self._pages(Prefix=prefix, **more):
            yield [_listed(each) for each in page.get("Contents", ())], not page.get("IsTruncated")

    def _pages(self, **asked: Any) -> Iterator[Raw]:
        def ask(token: str | None) -> Raw:
            more = {} if token is None else {"ContinuationToken": token}
            return self._ask("list_objects_v2", **asked, **more)

        def token(page: Raw) -> str | None:
            if not page.get("IsTruncated"):
                return None
            if "NextContinuationToken" not in page:
                raise OSError(
                    errno.EIO,
                    "the server does not know version 2 of listings; check 'endpoint_url'",
                )
            return str(page["NextContinuationToken"])

        return pages(ask, token)

    def modified(self, path: str) -> datetime:
        found: datetime = self.head(path)["LastModified"]
        return found


def _listed(each: Raw) -> Raw:
    return {
        "type": "file",
        "name": str(each["Key"]),
        "size": each.get("Size"),
        "LastModified": each.get("LastModified"),
        "ETag": each.get("ETag"),
    }
