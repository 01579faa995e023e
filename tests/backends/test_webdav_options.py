"""WebDAV mounts before anything is asked: options, laziness, URLs, and answers as XML."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from genro_storage import StorageConfigError, StorageManager
from genro_storage.backends.context import BuildContext
from genro_storage.backends.webdav import WebdavOptions, build
from genro_storage.backends.webdav.settings import Settings, components, is_misread
from genro_storage.backends.webdav.spelling import first_difference
from genro_storage.backends.webdav.xml import read_multistatus

ROOT = Path(__file__).parents[2]
SECRET = "tr0ub4dor"


def run(code):
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout


MOUNT = '{"name": "w", "type": "webdav", "url": "http://127.0.0.1:9/dav"}'


def test_configuring_imports_no_client_and_asks_nothing():
    out = run(
        "import sys\n"
        "from genro_storage import StorageManager\n"
        "storage = StorageManager()\n"
        f"storage.configure([{MOUNT}])\n"
        "assert storage.node('w:').capabilities.copy_optimization\n"
        "print('httpx' in sys.modules, 'webdav4' in sys.modules)\n"
    )
    assert out.split() == ["False", "False"]


def test_the_first_use_says_what_to_install():
    out = run(
        "import sys\n"
        "sys.modules['httpx'] = None\n"
        "from genro_storage import StorageManager, StorageMissingExtraError\n"
        "storage = StorageManager()\n"
        f"storage.configure([{MOUNT}])\n"
        "try:\n"
        "    storage.node('w:a.txt').read_bytes()\n"
        "except StorageMissingExtraError as error:\n"
        "    print(error)\n"
    )
    assert "mount 'w' (webdav)" in out
    assert 'pip install "genro-storage[webdav]"' in out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"url": f"https://anna:{SECRET}@host/dav"}, "'username' and 'password'"),
        ({"url": f"https://{SECRET}@host/dav"}, "'username' and 'password'"),
        ({"url": "ftp://host/dav"}, "begins with http:// or https://"),
        ({"url": "https:///dav"}, "names no host"),
        ({"url": "https://host:99999/dav"}, "no URL"),
        ({"url": f"https://host/dav?key={SECRET}"}, "%3F or %23"),
        ({"url": "https://host/dav/../other"}, "'..' or '.'"),
        ({"url": "https://host/my files"}, "%20"),
        ({"url": "https://host/", "username": "anna"}, "belong together"),
        ({"url": "https://host/", "password": SECRET}, "belong together"),
        ({"url": "https://host/", "username": "a:b", "password": SECRET}, "colon"),
        ({"url": "https://host/", "token": f"{SECRET}\r\nX: y"}, "a bearer token is"),
        (
            {"url": "https://host/", "token": SECRET, "username": "a", "password": SECRET},
            "either 'token'",
        ),
        ({"url": "http://host/", "cert": "client.pem"}, "https"),
        ({"url": "http://host/", "verify_ssl": "authority.pem"}, "https"),
        ({"url": "https://host/", "cert_password": SECRET}, "'cert_password' belongs"),
        ({"url": "https://host/", "headers": {"Authorization": SECRET}}, "set by the library"),
        ({"url": "https://host/", "headers": {"X-Key": f"{SECRET}\n"}}, "no header can hold"),
        ({"url": "https://host/", "headers": {"X Key": SECRET}}, "not one"),
        ({"url": "https://host/", "path": "a/../.."}, "traversal"),
        ({"url": "https://host/", "commit": "stream"}, "'move' or 'put'"),
    ],
)
def test_options_that_cannot_be_meant_are_refused_without_their_secrets(options, message):
    with pytest.raises((ValidationError, StorageConfigError)) as caught:
        WebdavOptions.model_validate(options)
    assert message in str(caught.value)
    with StorageManager() as storage, pytest.raises(StorageConfigError) as refused:
        storage.configure([{"name": "w", "type": "webdav", **options}])
    assert "'w'" in str(refused.value)
    assert SECRET not in str(caught.value) + str(refused.value)


def test_an_option_that_is_missing_is_named():
    with StorageManager() as storage, pytest.raises(StorageConfigError, match="'url'"):
        storage.configure([{"name": "w", "type": "webdav"}])


@pytest.mark.parametrize("key", ["cert", "verify_ssl"])
def test_a_file_that_is_not_there_is_named(tmp_path, key):
    options = WebdavOptions.model_validate({"url": "https://host/", key: "no.pem"})
    with pytest.raises(StorageConfigError, match=rf"mount 'w'.*no\.pem.*'{key}'"):
        build(options, BuildContext("w", tmp_path))


def test_relative_files_start_at_the_configuration(tmp_path):
    (tmp_path / "own.pem").write_text("")
    options = WebdavOptions.model_validate({"url": "https://host/", "verify_ssl": "own.pem"})
    backend = build(options, BuildContext("w", tmp_path))
    assert backend._settings.verify == str(tmp_path / "own.pem")


def test_no_secret_is_shown():
    given = {
        "url": "https://host/dav",
        "username": "anna",
        "password": SECRET,
        "headers": {"X-Key": SECRET},
    }
    options = WebdavOptions.model_validate(given)
    backend = build(options, BuildContext("w"))
    with StorageManager() as storage:
        storage.configure([{"name": "w", "type": "webdav", **given}])
        shown = [repr(options), str(options), repr(backend), repr(backend._settings)]
        shown += [repr(storage), repr(storage.node("w:a")), repr(backend.address("a"))]
    assert not any(SECRET in text for text in shown)


def test_base_path_is_another_name_of_path():
    options = WebdavOptions.model_validate({"url": "https://host/", "base_path": "/a/b/"})
    assert options.path == "a/b"


def test_only_put_declares_that_writes_are_atomic():
    for commit, atomic in (("move", False), ("put", True)):
        options = WebdavOptions.model_validate({"url": "https://host/", "commit": commit})
        capabilities = build(options, BuildContext("w")).capabilities
        assert capabilities.atomic_operations is atomic
        assert capabilities.copy_optimization
        assert not capabilities.append_mode


def address_of(url, path="", below="x"):
    options = WebdavOptions.model_validate({"url": url, "path": path})
    return build(options, BuildContext("w")).address(below)


def test_two_mounts_of_one_place_are_recognised():
    one = address_of("https://Host.example/dav/my%20files/")
    assert one == address_of("https://host.example:443/dav", "my files")
    assert one == address_of("HTTPS://host.example", "dav/my files")
    assert one != address_of("http://host.example/dav", "my files")
    assert one != address_of("https://host.example:8443/dav", "my files")
    assert one != address_of("https://host.example/DAV", "my files")


@pytest.mark.parametrize(
    "name",
    [
        "a b",
        "a+b",
        "%20",
        "100%",
        "a#b",
        "a?b",
        "a;b",
        "a\\b",
        "a\nb",
        "%2e%2e",
        "\u00fc",
        "\udcff",
    ],
)
def test_a_name_becomes_a_url_and_back(name):
    settings = Settings("w", "https://host/my%20dav/")
    url = settings.address(f"d/{name}")
    assert url.isascii() and url.startswith("https://host/my%20dav/d/")
    assert components(url) == ("my dav", "d", name)
    assert components(url.removeprefix("https://host")) == ("my dav", "d", name)


@pytest.mark.parametrize("href", ["/dav/a%2Fb", "/dav/%2e%2e/x", "/dav/../x", "/dav/a%00b"])
def test_an_href_that_no_path_can_express_is_none(href):
    assert components(href) is None


def test_names_that_some_server_misreads_are_known():
    assert [name for name in ("a?b", "a;b", "a\tb", "a\nb", "a#b", "a%b", "a b") if is_misread(name)] == [
        "a?b", "a;b", "a\tb", "a\nb",
    ]  # fmt: skip


ANSWER = """<?xml version="1.0"?>
<x:multistatus xmlns:x="DAV:" xmlns:y="urn:else"><x:response><x:href>/d/</x:href>
<x:propstat><x:prop><x:resourcetype><x:collection/></x:resourcetype>
<y:getetag>not this</y:getetag></x:prop><x:status>HTTP/1.1 200 OK</x:status></x:propstat>
<x:propstat><x:prop><x:getcontentlength>17</x:getcontentlength></x:prop>
<x:status>HTTP/1.1 404 Not Found</x:status></x:propstat></x:response>
<x:response><x:href>
/d/a%20b</x:href><x:status>HTTP/1.1 423 Locked</x:status></x:response></x:multistatus>"""


def test_a_multistatus_is_read_by_its_namespace_and_statuses():
    directory, refused = read_multistatus(ANSWER.encode())
    assert (directory.href, directory.collection, directory.status) == ("/d/", True, None)
    assert "getcontentlength" not in directory.properties
    assert "getetag" not in directory.properties
    assert (refused.href, refused.collection, refused.status) == ("/d/a%20b", False, 423)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (b"", "no WebDAV multistatus"),
        (b"<html>Welcome<br></html>", "no WebDAV multistatus"),
        (b"<html>Welcome</html>", "no WebDAV multistatus"),
        (b'<!DOCTYPE m [<!ENTITY e "x">]><multistatus xmlns="DAV:">&e;</multistatus>', "type"),
        (b'<!DOCTYPE m SYSTEM "file:///etc/passwd"><multistatus xmlns="DAV:"/>', "type"),
        (ANSWER[:200].encode(), "no WebDAV multistatus"),
    ],
)
def test_what_is_no_multistatus_is_refused(document, message):
    with pytest.raises(OSError, match=message):
        read_multistatus(document)


@pytest.mark.parametrize(
    ("source", "target", "found"),
    [
        ("a.txt", "A.TXT", ("", "a.txt", "A.TXT")),
        ("d/Stra\u00dfe/x", "d/STRASSE/X", ("d", "Stra\u00dfe", "STRASSE")),
        ("caf\u00e9", "Cafe\u0301", ("", "caf\u00e9", "Cafe\u0301")),
        ("a. ", "a", ("", "a. ", "a")),
        ("a\udce9", "A\udce9", ("", "a\udce9", "A\udce9")),
        ("a.txt", "a.txt", None),
        ("a.txt", "b.txt", None),
        ("a/b", "a.b", None),
    ],
)
def test_names_that_some_server_takes_for_one(source, target, found):
    assert first_difference(source, target) == found
