"""The connection to one bucket: s3fs's client on fsspec's event loop, bounded and explained.

s3fs makes the session and the client and keeps them. Its file operations are not used: they hold
hundreds of MiB of a large file, go on where the caller was interrupted, leave parts of uploads
behind, take ``?versionId=`` in a name for a version, and forget the errors of a bulk deletion.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import errno
import functools
import os
import re
import threading
import time
import weakref
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar
from urllib.parse import urlsplit

from ..remote import Opened, is_transient, missing_extra, repeated_async
from .body import Body
from .broker import Broker
from .codes import OVER, server_code
from .environment import configured_endpoint, configured_region, no_endpoint
from .fetched import Fetched, part_of
from .headers import more_headers
from .likeness import require_s3
from .location import Spot
from .metadata import known_of
from .providers import make_source, sdk_credentials
from .requests import along_with
from .sdk_settings import load_models, needs_own_session, prepare, sdk_settings

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Mapping

    from ..object_stores.verifying import Known
    from ..remote import Bounds
    from .credentials import CredentialSource
    from .options import S3Options

__all__ = ["Place", "S3Client"]

T = TypeVar("T")

#: Connections to keep: more than the transfers of one thread, so that a mount serves many.
_POOL = 32
#: How the regions begin that have buckets, and accounts, of their own.
_PARTITION = re.compile(r"(?:^|[.-])(cn|eusc|us-gov|us-iso[a-z]?|eu-iso[a-z]?)-")
#: Seconds to wait for connections to say goodbye.
_GOODBYE = 2.0


class Place(NamedTuple):
    """Where the requests of a mount go."""

    #: The server's URL, None for Amazon's own.
    endpoint: str | None
    region: str | None

    @property
    def is_amazon(self) -> bool:
        """Whether that is Amazon itself, which knows all of its own protocol."""
        host = urlsplit(self.endpoint or "").hostname or ""
        return self.endpoint is None or host.endswith((".amazonaws.com", ".amazonaws.com.cn"))

    @property
    def partition(self) -> str:
        """Inside of which a bucket of Amazon's has a name of its own, in all regions."""
        host = urlsplit(self.endpoint or "").hostname or ""
        region = self.region if self.endpoint is None else host
        found = _PARTITION.search(region or "")
        return found[1] if found else ""


class _Connected(NamedTuple):
    filesystem: Any
    loop: asyncio.AbstractEventLoop
    explain: Callable[[Exception], Exception]
    process: int
    turns: asyncio.Semaphore


_living: weakref.WeakSet[S3Client] = weakref.WeakSet()
# What mounts share that name their keys, in one environment: a session is as much work as several
# requests, and has credentials only where there is no key.
_keyed: list[tuple[dict[str, str], Any]] = []


class S3Client:
    """Requests about one bucket. Coroutines run by ``run``; connects at the first one.

    Every error that comes out is a standard one. ``request`` repeats what the network or an
    overloaded server made fail.
    """

    def __init__(self, options: S3Options, mount: str) -> None:
        self.options: S3Options = options
        self.bounds: Bounds = options.bounds
        self.mount = mount
        self._place: Place | None = None
        self._broker = Broker(options, mount) if options.credentials_url is not None else None
        #: What signs requests, for every thread and client; None where nothing does.
        self.source: CredentialSource | None = make_source(options, self._broker)
        self._opened: Opened[_Connected] = Opened(self._open)

    @property
    def root(self) -> Spot:
        """The bucket and the prefix of the mount; a broker is asked for them at the first use."""
        if self.options.bucket is None:
            self._connected()
        return Spot(self.options.bucket or "", self.options.prefix)

    def _ask_broker(self) -> None:
        if self._broker is None or self.options.bucket is not None:
            return
        assert self.source is not None
        self.source.get()
        spot = self._broker.spot
        assert spot is not None
        named = {"bucket": spot.bucket, "prefix": spot.prefix}
        self.options = self.options.model_copy(update=named)

    @property
    def bucket(self) -> str:
        """The bucket's name; see ``root``."""
        return self.options.bucket or self.root.bucket

    @property
    def place(self) -> Place:
        """Where requests go; nothing is sent for it."""
        found = self._place
        if found is None:
            try:
                found = self._place = self._find_place(None)
            except ImportError as error:
                raise missing_extra(error, self.mount, "s3", "s3") from error
        return found

    @property
    def endpoint(self) -> str | None:
        """The server's URL, None for Amazon's own."""
        return self.place.endpoint

    def _find_place(self, session: Any) -> Place:
        """What the mount says, or else the environment, or else the profile."""
        region, endpoint = self.options.region, self.options.endpoint_url
        if endpoint is not None:
            return Place(endpoint, region or self.options.default_region)
        try:
            found = self._session() if session is None else session
            region = region or self.options.default_region or configured_region(found)
            if not found.get_config_variable("ignore_configured_endpoint_urls"):
                endpoint = configured_endpoint(found, self.options.bucket)
        except ImportError:
            raise
        except Exception as error:
            from .errors import Explainer

            raise Explainer(self.bucket, self.options.anon, "Amazon S3")(error) from error
        preset = self.options.preset
        if endpoint is None and preset is not None and preset.needs_endpoint:
            raise no_endpoint(self.options, self.mount)
        return Place(endpoint, region)

    # -- the connection -----------------------------------------------------------------------

    def _open(self) -> _Connected:
        try:
            from fsspec.asyn import get_loop
            from s3fs import S3FileSystem

            from .errors import Explainer

            session = self._session()
        except ImportError as error:
            raise missing_extra(error, self.mount, "s3", "s3") from error
        _leave_loop_behind()
        self._place = self._find_place(session)
        # Here, since the loop must not wait for it; and not before the modules are there, which
        # may take longer than credentials are good for.
        self._ask_broker()
        prepare(session, self.options)
        settings = self._settings()
        explain = Explainer(self.bucket, self.options.anon, self.endpoint or "Amazon S3")
        loop = get_loop()

        async def connect() -> Any:
            # On the loop's thread, where clients belong.
            filesystem = S3FileSystem(**settings, loop=loop, session=session)
            await filesystem.set_session()
            return filesystem

        try:
            filesystem = _run(loop, connect(), self.bounds.timeout)
        except Exception as error:
            raise explain(error) from error
        connected = _Connected(filesystem, loop, explain, os.getpid(), asyncio.Semaphore(_POOL))
        # For whoever forgets to close: aiohttp complains about that on the standard error.
        weakref.finalize(self, _abandon, connected).atexit = False
        _living.add(self)
        return connected

    def _session(self) -> Any:
        from aiobotocore.session import AioSession

        from .parsing import install

        options, source = self.options, self.source
        # With a key of its own a session has no credentials to find, and can serve several mounts.
        shared = options.identities == ("key",) and not needs_own_session(options)
        environment = {name: os.environ[name] for name in os.environ if name.startswith("AWS_")}
        for known, session in _keyed:
            if shared and known == environment:
                return session
        session = AioSession(profile=options.profile)
        session.register_component("data_loader", load_models())
        install(session)
        if shared:
            _keyed[:] = [(environment, session)]
        elif source is not None:
            session._credentials = sdk_credentials(source)
        return session

    def _settings(self) -> dict[str, Any]:
        """The arguments of ``S3FileSystem``."""
        return sdk_settings(self.options, self.place, self.bounds, _POOL)

    def _connected(self) -> _Connected:
        return self._opened.get()

    def run(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """What ``work()`` returns; where the caller is interrupted, it is cancelled and awaited."""
        return _run(self._connected().loop, work(), self.bounds.timeout)

    def begin(self, work: Callable[[], Coroutine[Any, Any, T]]) -> Any:
        """The future of ``work()``, which runs meanwhile."""
        return asyncio.run_coroutine_threadsafe(work(), self._connected().loop)

    def close(self) -> None:
        """Close the connections; a later request would make new ones."""
        connected = self._opened.take()
        if connected is not None:
            _run(connected.loop, _leave(connected), _GOODBYE)

    # -- requests -----------------------------------------------------------------------------

    async def request(
        self,
        operation: str,
        *,
        repeat: Callable[[BaseException], bool] = is_transient,
        **parameters: Any,
    ) -> dict[str, Any]:
        """One operation of botocore's client, on the bucket; its answer has no body.

        ``Body`` are the bytes to send. ``repeat`` says after which errors it may be tried again.
        """

        async def attempt(_: int) -> dict[str, Any]:
            return await self._attempt(lambda client: self._send(client, operation, parameters))

        return await repeated_async(self.bounds, attempt, repeat)

    async def fetch(
        self,
        key: str,
        start: int,
        end: int | None,
        etag: str | None = None,
        version: str | None = None,
    ) -> Fetched:
        """The bytes from ``start`` up to ``end``, or to the end of the object if that is nearer.

        Without ``end`` all of it, for which ``start`` is 0. With ``etag``, ``OSError`` where the object has another one by now. With ``version``, of
        that one; ``FileNotFoundError`` also from servers that do not know what that is.
        """
        asked: dict[str, Any] = {"Key": key}
        if end is not None:
            asked["Range"] = f"bytes={start}-{end - 1}"
        if etag is not None:
            asked["IfMatch"] = etag
        if version is not None:
            asked["VersionId"] = version

        async def once(client: Any) -> Fetched:
            answer = await self._send(client, "get_object", asked)
            body = answer["Body"]
            try:
                if version is not None and answer.get("VersionId", "null") != version:
                    raise FileNotFoundError(errno.ENOENT, "the server does not know of versions")
                data = bytes(await body.read())
            finally:
                body.close()
            part = part_of(answer, data, start, end)
            found = part._replace(known=self.known(answer), told=answer)
            if etag is not None and found.etag not in (None, etag):
                # There are servers that do not know conditions.
                raise OSError(errno.EBUSY, "another content came in its place meanwhile; try again")
            return found

        async def attempt(_: int) -> Fetched:
            return await self._attempt(once)

        return await repeated_async(self.bounds, attempt)

    def known(self, answer: Mapping[str, Any]) -> Known:
        """What the answer to a GET or HEAD says of the whole object."""
        express = self.bucket.endswith("--x-s3")
        return known_of(answer, express=express, believes=self.options.believes_checksums)

    async def look(self, step: Callable[[Any], Awaitable[T]]) -> T:
        """What ``step`` makes of botocore's client; it sends nothing."""
        return await self._attempt(step)

    def explain(self, error: Mapping[str, Any], operation: str) -> Exception:
        """The exception for an error that an answer lists (``Code``, ``Message``)."""
        from botocore.exceptions import ClientError

        return self._connected().explain(ClientError({"Error": dict(error)}, operation))

    def explained(self, error: Exception) -> Exception:
        """The standard exception for one of botocore's, or the same."""
        return self._connected().explain(error)

    async def region(self) -> str:
        """The region of the bucket, from Amazon where nobody else says it."""
        return await self._attempt(_region)

    async def _attempt(self, step: Callable[[Any], Awaitable[T]]) -> T:
        connected = self._opened.peek()
        if connected is None:
            # To connect takes the very loop that this is on, which would wait for itself for ever.
            raise OSError(errno.ESHUTDOWN, "the mount was closed meanwhile")
        used = None if self.source is None else self.source.peek()
        try:
            # A request that waits here does not wait for a connection while its time runs.
            async with connected.turns, asyncio.timeout(self.options.request_timeout):
                return await step(await connected.filesystem.get_s3(self.bucket))
        except Exception as error:
            explained = connected.explain(error)
            if type(error) is TimeoutError and not error.args:  # asyncio's own
                explained = TimeoutError(errno.ETIMEDOUT, "it took longer than 'request_timeout'")
            if self.source is not None and server_code(error) in OVER:
                explained = self.source.reject(used) or explained
            if explained is error:
                raise
            raise explained from error

    async def _send(self, client: Any, operation: str, parameters: dict[str, Any]) -> Any:
        answer = await self._sent(client, operation, parameters)
        require_s3(operation, answer)
        return answer

    async def _sent(self, client: Any, operation: str, parameters: dict[str, Any]) -> Any:
        call = getattr(client, operation)
        parameters = {**along_with(self.options, operation), **parameters}
        if "ExtraHeaders" in parameters:
            with more_headers(client, parameters.pop("ExtraHeaders")):
                return await call(Bucket=self.bucket, **parameters)
        if "Body" not in parameters:
            return await call(Bucket=self.bucket, **parameters)
        body = Body(parameters["Body"])
        sending = asyncio.ensure_future(call(Bucket=self.bucket, **{**parameters, "Body": body}))
        timeout = self.bounds.timeout
        try:
            while not sending.done():
                rest = body.taken + timeout - time.monotonic()
                if rest <= 0:
                    endpoint = self.endpoint or "Amazon S3"
                    raise TimeoutError(errno.ETIMEDOUT, f"{endpoint} has stopped listening")
                await asyncio.wait({sending}, timeout=rest)
        finally:
            if not sending.done():
                sending.cancel()
                await asyncio.wait({sending}, timeout=_GOODBYE)
        return sending.result()


@functools.cache
def _leave_loop_behind() -> None:
    """Have forked processes make a loop of their own: that of their parent has no thread there.

    fsspec sees to it by itself in later versions, except for its lock, which may be held meanwhile.
    """
    from fsspec.asyn import reset_lock

    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=reset_lock)


async def _region(client: Any) -> str:
    return str(client.meta.region_name)


async def _leave(connected: _Connected) -> None:
    async with asyncio.timeout(_GOODBYE):
        # Harmless where it is closed already.
        await connected.filesystem._s3creator.__aexit__(None, None, None)
        # TLS connections end in callbacks of the loop.
        await asyncio.sleep(0)


def _abandon(connected: _Connected) -> None:
    """Close without waiting: the garbage collector may be in any thread, with any lock held."""
    if connected.process == os.getpid() and not connected.loop.is_closed():
        asyncio.run_coroutine_threadsafe(_leave(connected), connected.loop)


@atexit.register
def _close_all() -> None:
    for client in list(_living):
        # Nobody is left to hear of it, and the connections end with the process.
        with contextlib.suppress(Exception):
            client.close()


def _run(loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, T], patience: float) -> T:
    ended = threading.Event()

    async def noted() -> T:
        try:
            return await work
        finally:
            ended.set()

    future = asyncio.run_coroutine_threadsafe(noted(), loop)
    try:
        return future.result()
    except BaseException:
        if future.cancel():  # the caller was interrupted, not the work
            ended.wait(patience)
        raise
