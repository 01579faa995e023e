"""For wsgidav: files whose names are the same in small and capital letters, as on Windows."""

from __future__ import annotations

import os
from typing import Any

from wsgidav.fs_dav_provider import FilesystemProvider

__all__ = ["CaselessProvider"]


class CaselessProvider(FilesystemProvider):
    """Serves a directory; a name leads to the file that is called so in any letters."""

    def _loc_to_file_path(self, path: str, environ: Any = None) -> str:
        asked = super()._loc_to_file_path(path, environ)
        found = root = os.path.abspath(self.root_folder_path)
        for part in os.path.relpath(asked, root).split(os.sep):
            names = os.listdir(found) if os.path.isdir(found) and part != "." else []
            same = (name for name in names if name.casefold() == part.casefold())
            found = os.path.normpath(os.path.join(found, next(same, part)))
        return found
