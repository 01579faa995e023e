"""What the calls of ``write_together`` have made, for tests of copies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genro_storage.mount_transfers import MountTransfers

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pytest

    from genro_storage.info import Attributes

__all__ = ["noted_calls"]


def noted_calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """How many files each call has written from now on, and of how many."""
    found: list[tuple[int, int]] = []
    write_together = MountTransfers.write_together

    def counting(
        self: MountTransfers,
        directory: str,
        files: Sequence[tuple[str, bytes, Attributes]],
        arrived: Callable[[int], bool],
    ) -> None:
        total = len(files)
        sizes: list[int] = []

        def counted(size: int) -> bool:
            sizes.append(size)
            return arrived(size)

        try:
            write_together(self, directory, files, counted)
        finally:
            found.append((len(sizes), total))

    monkeypatch.setattr(MountTransfers, "write_together", counting)
    return found
