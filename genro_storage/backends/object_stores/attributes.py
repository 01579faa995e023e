"""What is kept beside the content of an object: metadata, headers, conditions of a write.

The half of ``ObjectStoreBackend`` that says what an upload keeps, and shows and changes it.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, cast

from ...content import mimetype
from ...exceptions import ChangedError
from ...info import Attributes, Descriptor
from ..errors import RootNotFoundError
from ..fsspec_backend import FsspecBackend
from .facts import NO_FACTS, Facts, facts_of, merged_metadata
from .kept import internal, kept_mtime, refuse_internal, shown
from .tags import checked_tags

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ..fsspec_write import Content
    from ..remote import Bounds, RemoteFilesystem
    from .client import ObjectClient
    from .tags import TagClient

__all__ = ["Keeping", "StoreAttributes", "with_kept"]

T = TypeVar("T")

_ATTEMPTS = 5
#: What ``mimetype`` says of a name that tells nothing.
_UNKNOWN = mimetype("")
_ALL = frozenset(Attributes._fields) - {"mode", "offered", "tags"}


def _as_it_is(metadata: Mapping[str, str]) -> dict[str, str]:
    return dict(metadata)


@dataclass(frozen=True)
class Keeping:
    """What a service keeps with an object, and what a mount wants it to.

    ``encode`` makes metadata what the service can hold (``ValueError`` where it cannot), and
    ``mtime_text`` a time; None: modification times are not kept. ``verify`` compares what is read.
    ``md5`` keeps the digest of what is written where reading shows it sooner than the service's own.
    """

    defaults: Attributes = field(default_factory=Attributes)
    encode: Callable[[Mapping[str, str]], dict[str, str]] = _as_it_is
    mtime_text: Callable[[float], str] | None = None
    tags: bool = False
    verify: bool = True
    md5: bool = False


class StoreAttributes(FsspecBackend):
    """Metadata, descriptors and conditions, on the requests of an ``ObjectClient``."""

    _keeping: Keeping
    #: The content type of a file whose name tells none.
    _default_type: str | None
    _remote: RemoteFilesystem
    _bounds: Bounds

    def _keep(self, keeping: Keeping) -> None:
        self._keeping = keeping
        self.kept_attributes: frozenset[str] = _ALL | {"tags"} if keeping.tags else _ALL

    def _ask(self, step: Callable[[ObjectClient], T]) -> T:
        return self._remote.call(lambda client: step(cast("ObjectClient", client)))

    def _again(self, step: Callable[[], T]) -> T:
        raise NotImplementedError

    #: Up to how many bytes are put by one request.
    single_put: ClassVar[int]

    # -- writing ------------------------------------------------------------------------------

    def _put_options(self, attributes: Attributes | None) -> dict[str, Any]:
        keeping = self._keeping
        found = facts_of(attributes, keeping.defaults, keeping.encode, keeping.mtime_text)
        # A copy may offer tags to a service that has none.
        found = found if keeping.tags else found._replace(tags=None)
        return {"facts": Facts(found, keep_md5=keeping.md5)}

    def _type_of(self, full: str) -> str:
        guessed = mimetype(full)
        return self._default_type or guessed if guessed == _UNKNOWN else guessed

    def _put(self, content: Content, full: str, options: dict[str, Any]) -> None:
        create = options.get("mode") == "create"
        facts: Facts = options.get("facts", NO_FACTS)
        content_type = facts.attributes.content_type or self._type_of(full)
        size = len(content) if isinstance(content, bytes) else content.stat().st_size
        if size > self.single_put:
            self._remote.once(
                lambda client: cast("ObjectClient", client).put_large(
                    full, content, content_type, create=create, again=self._again, facts=facts
                )
            )
            return
        data = content if isinstance(content, bytes) else content.read_bytes()
        # On a condition that is repeated would find what its first attempt may have made.
        repeat = self._remote.once if create or facts.match is not None else self._remote.call
        repeat(
            lambda client: cast("ObjectClient", client).put(
                full, data, content_type, create=create, facts=facts
            )
        )

    def write_if_match(
        self, path: str, content: Content, etag: str, *, attributes: Attributes | None = None
    ) -> None:
        self._require_write(path, False)
        facts: Facts = self._put_options(attributes)["facts"]
        try:
            self._put(content, self._full(path), {"facts": facts._replace(match=etag)})
        except RootNotFoundError:
            raise
        except FileNotFoundError as error:
            raise ChangedError("it was deleted meanwhile") from error

    def copy_if_absent(self, source: str, target: str) -> None:
        if not self.capabilities.copy_optimization:
            raise self._unsupported("copy inside the store")
        self._require_file(source)
        self._require_write(target, False)
        here, there = self._full(source), self._full(target)
        self._remote.once(
            lambda client: cast("ObjectClient", client).copy(here, there, create=True)
        )

    # -- metadata -----------------------------------------------------------------------------

    def get_metadata(self, path: str) -> dict[str, str]:
        return dict(self._require_file(path).metadata or {})

    def set_metadata(self, path: str, metadata: Mapping[str, str]) -> None:
        self._change_metadata(path, metadata, False)

    def merge_metadata(self, path: str, metadata: Mapping[str, str]) -> None:
        self._change_metadata(path, metadata, True)

    def _change_metadata(self, path: str, metadata: Mapping[str, str], merge: bool) -> None:
        refuse_internal(metadata)
        wanted = self._keeping.encode(metadata)

        def change(now: Mapping[str, str]) -> Mapping[str, str]:
            return merged_metadata(now, wanted, internal(now), merge)

        if not path:
            self._require_file(path)
        for attempt in range(_ATTEMPTS):
            try:
                self._ask(lambda client: client.set_metadata(self._full(path), change))
                return
            except ChangedError as error:
                # Somebody wrote between the look and the change: look again.
                if attempt == _ATTEMPTS - 1:
                    raise OSError(errno.EBUSY, "others change it all the time") from error
            except RootNotFoundError:
                raise
            except FileNotFoundError as error:
                self._require_file(path)  # raises, except for a file that has come meanwhile
                raise FileNotFoundError(errno.ENOENT, "not found", path) from error

    # -- tags ---------------------------------------------------------------------------------

    def get_tags(self, path: str, *, version: str | None = None) -> dict[str, str]:
        self._refuse_version(version)
        return self._about_tags(path, lambda client: client.get_tags(self._full(path)))

    def set_tags(self, path: str, tags: Mapping[str, str]) -> None:
        wanted = checked_tags(tags)
        self._about_tags(path, lambda client: client.set_tags(self._full(path), wanted))

    def _about_tags(self, path: str, step: Callable[[TagClient], T]) -> T:
        if not self._keeping.tags:
            raise self._unsupported("tags")
        if not path:
            self._require_file(path)
        try:
            return self._ask(lambda client: step(cast("TagClient", client)))
        except RootNotFoundError:
            raise
        except FileNotFoundError as error:
            self._require_file(path)  # raises, except for a file that has come meanwhile
            raise FileNotFoundError(errno.ENOENT, "not found", path) from error

    # -- descriptors --------------------------------------------------------------------------

    def descriptor(self, path: str) -> Descriptor:
        if not path:
            return Descriptor.of(self.stat(path))
        try:
            found = self._ask(lambda client: client.descriptor(self._full(path)))
        except RootNotFoundError:
            raise
        except FileNotFoundError:
            return Descriptor.of(self.stat(path))
        return replace(with_kept(found), path=path)


def with_kept(found: Descriptor) -> Descriptor:
    """The descriptor whose metadata are as they are stored, as the caller is to see it."""
    mtime = kept_mtime(found.metadata)
    return replace(
        found,
        mtime=found.mtime if mtime is None else mtime,
        metadata=shown(found.metadata),
    )
