"""WebDAV servers of the tests: Apache's mod_dav_fs, and wsgidav, which pip alone installs."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from .base import Service, elsewhere, find_program, free_port, running, stop_still

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "KEY_PASSWORD",
    "PASSWORD",
    "TOKEN",
    "USER",
    "Apache",
    "CaselessWsgidav",
    "Wsgidav",
    "apache",
    "caseless",
    "run_apache",
    "webdav_place",
    "wsgidav",
]

USER = "u"
PASSWORD = "p w:ü%"
TOKEN = "open.sesame"
KEY_PASSWORD = "of the client's key"

_MODULES = (
    "mpm_event", "authn_core", "authn_file", "authz_core", "authz_user", "auth_basic", "dav",
    "dav_fs", "dir", "mime", "setenvif", "alias", "ssl", "socache_shmcb",
)  # fmt: skip
_MODULE_PLACES = ("/usr/lib/apache2/modules", "/usr/libexec/apache2", "/usr/lib64/httpd/modules")


def _modules() -> Path | None:
    found = (Path(place) for place in _MODULE_PLACES)
    return next((place for place in found if (place / "mod_dav_fs.so").exists()), None)


class WebdavService(Service):
    """What tests ask of either server."""

    @property
    def data(self) -> Path:
        """The document root, for what is done out of band."""
        return self.directory / "data"

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}/"

    def own(self, path: Path) -> None:
        """Give what a test made in ``data`` to the server's user."""

    def fresh(self, name: str) -> str:
        """The URL of a new empty directory."""
        place = self.data / name
        place.mkdir()
        self.own(place)
        return f"{self.url}{name}"

    def mount(self, name: str) -> dict[str, Any]:
        """The configuration of a mount of a new empty directory."""
        login = {"username": USER, "password": PASSWORD}
        return {"type": "webdav", "url": self.fresh(name), **login}


class Apache(WebdavService):
    """Apache with a writable directory at ``/``, and others that refuse in their own ways."""

    name: ClassVar[str] = "Apache with mod_dav"
    install: ClassVar[str] = "apt-get install apache2 openssl"

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        if os.geteuid() == 0:
            # Its workers are another user then, who may not enter what pytest makes.
            self.directory = Path(tempfile.mkdtemp(prefix="genro-apache-"))
            self.directory.chmod(0o755)
        self.secure_port = free_port()
        self.inner_port = free_port()

    @classmethod
    def missing(cls) -> str | None:
        if find_program("apache2") is None and find_program("httpd") is None:
            return "there is no apache2"
        if find_program("openssl") is None:
            return "there is no openssl"
        return None if _modules() is not None else "there is no mod_dav_fs.so"

    def prepare(self) -> None:
        self.data.mkdir()
        for name in ("run", "data/readonly", "data/forbidden", "data/token", "data/unranged"):
            (self.directory / name).mkdir()
        self._certify()
        password = subprocess.run(
            ["openssl", "passwd", "-apr1", "-stdin"],
            input=PASSWORD.encode(),
            capture_output=True,
            check=True,
        )
        (self.directory / "htpasswd").write_text(f"{USER}:{password.stdout.decode()}")
        (self.directory / "types").write_text("text/plain txt\napplication/gzip gz\n")
        (self.directory / "httpd.conf").write_text(self.configuration())
        self.own(self.directory)

    def configuration(self) -> str:
        """The text of ``httpd.conf``."""
        modules = _modules()
        loaded = [
            f"LoadModule {name}_module {modules}/mod_{name}.so"
            for name in _MODULES
            if (modules / f"mod_{name}.so").exists()  # type: ignore[operator]
        ]
        user = "User www-data\nGroup www-data" if os.geteuid() == 0 else ""
        return f"""
ServerRoot "{self.directory}"
ServerName 127.0.0.1
Listen 127.0.0.1:{self.port}
PidFile run/httpd.pid
DefaultRuntimeDir run
Mutex fcntl
ErrorLog error.log
StartServers 1
ServerLimit 1
ThreadLimit 32
ThreadsPerChild 32
MaxRequestWorkers 32
{os.linesep.join(loaded)}
TypesConfig types
{user}
DavLockDB run/DavLock
DocumentRoot "{self.data}"
<Directory "{self.data}">
  Dav On
  DavDepthInfinity on
  AuthType Basic
  AuthName dav
  AuthUserFile htpasswd
  Require valid-user
</Directory>
AddEncoding x-gzip .gz
<Directory "{self.data}/readonly">
  <LimitExcept GET HEAD OPTIONS PROPFIND>
    Require all denied
  </LimitExcept>
</Directory>
<Directory "{self.data}/forbidden">
  Require all denied
</Directory>
<Directory "{self.data}/unranged">
  MaxRanges none
</Directory>
SetEnvIf Authorization "^Bearer {TOKEN}$" has_token
<Directory "{self.data}/token">
  Require env has_token
</Directory>
RedirectMatch 307 "^/to/(\\d+)/" "http://127.0.0.1:$1/dav"
Redirect 302 /elsewhere http://localhost:1/dav?signature=secret
# As it is behind a proxy that does the TLS: the address that it knows is not the one it has.
Listen 127.0.0.1:{self.inner_port}
<VirtualHost 127.0.0.1:{self.inner_port}>
  ServerName https://cloud.example.org:443
  UseCanonicalName On
</VirtualHost>
<IfModule ssl_module>
  Listen 127.0.0.1:{self.secure_port} https
  SSLRandomSeed startup builtin
  <VirtualHost 127.0.0.1:{self.secure_port}>
    SSLEngine on
    SSLCertificateFile server.pem
    SSLCertificateKeyFile server.key
    SSLCACertificateFile authority.pem
    <Location /certified>
      SSLVerifyClient require
    </Location>
  </VirtualHost>
</IfModule>
"""

    def _certify(self) -> None:
        """An authority, a certificate of the server, one of a client with an encrypted key."""

        def openssl(*arguments: str) -> None:
            subprocess.run(
                ["openssl", *arguments], cwd=self.directory, capture_output=True, check=True
            )

        key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1")
        new = ("req", "-x509", "-days", "2", *key)
        openssl(*new, "-nodes", "-keyout", "authority.key", "-out", "authority.pem",
                "-subj", "/CN=authority", "-addext", "keyUsage=keyCertSign")  # fmt: skip
        signed = ("-CA", "authority.pem", "-CAkey", "authority.key")
        openssl(*new, "-nodes", *signed, "-keyout", "server.key", "-out", "server.pem",
                "-subj", "/CN=server", "-addext", "subjectAltName=IP:127.0.0.1",
                "-addext", "basicConstraints=critical,CA:FALSE")  # fmt: skip
        openssl(*new, "-passout", f"pass:{KEY_PASSWORD}", *signed, "-keyout", "client.key",
                "-out", "client.pem", "-subj", "/CN=client",
                "-addext", "basicConstraints=critical,CA:FALSE")  # fmt: skip

    @property
    def secure_url(self) -> str:
        """Where it answers with TLS, by the certificate of ``authority.pem``."""
        return f"https://127.0.0.1:{self.secure_port}/"

    def own(self, path: Path) -> None:
        if os.geteuid() == 0:
            shutil.chown(path, "www-data", "www-data")
            for below in path.rglob("*"):
                shutil.chown(below, "www-data", "www-data")

    def command(self) -> list[str]:
        program = find_program("apache2") or find_program("httpd")
        assert program is not None
        arguments = ["-d", str(self.directory), "-f", str(self.directory / "httpd.conf")]
        return [program, *arguments, "-DFOREGROUND"]

    def _workers(self) -> list[int]:
        """The processes that answer: they live on where only their parent is killed."""
        found = subprocess.run(["pgrep", "-P", str(self.pid)], capture_output=True, check=False)
        return [int(word) for word in found.stdout.split()]

    def kill(self) -> None:
        for pid in self._workers() if self._process is not None else ():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        super().kill()

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        workers = self._workers()
        stop_still(*workers)
        try:
            with super().frozen():
                yield
        finally:
            for pid in workers:
                os.kill(pid, signal.SIGCONT)


class Wsgidav(WebdavService):
    """wsgidav on cheroot."""

    name: ClassVar[str] = "wsgidav"
    install: ClassVar[str] = "pip install wsgidav cheroot"

    @classmethod
    def missing(cls) -> str | None:
        return None if find_program("wsgidav") is not None else "there is no wsgidav"

    def prepare(self) -> None:
        self.data.mkdir()
        (self.directory / "wsgidav.yaml").write_text(self.configuration(), encoding="utf-8")

    def configuration(self) -> str:
        """The text of ``wsgidav.yaml``, which JSON is."""
        import json

        options: dict[str, Any] = {
            "host": "127.0.0.1",
            "port": self.port,
            "server": "cheroot",
            "numthreads": 20,
            "provider_mapping": {"/": str(self.data)},
            "http_authenticator": {
                "domain_controller": None,
                "accept_basic": True,
                "accept_digest": False,
                "default_to_digest": False,
            },
            "simple_dc": {"user_mapping": {"*": {USER: {"password": PASSWORD}}}},
            "verbose": 1,
            "logging": {"enable_loggers": []},
            "property_manager": True,
            "lock_storage": True,
            "dir_browser": {"enable": True},
            **self.more_options(),
        }
        return json.dumps(options)

    def more_options(self) -> dict[str, Any]:
        """For subclasses: other options of wsgidav."""
        return {}

    def command(self) -> list[str]:
        program = find_program("wsgidav")
        assert program is not None
        return [sys.executable, program, "-c", str(self.directory / "wsgidav.yaml")]


class CaselessWsgidav(Wsgidav):
    """A server to which small and capital letters are the same, as on Windows and macOS."""

    def more_options(self) -> dict[str, Any]:
        provider = {"class": "tests.services.caseless.CaselessProvider"}
        return {"provider_mapping": {"/": {**provider, "kwargs": {"root_folder": str(self.data)}}}}

    def environment(self) -> dict[str, str]:
        return {**super().environment(), "PYTHONPATH": str(Path(__file__).parents[2])}


@pytest.fixture(scope="session")
def apache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Apache]:
    """One Apache for all tests that do not stop it."""
    yield from run_apache(Apache, tmp_path_factory)


def run_apache(kind: type[Apache], factory: pytest.TempPathFactory) -> Iterator[Apache]:
    """As ``running``; its directory goes with it where pytest does not know it."""
    for service in running(kind, factory):
        yield service
        if not service.directory.is_relative_to(factory.getbasetemp()):
            service.stop()
            shutil.rmtree(service.directory)


@pytest.fixture(scope="session")
def wsgidav(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wsgidav]:
    """One wsgidav for all tests that do not stop it."""
    yield from running(Wsgidav, tmp_path_factory)


@pytest.fixture(scope="session")
def caseless(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CaselessWsgidav]:
    """A wsgidav that ignores case."""
    yield from running(CaselessWsgidav, tmp_path_factory)


@pytest.fixture
def webdav_place(request: pytest.FixtureRequest) -> dict[str, Any]:
    """The mount of a fresh empty directory, here or where ``GENRO_STORAGE_TEST_WEBDAV`` says."""
    name = secrets.token_hex(8)
    far = elsewhere("webdav")
    if far is None:
        # As one would mount it: Apache makes an upload visible when it is complete.
        return {**request.getfixturevalue("apache").mount(name), "commit": "put"}
    from genro_storage import StorageManager

    with StorageManager() as manager:
        manager.configure([{"name": "far", **far}])
        manager.node("far", name).mkdir(parents=True)
    above = far.get("url") or far["base_path"]
    below = {key: value for key, value in far.items() if key != "base_path"}
    return {**below, "url": f"{above.rstrip('/')}/{name}"}
