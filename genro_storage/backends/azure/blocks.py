"""A blob of blocks that others have sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from azure.core import MatchConditions
from azure.storage.blob import BlobBlock, ContentSettings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .client import AzureClient

__all__ = ["commit_blocks"]


def commit_blocks(
    client: AzureClient,
    key: str,
    blocks: Sequence[str],
    content_type: str,
    metadata: Mapping[str, str],
    create: bool,
) -> None:
    """Make the blob of exactly these blocks; with ``create``, ``FileExistsError`` if it is there."""
    options: dict[str, Any] = {"match_condition": MatchConditions.IfMissing} if create else {}
    with client._explained():
        client._blob(key).commit_block_list(
            [BlobBlock(block) for block in blocks],
            content_settings=ContentSettings(content_type=content_type),
            metadata=dict(metadata),
            **options,
        )
