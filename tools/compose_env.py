"""Lead the tests to the servers of docker-compose.yml: ``eval "$(python tools/compose_env.py)"``.

Makes the bucket and the containers that the mounts need, and prints one ``export`` for each server
that answers. ``GENRO_STORAGE_TEST_<KIND>`` may as well hold the mount of a real account.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import shlex
import socket
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

HOST = "127.0.0.1"
BUCKET = "genro-tests"
# The account that every Azurite has, as its documentation says.
AZURITE_KEY = (
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)
AZURE = (
    "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;"
    f"AccountKey={AZURITE_KEY};BlobEndpoint=http://{HOST}:10000/devstoreaccount1;"
)
_LOGIN = {"username": "genro", "password": "genro-password"}

MOUNTS: dict[str, dict[str, Any]] = {
    "s3": {
        "type": "s3",
        "bucket": BUCKET,
        "key": "genro-user",
        "secret": "genro-password",
        "endpoint_url": f"http://{HOST}:9000",
    },
    "azure": {"type": "azure", "container": BUCKET, "connection_string": AZURE},
    "gcs": {
        "type": "gcs",
        "bucket": BUCKET,
        "project": "genro",
        "token": "anon",
        "endpoint_url": f"http://{HOST}:4443",
    },
    "sftp": {"type": "sftp", "host": HOST, "port": 2222, "path": "/files", **_LOGIN},
    "smb": {"type": "smb", "host": HOST, "port": 4450, "share": "files", **_LOGIN},
    "webdav": {"type": "webdav", "url": f"http://{HOST}:6065/", **_LOGIN},
}
PORTS = {"s3": 9000, "azure": 10000, "gcs": 4443, "sftp": 2222, "smb": 4450, "webdav": 6065}


def make_s3_bucket() -> None:
    """The bucket, unless it is there."""
    import boto3

    client = boto3.client(
        "s3",
        endpoint_url=MOUNTS["s3"]["endpoint_url"],
        aws_access_key_id=MOUNTS["s3"]["key"],
        aws_secret_access_key=MOUNTS["s3"]["secret"],
        region_name="us-east-1",
    )
    present = [each["Name"] for each in client.list_buckets()["Buckets"]]
    if BUCKET not in present:
        client.create_bucket(Bucket=BUCKET)


def make_azure_container() -> None:
    """The container, unless it is there."""
    from azure.core.exceptions import ResourceExistsError
    from azure.storage.blob import BlobServiceClient

    client = BlobServiceClient.from_connection_string(AZURE)
    with client, contextlib.suppress(ResourceExistsError):
        client.create_container(BUCKET)


def make_gcs_bucket() -> None:
    """The bucket, unless it is there."""
    client = http.client.HTTPConnection(HOST, PORTS["gcs"], timeout=10)
    with contextlib.closing(client):
        client.request(
            "POST",
            "/storage/v1/b?project=genro",
            json.dumps({"name": BUCKET}),
            {"Content-Type": "application/json"},
        )
        status = client.getresponse().status
    if status not in (200, 409):
        raise SystemExit(f"gcs: the bucket could not be made (status {status})")


MAKE: dict[str, Callable[[], None]] = {
    "s3": make_s3_bucket,
    "azure": make_azure_container,
    "gcs": make_gcs_bucket,
}


def main() -> int:
    """Print the variables; what does not answer is named on the error output."""
    status = 0
    for kind, mount in MOUNTS.items():
        try:
            socket.create_connection((HOST, PORTS[kind]), 5).close()
        except OSError as error:
            print(f"{kind}: nothing answers on port {PORTS[kind]} ({error})", file=sys.stderr)
            status = 1
            continue
        if kind in MAKE:
            MAKE[kind]()
        print(f"export GENRO_STORAGE_TEST_{kind.upper()}={shlex.quote(json.dumps(mount))}")
    return status


if __name__ == "__main__":
    sys.exit(main())
