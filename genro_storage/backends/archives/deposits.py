"""The ways to write a file, as one: a whole content that is handed over in the end."""

from __future__ import annotations

import os
import stat as st
from abc import abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING

from ...info import Attributes
from ..base import Backend
from ..fsspec_write import Content, SpooledWrite

if TYPE_CHECKING:
    from ..base import WriteHandle

__all__ = ["Deposits"]


class Deposits(Backend):
    """A backend that takes whole contents. A subclass writes ``_check_write`` and ``_store``."""

    @abstractmethod
    def _check_write(self, path: str, if_absent: bool) -> None:
        """Say early what storing would say, so that nobody writes a gigabyte in vain."""

    @abstractmethod
    def _store(
        self, content: Content, path: str, if_absent: bool, attributes: Attributes | None
    ) -> None:
        """Take a content. A file that holds it is the caller's, and may be gone afterwards."""

    def open_write(
        self,
        path: str,
        *,
        append: bool = False,
        if_absent: bool = False,
        attributes: Attributes | None = None,
    ) -> WriteHandle:
        self._check_write(path, if_absent)
        if append:
            raise self._unsupported("appending")
        return SpooledWrite(lambda content: self._store(content, path, if_absent, attributes))

    def write_bytes(
        self,
        path: str,
        data: bytes,
        *,
        if_absent: bool = False,
        attributes: Attributes | None = None,
    ) -> str | None:
        self._check_write(path, if_absent)
        self._store(bytes(data), path, if_absent, attributes)
        return None

    def upload(
        self,
        source: str | os.PathLike[str],
        path: str,
        *,
        if_absent: bool = False,
        attributes: Attributes | None = None,
    ) -> str | None:
        self._check_write(path, if_absent)
        found = attributes or Attributes()
        if found.mode is None:
            found = found._replace(mode=st.S_IMODE(os.stat(source).st_mode))
        self._store(Path(source), path, if_absent, found)
        return None
