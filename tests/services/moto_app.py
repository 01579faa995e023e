"""moto's server, for many small requests: ``python moto_app.py PORT``.

As it comes it looks through the directories of its own package at every request, which is nearly
half of what a request costs, and writes a line for each. Of several creations of one object at one
moment it answers some with 500, and of several replacements on one condition it makes more than one:
it looks, and then writes. S3 decides once, so that such requests take turns here.
"""

from __future__ import annotations

import io
import signal
import sys
import threading
from typing import Any

from moto import backends
from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from werkzeug.serving import run_simple

_services = tuple(backends.list_of_moto_modules())


class _OneConditionAtATime:
    """The application, which is asked for a conditional write when all of its content is there."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self._turn = threading.Lock()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        length = environ.get("CONTENT_LENGTH") or ""
        is_conditional = environ["REQUEST_METHOD"] in ("PUT", "POST", "DELETE") and (
            "HTTP_IF_NONE_MATCH" in environ or "HTTP_IF_MATCH" in environ
        )
        if not is_conditional or not length.isdigit():
            return self._app(environ, start_response)
        environ["wsgi.input"] = io.BytesIO(environ["wsgi.input"].read(int(length)))
        with self._turn:
            return self._app(environ, start_response)


class _Quiet(MotoRequestHandler):
    def log_request(self, *_: Any) -> None:
        """Nothing; errors are still told."""


if __name__ == "__main__":
    backends.list_of_moto_modules = lambda: _services
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    run_simple(
        "127.0.0.1",
        int(sys.argv[1]),
        _OneConditionAtATime(DomainDispatcherApplication(create_backend_app)),
        threaded=True,
        request_handler=_Quiet,
    )
