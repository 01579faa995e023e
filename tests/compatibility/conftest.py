"""What code written for genro-storage 0.4 relies on, fact by fact.

Where this library deviates on purpose, the decision is asserted instead and says so.
"""

from __future__ import annotations

import pytest

from genro_storage import StorageManager


@pytest.fixture
def storage(tmp_path):
    """A manager with the mounts disk, ram and b64."""
    root = tmp_path / "disk"
    root.mkdir()
    made = StorageManager()
    made.configure(
        [
            {"name": "disk", "type": "local", "path": str(root)},
            {"name": "ram", "type": "memory"},
            {"name": "b64", "type": "base64"},
        ]
    )
    return made
