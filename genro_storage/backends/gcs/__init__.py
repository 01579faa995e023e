"""``type: gcs``: a bucket of Google Cloud Storage. What is built of its options."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..remote import missing_extra
from .options import GcsOptions

if TYPE_CHECKING:
    from ..base import Backend
    from ..context import BuildContext
    from ..object_stores.client import ObjectClient

__all__ = ["GcsOptions", "build"]


def build(options: GcsOptions, context: BuildContext) -> Backend:
    """The backend of a bucket; it connects when it is first used.

    Raises ``StorageConfigError`` for what contradicts itself, or misses its bucket.
    """
    from ..object_stores.cloud_options import by_obstore
    from ..object_stores.other_clients import OtherClients
    from ..object_stores.versions import PublicVersionedStoreBackend, VersionedStoreBackend
    from .access import GOOGLE, GcsAccess
    from .names import check_key
    from .other_clients import make_filesystem, make_native_store

    access = GcsAccess.of(options, f"mount {context.mount!r} (gcs)", context.mount, context.base)
    key = access.signing_key()

    def connect() -> ObjectClient:
        try:
            # Not by itself: no server but Google's own shows that obstore reads all that there is.
            if by_obstore(options, auto=False):
                from .fast import FastGcsClient

                return FastGcsClient(access, options.bounds)
            from .versions import GcsVersionClient

            return GcsVersionClient(access, options.bounds)
        except ImportError as error:
            raise missing_extra(error, context.mount, "gcs", "gcs") from error

    def sign(name: str, seconds: int) -> str:
        try:
            from .sign import signed_url
        except ImportError as error:
            raise missing_extra(error, context.mount, "gcs", "gcs") from error
        assert key is not None
        return signed_url(access.endpoint, access.bucket, name, key, seconds)

    kind = PublicVersionedStoreBackend if access.endpoint == GOOGLE else VersionedStoreBackend
    backend = kind(
        connect,
        kind="gcs",
        root=options.base_path,
        store=("gcs", access.endpoint, access.bucket),
        bounds=options.bounds,
        check_key=check_key,
        ordered=True,
        sign=sign if key is not None else None,
        default_type=options.default_content_type,
    )
    backend.others = OtherClients(
        lambda: make_filesystem(access, options.bounds, context.mount),
        lambda: make_native_store(access, options.bounds, context.mount),
    )
    return backend
