"""Two listings of millions of keys that nobody has stored, and the plan to copy one to the other."""

from __future__ import annotations

from collections import Counter, deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from genro_storage.info import FileInfo

__all__ = ["Merging", "listing"]

#: Files of a directory, and directories of one.
WIDTH = 100
#: One file of so many differs, and the next one is missing.
RARE = 1000


def listing(root: str, count: int, *, copy: bool = False) -> Iterator[FileInfo]:
    """``count`` files and their directories, three deep, in key order.

    In a ``copy`` one file in 1,000 has another size, and another one is missing.
    """
    from genro_storage.info import FileInfo

    made = 0
    for top in range(-(-count // WIDTH**3)):
        above = f"{root}/d{top:05}"
        yield FileInfo(above, "directory")
        for middle in range(WIDTH):
            parent = f"{above}/e{middle:02}"
            yield FileInfo(parent, "directory")
            for low in range(WIDTH):
                directory = f"{parent}/f{low:02}"
                yield FileInfo(directory, "directory")
                for number in range(WIDTH):
                    if made == count:
                        return
                    made += 1
                    size = made % 65_536
                    if copy and made % RARE < 2:
                        if made % RARE == 1:
                            continue
                        size += 1
                    yield FileInfo(f"{directory}/{number:02}.bin", "file", size, 1.7e9 + made)


class Merging:
    """The steps of a child of ``bench_transfer.py``."""

    def hello(self) -> None:
        """All is imported: that is not what is measured."""
        import genro_storage.transfer.planning.plan  # noqa: F401

    def generate(self, count: int) -> None:
        """Both listings, and nothing else."""
        for each in (listing("here", count), listing("there", count, copy=True)):
            deque(each, maxlen=0)

    def merge(self, count: int) -> None:
        """The plan, action by action; raises unless it is right."""
        from genro_storage.strategy import SkipStrategy
        from genro_storage.transfer.planning.actions import CopyFile, SkipFile
        from genro_storage.transfer.planning.plan import plan_tree
        from genro_storage.transfer.planning.rules import decide_by

        plan = plan_tree(
            listing("here", count),
            listing("there", count, copy=True),
            decide_by(SkipStrategy.SIZE),
            source_root="here",
            target_root="there",
        )
        found = Counter(map(type, plan))
        # Numbered from 1, each 1,000th differs, and each one after that is missing.
        copied = count // RARE + (count - 1) // RARE + 1
        assert found == {CopyFile: copied, SkipFile: count - copied}, found
