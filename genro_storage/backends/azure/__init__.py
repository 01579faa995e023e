"""``type: azure``: a container of Azure Blob Storage. What is built of its options."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..remote import missing_extra
from .access import AzureAccess
from .options import AzureOptions

if TYPE_CHECKING:
    from ..base import Backend
    from ..context import BuildContext
    from ..object_stores.client import ObjectClient

__all__ = ["AzureAccess", "AzureOptions", "build"]


def build(options: AzureOptions, context: BuildContext) -> Backend:
    """The backend of a container; it connects when it is first used.

    Raises ``StorageConfigError`` where the account is not named, or several credentials are.
    """
    from ..object_stores.attributes import Keeping
    from ..object_stores.cloud_options import by_obstore
    from ..object_stores.kept import rfc3339
    from ..object_stores.other_clients import OtherClients
    from ..object_stores.versions import PublicVersionedStoreBackend, VersionedStoreBackend
    from .doctor import facts
    from .keeping import encode_metadata
    from .names import check_key
    from .other_clients import make_filesystem, make_native_store
    from .urls import AzureDirect

    label = f"mount {context.mount!r} (azure)"
    access = AzureAccess.of(options, label, context.mount, context.base)

    def connect() -> ObjectClient:
        try:
            if by_obstore(options):
                from .fast import FastAzureClient

                # Who asks for obstore by name does without the MD5 that it does not show.
                compared = options.engine == "auto" and options.verify_downloads
                return FastAzureClient(
                    access,
                    options.bounds,
                    compared=compared,
                    believes=options.store_checksums != "never",
                )
            from .versions import AzureVersionClient

            return AzureVersionClient(access, options.bounds)
        except ImportError as error:
            raise missing_extra(error, context.mount, "azure", "azure") from error

    kind = PublicVersionedStoreBackend if access.is_public else VersionedStoreBackend
    backend = kind(
        connect,
        kind="azure",
        root=options.base_path,
        store=("azure", access.endpoint, access.container),
        bounds=options.bounds,
        check_key=check_key,
        # Documented nowhere, and another one where the account has real folders.
        ordered=False,
        folders=True,
        keeping=Keeping(
            options.write_defaults(),
            encode_metadata,
            rfc3339 if options.keep_mtime else None,
            tags=not options.disable_tagging,
            verify=options.verify_downloads,
            md5=options.store_checksums != "never",
        ),
        direct=AzureDirect(options, access, context.mount),
        facts=lambda asking: facts(options, access, asking),
        versioned=not access.is_emulated,
        default_type=options.default_content_type,
        # The service makes none of what it cannot decrypt.
        copies=access.encryption_key is None,
    )
    backend.others = OtherClients(
        lambda: make_filesystem(access, options.bounds, context.mount),
        lambda: make_native_store(access, options.bounds, context.mount),
    )
    return backend
