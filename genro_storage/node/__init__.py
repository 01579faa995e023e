"""Nodes: what people hold. ``core`` names the layers that a node is built of."""

from ..strategy import SkipStrategy
from .storage_node import StorageNode

__all__ = ["SkipStrategy", "StorageNode"]
