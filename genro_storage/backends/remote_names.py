"""How the directories of a server take names.

No protocol tells: Samba and Windows both call a share case-sensitive whose names are not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from ..paths import join
from .errors import RootNotFoundError
from .fsspec_backend import FsspecBackend
from .spellings import CLOSED, Told, nearest_directory, told_by
from .temporary_names import spelling_name

if TYPE_CHECKING:
    from ..paths import Folding

__all__ = ["RemoteNames"]


class RemoteNames(FsspecBackend):
    """The directories of a server, which are taken to be all alike.

    An empty file is made for a moment, under a hidden name, where writes do so as well; else, and
    where that is not to be, the names that are there must do.
    """

    #: What to believe of case where nothing tells.
    folds_case: ClassVar[bool] = False
    _folding: Folding | None = None

    def folding(self, path: str) -> Folding:
        if self._folding is not None:
            return self._folding
        told = self._told(nearest_directory(self, path))
        found = told.folding(case=self.folds_case)
        if told.is_sure:
            self._folding = found
        return found

    def _told(self, directory: str) -> Told:
        def is_there(name: str) -> bool:
            try:
                self.stat(join(directory, name))
            except RootNotFoundError:
                raise
            except FileNotFoundError:
                return False
            return True

        if self._makes_siblings():
            name = spelling_name()
            path = join(directory, name)
            try:
                self._make_empty(path)
            except OSError as error:
                if not isinstance(error, PermissionError) and error.errno not in CLOSED:
                    raise
            else:
                try:
                    return told_by([name], is_there)
                finally:
                    self._remove_empty(path)
        return told_by({info.name for info in self._entries(directory)}, is_there)

    def _makes_siblings(self) -> bool:
        """Whether a write makes a file beside its target."""
        return True

    def _make_empty(self, path: str) -> None:
        self._put(b"", self._full(path), {})

    def _remove_empty(self, path: str) -> None:
        self._remove_file(self._full(path))
