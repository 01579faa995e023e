"""``python -m genro_storage``: the same as the command ``genro-storage``."""

from __future__ import annotations

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
