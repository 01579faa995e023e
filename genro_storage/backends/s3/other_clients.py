"""A bucket for other libraries: the filesystem of s3fs, with the settings of the mount."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..remote import missing_extra
from .sdk_settings import needs_own_session, prepare

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
    options = client.options
    _ = client.root  # where a broker says which bucket, it is asked before
    settings = client._settings()
    settings["asynchronous"] = False
    if options.identities not in (("key",), ("anon",), ("profile",)) or needs_own_session(options):
        # The mount's own source, asked for each signature; such a one cannot be pickled.
        settings["session"] = client._session()
        prepare(settings["session"], options)
    config = dict(settings["config_kwargs"])
    config["retries"] = {"total_max_attempts": client.bounds.retries + 1}
    profile = options.profile
    if profile is not None:
        settings["profile"] = profile
    kind: Any = S3FileSystem
    return kind(**{**settings, "config_kwargs": config})
