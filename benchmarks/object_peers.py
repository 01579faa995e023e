"""The contestants of ``bench_object_stores.py`` on S3: the same few steps with each library.

Each is written as its own documentation would: one client, shared by threads.
"""

from __future__ import annotations

import asyncio
import contextlib
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

__all__ = ["PEERS", "ByFsspec", "Genro", "Obstore", "Peer", "Server"]

#: Threads, or connections.
THREADS = 16


class Server(NamedTuple):
    """Where all of them work: ``key`` is the account on Azure; GCS wants no credentials."""

    url: str
    bucket: str
    key: str = ""
    secret: str = ""


class Peer:
    """What a library does; a subclass needs the first six, the rest follows."""

    #: The package whose absence skips it, and the command that installs it.
    package = ""
    install = ""

    def __init__(self, server: Server) -> None:
        raise NotImplementedError

    @classmethod
    def is_there(cls) -> bool:
        """Whether it is installed."""
        try:
            return find_spec(cls.package) is not None
        except ModuleNotFoundError:  # nor what it is a part of
            return False

    def put(self, key: str, data: bytes) -> None:
        raise NotImplementedError

    def get(self, key: str) -> bytes:
        raise NotImplementedError

    def exists(self, key: str) -> bool:
        raise NotImplementedError

    def size(self, key: str) -> int:
        raise NotImplementedError

    def upload(self, source: str, key: str) -> None:
        raise NotImplementedError

    def download(self, key: str, target: str) -> None:
        raise NotImplementedError

    def remove(self, key: str) -> None:
        """Only whom the others are measured against: it removes for all."""
        raise NotImplementedError

    def put_all(self, keys: Sequence[str], data: bytes) -> None:
        with ThreadPoolExecutor(THREADS) as pool:
            for _ in pool.map(lambda key: self.put(key, data), keys):
                pass

    def get_all(self, keys: Sequence[str]) -> int:
        with ThreadPoolExecutor(THREADS) as pool:
            return sum(map(len, pool.map(self.get, keys)))

    def ask_all(self, keys: Sequence[str]) -> int:
        total = 0
        for key in keys:
            assert self.exists(key)
            data = self.get(key)
            assert self.size(key) == len(data)
            total += len(data)
        return total

    def read_at_once(self, keys: Sequence[str]) -> int:
        """All reads are begun before the first is awaited."""

        async def work() -> int:
            loop = asyncio.get_running_loop()
            loop.set_default_executor(ThreadPoolExecutor(THREADS))
            return await _gathered(lambda key: asyncio.to_thread(self.get, key), keys)

        return asyncio.run(work())


async def _gathered(read: Callable[[str], Awaitable[Any]], keys: Sequence[str]) -> int:
    return sum(map(len, await asyncio.gather(*(read(key) for key in keys))))


class Obstore(Peer):
    package, install = "obstore", "pip install obstore"

    def __init__(self, server: Server) -> None:
        self.store = self.connect(server)

    def connect(self, server: Server) -> Any:
        """The store; another one for another service."""
        from obstore.store import S3Store

        return S3Store(
            server.bucket,
            endpoint=server.url,
            access_key_id=server.key,
            secret_access_key=server.secret,
            region="us-east-1",
            virtual_hosted_style_request=False,
            client_options={"allow_http": True, "timeout": "600s"},
        )

    def put(self, key: str, data: bytes) -> None:
        import obstore

        obstore.put(self.store, key, data)

    def get(self, key: str) -> bytes:
        import obstore

        return bytes(obstore.get(self.store, key).bytes())

    def exists(self, key: str) -> bool:
        import obstore

        try:
            obstore.head(self.store, key)
        except FileNotFoundError:
            return False
        return True

    def size(self, key: str) -> int:
        import obstore

        return int(obstore.head(self.store, key)["size"])

    def upload(self, source: str, key: str) -> None:
        import obstore

        obstore.put(self.store, key, Path(source))

    def download(self, key: str, target: str) -> None:
        import obstore

        with Path(target).open("wb") as sink:
            sink.writelines(obstore.get(self.store, key).stream())

    def remove(self, key: str) -> None:
        import obstore

        with contextlib.suppress(FileNotFoundError):
            obstore.delete(self.store, key)

    def read_at_once(self, keys: Sequence[str]) -> int:
        import obstore

        async def read(key: str) -> Any:
            return await (await obstore.get_async(self.store, key)).bytes_async()

        return asyncio.run(_gathered(read, keys))


class Genro(Peer):
    package, install = "genro_storage", 'pip install "genro-storage[s3]"'

    def __init__(self, server: Server) -> None:
        from genro_storage import StorageManager

        self.storage = StorageManager()
        self.storage.configure(
            [
                {"name": "far", "timeout": 600, **self.mount(server)},
                {"name": "disk", "type": "local", "path": "/"},
            ]
        )

    @staticmethod
    def mount(server: Server) -> dict[str, Any]:
        """The options; others for another service."""
        return {
            "type": "s3",
            "bucket": server.bucket,
            "endpoint_url": server.url,
            "key": server.key,
            "secret": server.secret,
        }

    def put(self, key: str, data: bytes) -> None:
        self.storage.node(f"far:{key}").write_bytes(data)

    def get(self, key: str) -> bytes:
        return self.storage.node(f"far:{key}").read_bytes()

    def exists(self, key: str) -> bool:
        return self.storage.node(f"far:{key}").exists

    def size(self, key: str) -> int:
        return self.storage.node(f"far:{key}").size

    def upload(self, source: str, key: str) -> None:
        self.storage.node(f"disk:{source}").copy_to(f"far:{key}")

    def download(self, key: str, target: str) -> None:
        self.storage.node(f"far:{key}").copy_to(f"disk:{target}")


class ByFsspec(Peer):
    """A filesystem of fsspec, without what it would remember of listings."""

    def __init__(self, server: Server) -> None:
        self.bucket = server.bucket
        self.filesystem = self.connect(server)

    def connect(self, server: Server) -> Any:
        raise NotImplementedError

    def put(self, key: str, data: bytes) -> None:
        self.filesystem.pipe_file(f"{self.bucket}/{key}", data)

    def get(self, key: str) -> bytes:
        return bytes(self.filesystem.cat_file(f"{self.bucket}/{key}"))

    def exists(self, key: str) -> bool:
        return bool(self.filesystem.exists(f"{self.bucket}/{key}"))

    def size(self, key: str) -> int:
        return int(self.filesystem.size(f"{self.bucket}/{key}"))

    def upload(self, source: str, key: str) -> None:
        self.filesystem.put_file(source, f"{self.bucket}/{key}")

    def download(self, key: str, target: str) -> None:
        self.filesystem.get_file(f"{self.bucket}/{key}", target)


class S3fs(ByFsspec):
    package, install = "s3fs", "pip install s3fs"

    def connect(self, server: Server) -> Any:
        self.options: dict[str, Any] = {
            "key": server.key,
            "secret": server.secret,
            "endpoint_url": server.url,
            "skip_instance_cache": True,
            "use_listings_cache": False,
            # With its default of 10 connections it would be slower still; and a server that is
            # not Amazon's may send the checksum of the whole with a part.
            "config_kwargs": {
                "max_pool_connections": THREADS,
                "response_checksum_validation": "when_required",
            },
        }
        from s3fs import S3FileSystem

        return S3FileSystem(**self.options)

    def read_at_once(self, keys: Sequence[str]) -> int:
        from s3fs import S3FileSystem

        async def work() -> int:
            filesystem = S3FileSystem(**self.options, asynchronous=True)
            session = await filesystem.set_session()
            try:
                return await _gathered(
                    lambda key: filesystem._cat_file(f"{self.bucket}/{key}"), keys
                )
            finally:
                await session.close()

        return asyncio.run(work())


class Boto3(Peer):
    package, install = "boto3", "pip install boto3"

    def __init__(self, server: Server) -> None:
        import boto3
        from botocore.config import Config

        self.bucket = server.bucket
        self.client = boto3.client(
            "s3",
            endpoint_url=server.url,
            aws_access_key_id=server.key,
            aws_secret_access_key=server.secret,
            region_name="us-east-1",
            config=Config(
                max_pool_connections=THREADS,
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
                read_timeout=600,
            ),
        )

    def put(self, key: str, data: bytes) -> None:
        self.client.put_object(Bucket=self.bucket, Key=key, Body=data)

    def get(self, key: str) -> bytes:
        return bytes(self.client.get_object(Bucket=self.bucket, Key=key)["Body"].read())

    def exists(self, key: str) -> bool:
        from botocore.exceptions import ClientError

        try:
            self.client.head_object(Bucket=self.bucket, Key=key)
        except ClientError as error:
            if error.response["Error"]["Code"] == "404":
                return False
            raise
        return True

    def size(self, key: str) -> int:
        return int(self.client.head_object(Bucket=self.bucket, Key=key)["ContentLength"])

    def upload(self, source: str, key: str) -> None:
        self.client.upload_file(source, self.bucket, key)

    def download(self, key: str, target: str) -> None:
        self.client.download_file(self.bucket, key, target)


class Cloudpathlib(Peer):
    package, install = "cloudpathlib", 'pip install "cloudpathlib[s3]"'

    def __init__(self, server: Server) -> None:
        import boto3
        from cloudpathlib import S3Client

        self.bucket = server.bucket
        session = boto3.Session(
            aws_access_key_id=server.key,
            aws_secret_access_key=server.secret,
            region_name="us-east-1",
        )
        self.client = S3Client(endpoint_url=server.url, boto3_session=session)

    def _path(self, key: str) -> Any:
        return self.client.CloudPath(f"s3://{self.bucket}/{key}")

    def put(self, key: str, data: bytes) -> None:
        self._path(key).write_bytes(data)

    def get(self, key: str) -> bytes:
        return bytes(self._path(key).read_bytes())

    def exists(self, key: str) -> bool:
        return bool(self._path(key).exists())

    def size(self, key: str) -> int:
        return int(self._path(key).stat().st_size)

    # What it has read or written it keeps in a directory, for the next time: here there is none.
    # (Its mode that keeps nothing removes the directories that other threads are about to use.)

    def get_all(self, keys: Sequence[str]) -> int:
        self.client.clear_cache()
        return super().get_all(keys)

    def ask_all(self, keys: Sequence[str]) -> int:
        self.client.clear_cache()
        return super().ask_all(keys)

    def read_at_once(self, keys: Sequence[str]) -> int:
        self.client.clear_cache()
        return super().read_at_once(keys)

    def upload(self, source: str, key: str) -> None:
        self._path(key).upload_from(source, force_overwrite_to_cloud=True)

    def download(self, key: str, target: str) -> None:
        self._path(key).download_to(target)


#: The first is what the others are measured against.
PEERS: dict[str, type[Peer]] = {
    "obstore": Obstore,
    "genro_storage": Genro,
    "s3fs": S3fs,
    "boto3": Boto3,
    "cloudpathlib": Cloudpathlib,
}
