"""A bucket for other libraries: the filesystem of s3fs, with the settings of the mount."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..remote import missing_extra

if TYPE_CHECKING:
    from .client import S3Client

__all__ = ["open_filesystem"]


def open_filesystem(client: S3Client) -> Any:
    """A new ``s3fs.S3FileSystem``, synchronous, that nobody else uses; paths begin with the bucket.

    Like every one of them it holds the credentials, also where it is pickled.
    """
    try:
        from s3fs import S3FileSystem
    except ImportError as error:
        raise missing_extra(error, client.mount, "s3", "s3") from error
    settings = client._settings()
    settings["asynchronous"] = False
    config = dict(settings["config_kwargs"])
    config["retries"] = {"total_max_attempts": client.bounds.retries + 1}
    profile = client.options.profile
    if profile is not None:
        settings["profile"] = profile
    return S3FileSystem(**{**settings, "config_kwargs": config})
