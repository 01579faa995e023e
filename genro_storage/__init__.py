"""Files that live in more than one place, under names of your own.

The public names are imported on first use, so that ``import genro_storage`` costs next to
nothing; neither fsspec nor any SDK is imported before a mount needs it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .capabilities import BackendCapabilities as BackendCapabilities
    from .exceptions import MountNotFoundError as MountNotFoundError
    from .exceptions import MountRootNotFoundError as MountRootNotFoundError
    from .exceptions import StorageChangedError as StorageChangedError
    from .exceptions import StorageCollisionError as StorageCollisionError
    from .exceptions import StorageConfigError as StorageConfigError
    from .exceptions import StorageConflictError as StorageConflictError
    from .exceptions import StorageConnectionError as StorageConnectionError
    from .exceptions import StorageError as StorageError
    from .exceptions import StorageExistsError as StorageExistsError
    from .exceptions import StorageFullError as StorageFullError
    from .exceptions import StorageIOError as StorageIOError
    from .exceptions import StorageIsDirectoryError as StorageIsDirectoryError
    from .exceptions import StorageMissingExtraError as StorageMissingExtraError
    from .exceptions import StorageNotDirectoryError as StorageNotDirectoryError
    from .exceptions import StorageNotEmptyError as StorageNotEmptyError
    from .exceptions import StorageNotFoundError as StorageNotFoundError
    from .exceptions import StoragePathError as StoragePathError
    from .exceptions import StoragePermissionError as StoragePermissionError
    from .exceptions import StorageTimeoutError as StorageTimeoutError
    from .exceptions import StorageUnsupportedError as StorageUnsupportedError
    from .exceptions import StorageValueError as StorageValueError
    from .exceptions import StorageVersionError as StorageVersionError
    from .health import MountHealth as MountHealth
    from .info import Checksum as Checksum
    from .info import Descriptor as Descriptor
    from .info import FileInfo as FileInfo
    from .info import FileVersion as FileVersion
    from .info import Finding as Finding
    from .info import WriteOptions as WriteOptions
    from .manager import StorageManager as StorageManager
    from .node import StorageNode as StorageNode
    from .node.multipart import MultipartUpload as MultipartUpload
    from .registry import BackendType as BackendType
    from .registry import register as register
    from .strategy import SkipStrategy as SkipStrategy
    from .transfer import CheckReport as CheckReport
    from .transfer import ChecksumCache as ChecksumCache
    from .transfer import CopyPlan as CopyPlan
    from .transfer import StorageTransferError as StorageTransferError
    from .transfer import TransferReport as TransferReport
    from .uploads import UploadForm as UploadForm
    from .uploads import UploadPart as UploadPart
    from .uploads import UploadURL as UploadURL

    __version__: str

_HOMES = {
    "BackendCapabilities": "capabilities",
    "BackendType": "registry",
    "Checksum": "info",
    "CheckReport": "transfer",
    "ChecksumCache": "transfer",
    "CopyPlan": "transfer",
    "Descriptor": "info",
    "FileInfo": "info",
    "FileVersion": "info",
    "Finding": "info",
    "MountHealth": "health",
    "MountNotFoundError": "exceptions",
    "MountRootNotFoundError": "exceptions",
    "MultipartUpload": "node.multipart",
    "SkipStrategy": "strategy",
    "StorageChangedError": "exceptions",
    "StorageCollisionError": "exceptions",
    "StorageConfigError": "exceptions",
    "StorageConflictError": "exceptions",
    "StorageConnectionError": "exceptions",
    "StorageError": "exceptions",
    "StorageExistsError": "exceptions",
    "StorageFullError": "exceptions",
    "StorageIOError": "exceptions",
    "StorageIsDirectoryError": "exceptions",
    "StorageManager": "manager",
    "StorageMissingExtraError": "exceptions",
    "StorageNode": "node",
    "StorageNotDirectoryError": "exceptions",
    "StorageNotEmptyError": "exceptions",
    "StorageNotFoundError": "exceptions",
    "StoragePathError": "exceptions",
    "StoragePermissionError": "exceptions",
    "StorageTimeoutError": "exceptions",
    "StorageTransferError": "transfer",
    "StorageUnsupportedError": "exceptions",
    "StorageValueError": "exceptions",
    "StorageVersionError": "exceptions",
    "TransferReport": "transfer",
    "UploadForm": "uploads",
    "UploadPart": "uploads",
    "UploadURL": "uploads",
    "WriteOptions": "info",
    "register": "registry",
}

__all__ = [
    "BackendCapabilities",
    "BackendType",
    "Checksum",
    "CopyPlan",
    "Descriptor",
    "FileInfo",
    "FileVersion",
    "Finding",
    "MountHealth",
    "MountNotFoundError",
    "MountRootNotFoundError",
    "MultipartUpload",
    "SkipStrategy",
    "StorageCollisionError",
    "StorageConfigError",
    "StorageConflictError",
    "StorageConnectionError",
    "StorageError",
    "StorageExistsError",
    "StorageFullError",
    "StorageIOError",
    "StorageIsDirectoryError",
    "StorageManager",
    "StorageMissingExtraError",
    "StorageNode",
    "StorageNotDirectoryError",
    "StorageNotEmptyError",
    "StorageNotFoundError",
    "StoragePathError",
    "StoragePermissionError",
    "StorageTimeoutError",
    "StorageUnsupportedError",
    "StorageValueError",
    "StorageVersionError",
    "TransferReport",
    "UploadForm",
    "UploadPart",
    "UploadURL",
    "WriteOptions",
    "__version__",
    "register",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        value: Any = version("genro-storage")
    elif name in _HOMES:
        value = getattr(import_module(f".{_HOMES[name]}", __name__), name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return list(__all__)
