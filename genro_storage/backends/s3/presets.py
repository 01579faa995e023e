"""What the servers of several providers need, by the name of the provider. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["PRESETS", "Preset", "Provider"]

Provider = Literal[
    "aws",
    "minio",
    "r2",
    "ceph",
    "b2",
    "wasabi",
    "spaces",
    "gcs-interop",
    "scaleway",
    "ovh",
    "oracle",
    "alibaba",
    "seaweedfs",
    "rclone",
]


@dataclass(frozen=True, slots=True)
class Preset:
    """One provider. ``endpoint`` may have ``{region}`` and ``{account}`` in it; None asks for one.

    ``virtual`` says where the bucket's name goes, ``checksums`` whether the server knows Amazon's
    newer checksums, ``equal_parts`` whether all parts of an upload but the last must have one size,
    ``conditions`` whether it heeds those of a write, ``forms`` whether browsers can post to it.
    """

    title: str
    endpoint: str | None
    region: str | None = None
    virtual: bool = False
    checksums: bool = False
    equal_parts: bool = False
    bulk_delete: bool = True
    tagging: bool = True
    copy_if_not_exists: str | None = None
    conditions: bool = True
    forms: bool = True

    @property
    def needs_endpoint(self) -> bool:
        """Whether only its owner knows where it is."""
        return self.endpoint is None and self.title != AMAZON


#: The one that is where nobody says another place.
AMAZON = "Amazon S3"

PRESETS: Mapping[str, Preset] = {
    "aws": Preset(AMAZON, None, virtual=True, checksums=True, copy_if_not_exists="multipart"),
    "minio": Preset("MinIO", None, "us-east-1"),
    "r2": Preset(
        "Cloudflare R2",
        "https://{account}.r2.cloudflarestorage.com",
        "auto",
        equal_parts=True,
        tagging=False,
        copy_if_not_exists="header:cf-copy-destination-if-none-match:*",
    ),
    "ceph": Preset("Ceph RADOS Gateway", None, "us-east-1"),
    "b2": Preset("Backblaze B2", "https://s3.{region}.backblazeb2.com", tagging=False),
    "wasabi": Preset("Wasabi", "https://s3.{region}.wasabisys.com"),
    "spaces": Preset(
        "DigitalOcean Spaces", "https://{region}.digitaloceanspaces.com", virtual=True
    ),
    "gcs-interop": Preset(
        "Google Cloud Storage, by its XML interface",
        "https://storage.googleapis.com",
        "auto",
        bulk_delete=False,
        tagging=False,
    ),
    "scaleway": Preset("Scaleway", "https://s3.{region}.scw.cloud", virtual=True),
    "ovh": Preset("OVHcloud", "https://s3.{region}.io.cloud.ovh.net", virtual=True),
    "oracle": Preset("Oracle Cloud", None, tagging=False),
    "alibaba": Preset(
        "Alibaba Cloud OSS",
        "https://oss-{region}.aliyuncs.com",
        virtual=True,
        bulk_delete=False,
    ),
    "seaweedfs": Preset("SeaweedFS", None, "us-east-1"),
    "rclone": Preset(
        "rclone serve s3", None, "us-east-1", tagging=False, conditions=False, forms=False
    ),
}
