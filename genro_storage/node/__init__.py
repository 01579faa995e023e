"""Nodes: what people hold. ``core`` names the layers that a node is built of."""

from .storage_node import StorageNode

__all__ = ["StorageNode"]
