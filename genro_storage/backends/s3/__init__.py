"""The type ``s3``. Neither s3fs, botocore nor obstore is imported here."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from .engines import engine_of
from .environment import resolve
from .options import S3Options

if TYPE_CHECKING:
    from ..base import Backend
    from ..context import BuildContext

__all__ = ["S3Options", "build"]


def build(options: S3Options, context: BuildContext) -> Backend:
    """The backend over a bucket; nothing is asked of the server before its first use.

    Raises ``StorageConfigError`` where the environment contradicts the options, or no bucket is
    named.
    """
    from .client import S3Client
    from .filesystem import S3Filesystem
    from .versions import VersionedS3Backend

    resolved = resolve(options, os.environ, context.mount)
    client = S3Client(resolved, context.mount)
    if engine_of(resolved) == "fsspec":
        return VersionedS3Backend(S3Filesystem(client), resolved.prefix)
    from .fast import ObstoreFilesystem

    return VersionedS3Backend(ObstoreFilesystem(client), resolved.prefix)
