"""The contestants of ``bench_object_stores.py`` on Azure and on Google Cloud Storage."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from object_peers import ByFsspec, Genro, Obstore, Peer, Server

__all__ = ["AZURE", "GCS"]

#: Blocks of one large object that the services' own libraries move at once.
_AT_ONCE = 4


class AzureObstore(Obstore):
    def connect(self, server: Server) -> Any:
        from obstore.store import AzureStore

        return AzureStore(
            server.bucket,
            account_name=server.key,
            account_key=server.secret,
            endpoint=server.url,
            client_options={"allow_http": True, "timeout": "600s"},
        )


class AzureGenro(Genro):
    install = 'pip install "genro-storage[azure]"'

    @staticmethod
    def mount(server: Server) -> dict[str, Any]:
        return {
            "type": "azure",
            "container": server.bucket,
            "account_name": server.key,
            "account_key": server.secret,
            "endpoint_url": server.url,
        }


class AzureSdk(Peer):
    package, install = "azure.storage.blob", "pip install azure-storage-blob"

    def __init__(self, server: Server) -> None:
        from azure.storage.blob import ContainerClient

        self.client = ContainerClient(
            server.url, server.bucket, credential=server.secret, read_timeout=600
        )

    def put(self, key: str, data: bytes) -> None:
        self.client.upload_blob(key, data, overwrite=True)

    def get(self, key: str) -> bytes:
        return bytes(self.client.download_blob(key).readall())

    def exists(self, key: str) -> bool:
        return bool(self.client.get_blob_client(key).exists())

    def size(self, key: str) -> int:
        return int(self.client.get_blob_client(key).get_blob_properties().size)

    def upload(self, source: str, key: str) -> None:
        with Path(source).open("rb") as stream:
            self.client.upload_blob(key, stream, overwrite=True, max_concurrency=_AT_ONCE)

    def download(self, key: str, target: str) -> None:
        with Path(target).open("wb") as sink:
            self.client.download_blob(key, max_concurrency=_AT_ONCE).readinto(sink)


class Adlfs(ByFsspec):
    package, install = "adlfs", "pip install adlfs"

    def connect(self, server: Server) -> Any:
        from adlfs import AzureBlobFileSystem

        return AzureBlobFileSystem(
            connection_string=(
                f"DefaultEndpointsProtocol=http;AccountName={server.key};"
                f"AccountKey={server.secret};BlobEndpoint={server.url};"
            ),
            skip_instance_cache=True,
            use_listings_cache=False,
        )


class GcsGenro(Genro):
    install = 'pip install "genro-storage[gcs]"'

    @staticmethod
    def mount(server: Server) -> dict[str, Any]:
        return {
            "type": "gcs",
            "bucket": server.bucket,
            "endpoint_url": server.url,
            "anon": True,
        }


class GcsSdk(Peer):
    package, install = "google.cloud.storage", "pip install google-cloud-storage"

    def __init__(self, server: Server) -> None:
        from google.auth.credentials import AnonymousCredentials
        from google.cloud.storage import Client

        client = Client(
            project="t",
            credentials=AnonymousCredentials(),
            client_options={"api_endpoint": server.url},
        )
        self.bucket = client.bucket(server.bucket)

    def put(self, key: str, data: bytes) -> None:
        self.bucket.blob(key).upload_from_string(data)

    def get(self, key: str) -> bytes:
        return bytes(self.bucket.blob(key).download_as_bytes())

    def exists(self, key: str) -> bool:
        return bool(self.bucket.blob(key).exists())

    def size(self, key: str) -> int:
        blob = self.bucket.blob(key)
        blob.reload()
        return int(blob.size)

    def upload(self, source: str, key: str) -> None:
        self.bucket.blob(key).upload_from_filename(source, timeout=600)

    def download(self, key: str, target: str) -> None:
        self.bucket.blob(key).download_to_filename(target, timeout=600)

    def remove(self, key: str) -> None:
        blob = self.bucket.blob(key)
        if blob.exists():
            blob.delete()


class Gcsfs(ByFsspec):
    package, install = "gcsfs", "pip install gcsfs"

    def connect(self, server: Server) -> Any:
        # Otherwise it asks Google about the bucket, by another protocol, and waits for an answer.
        os.environ["GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT"] = "false"
        from gcsfs import GCSFileSystem

        return GCSFileSystem(
            project="t",
            token="anon",
            endpoint_url=server.url,
            skip_instance_cache=True,
            use_listings_cache=False,
        )


#: The first is what the others are measured against.
AZURE: dict[str, type[Peer]] = {
    "obstore": AzureObstore,
    "genro_storage": AzureGenro,
    "azure-storage-blob": AzureSdk,
    "adlfs": Adlfs,
}
#: Without obstore, which writes by the XML API: the emulator does not know that.
GCS: dict[str, type[Peer]] = {
    "google-cloud-storage": GcsSdk,
    "genro_storage": GcsGenro,
    "gcsfs": Gcsfs,
}
