"""moto's server, for many small requests: ``python moto_app.py PORT``.

As it comes it looks through the directories of its own package at every request, which is nearly
half of what a request costs, and writes a line for each.
"""

from __future__ import annotations

import signal
import sys
from typing import Any

from moto import backends
from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from werkzeug.serving import run_simple

_services = tuple(backends.list_of_moto_modules())


class _Quiet(MotoRequestHandler):
    def log_request(self, *_: Any) -> None:
        """Nothing; errors are still told."""


if __name__ == "__main__":
    backends.list_of_moto_modules = lambda: _services
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    run_simple(
        "127.0.0.1",
        int(sys.argv[1]),
        DomainDispatcherApplication(create_backend_app),
        threaded=True,
        request_handler=_Quiet,
    )
