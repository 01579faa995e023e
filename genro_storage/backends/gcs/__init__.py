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
    from ..object_stores.attributes import Keeping
    from ..object_stores.cloud_options import by_obstore
    from ..object_stores.kept import rfc3339
    from ..object_stores.other_clients import OtherClients
    from ..object_stores.versions import PublicVersionedStoreBackend, VersionedStoreBackend
    from .access import GOOGLE, GcsAccess
    from .doctor import facts
    from .keeping import encode_metadata
    from .names import check_key
    from .other_clients import make_filesystem, make_native_store
    from .urls import GcsDirect

    access = GcsAccess.of(options, f"mount {context.mount!r} (gcs)", context.mount, context.base)

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

    kind = PublicVersionedStoreBackend if access.endpoint == GOOGLE else VersionedStoreBackend
    backend = kind(
        connect,
        kind="gcs",
        root=options.base_path,
        store=("gcs", access.endpoint, access.bucket),
        bounds=options.bounds,
        check_key=check_key,
        ordered=True,
        keeping=Keeping(
            options.write_defaults(),
            encode_metadata,
            rfc3339 if options.keep_mtime else None,
            verify=options.verify_downloads,
        ),
        direct=GcsDirect(options, access, access.signing_key(), context.mount),
        facts=lambda asking: facts(options, access, asking),
        default_type=options.default_content_type,
    )
    backend.others = OtherClients(
        lambda: make_filesystem(access, options.bounds, context.mount),
        lambda: make_native_store(access, options.bounds, context.mount),
    )
    return backend
