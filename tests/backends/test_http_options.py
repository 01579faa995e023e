"""What a mount of a web server can be told, and what it refuses before any request."""

from __future__ import annotations

import pytest

from genro_storage import StorageConfigError, StorageManager
from genro_storage.backends.context import BuildContext
from genro_storage.backends.http import HttpOptions, build
from genro_storage.backends.http.urls import Site, is_slash_added, link_path, next_url

_URL = "https://example.org/pub"
_SECRET = "5ecret-w0rd"


def configured(**options):
    with StorageManager() as manager:
        manager.configure([{"name": "web", "type": "http", "base_url": _URL, **options}])
        return manager.node("web:a/b.txt")


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"base_url": "ftp://example.org"}, "begins with http:// or https://"),
        ({"base_url": "example.org/pub"}, "begins with http:// or https://"),
        ({"base_url": "http://"}, "names no host"),
        ({"base_url": "http://:80/"}, "names no host"),
        ({"base_url": "http://a b/"}, "no spaces"),
        ({"base_url": "http://host:port/"}, "cannot be read"),
        ({"base_url": "http://host:99999/"}, "cannot be read"),
        ({"base_url": f"http://me:{_SECRET}@host/"}, "'username' and 'password'"),
        ({"base_url": f"http://host/?sig={_SECRET}"}, r"no '\?'"),
        ({"base_url": "http://host/#x"}, "no '#'"),
        ({"base_url": "http://host/a/%2e%2e/b"}, r"contains '\.\.'"),
        ({"base_url": "http://host\\x/"}, "backslashes"),
        ({"base_url": ""}, "base_url"),
        ({"username": "me"}, "go together"),
        ({"password": _SECRET}, "go together"),
        ({"username": "me", "password": "x", "token": _SECRET}, "exclude each other"),
        ({"token": _SECRET, "headers": {"authorization": _SECRET}}, "exclude each other"),
        ({"username": "m:e", "password": "x"}, "no colon"),
        ({"token": f"{_SECRET}\r\nX: y"}, "line breaks"),
        ({"headers": {"X-Key": f"{_SECRET}\r\nX: y"}}, "'X-Key' has characters"),
        ({"headers": {"X Key": _SECRET}}, "no header's name"),
        ({"headers": {"RANGE": _SECRET}}, "'RANGE' is set by the library"),
        ({"headers": {"x-a": "1", "X-A": "2"}}, "two headers have one name"),
        ({"cookies": {"a;b": _SECRET}}, "no cookie's name"),
        ({"cookies": {"a": f"{_SECRET}; b=c"}}, "'a' has characters"),
        ({"proxy": f"socks5://u:{_SECRET}@host"}, "begins with http:// or https://"),
        ({"cert": ["one"]}, "certificate and its key"),
        ({"cert": "/no/such.pem"}, "'/no/such.pem' of 'cert' does not exist"),
        ({"verify_ssl": "/no/such.pem"}, "'/no/such.pem' of 'verify_ssl' does not exist"),
        ({"redirects": "some"}, "redirects"),
        ({"listing": "maybe"}, "listing"),
        ({"timeout": 0}, "timeout"),
        ({"lisitng": True}, "did you mean 'listing'"),
        ({"probe": "../x"}, "probe"),
        ({"permissions": "readwrite"}, "read-only"),
    ],
)
def test_what_cannot_work_is_refused_and_no_secret_shown(options, text):
    with pytest.raises(StorageConfigError, match="'web'") as caught:
        configured(**options)
    with pytest.raises(StorageConfigError, match=text):
        configured(**options)
    assert _SECRET not in str(caught.value)


def test_the_url_is_needed():
    with StorageManager() as manager, pytest.raises(StorageConfigError, match="'base_url'"):
        manager.configure([{"name": "web", "type": "http"}])


def test_the_older_spelling_of_the_url():
    with StorageManager() as manager:
        manager.configure([{"name": "web", "protocol": "http", "base_path": _URL}])
        assert manager.node("web:x").url() == f"{_URL}/x"


@pytest.mark.parametrize(
    ("listing", "declared"), [(False, False), (True, True), ("links", True), ("true", True)]
)
def test_listing_is_declared_where_it_was_promised(listing, declared):
    assert configured(listing=listing).capabilities.list_dir is declared


def test_capabilities_are_those_of_a_place_to_read():
    found = configured().capabilities
    assert found.read and found.seek_support and found.public_urls and found.readonly
    assert not (found.write or found.delete or found.mkdir or found.append_mode)
    assert not (found.list_dir or found.presigned_urls or found.versioning)


def test_what_is_sent_along():
    login = HttpOptions(base_url=_URL, username="me", password="p\u00e4ss")
    assert login.sent_headers() == {"Authorization": "Basic bWU6cMOkc3M="}
    assert login.credentials() == "'username' and 'password'"
    more = HttpOptions(base_url=_URL, token="t", headers={"X-A": "1"}, cookies={"a": "b", "c": "d"})
    assert more.sent_headers() == {"Authorization": "Bearer t", "X-A": "1", "Cookie": "a=b; c=d"}
    assert more.credentials() == "'token' and 'headers' and 'cookies'"
    assert HttpOptions(base_url=_URL).credentials() is None
    assert "1" not in repr(more) and "pass" not in repr(login).replace("password", "")


def test_files_are_looked_for_beside_the_configuration(tmp_path):
    (tmp_path / "ca.pem").touch()
    options = HttpOptions(base_url=_URL, verify_ssl="ca.pem", cert=["ca.pem", "ca.pem"])
    build(options, BuildContext("web", base=tmp_path))
    with pytest.raises(StorageConfigError, match=r"ca\.pem' of 'verify_ssl'"):
        build(options, BuildContext("web"))


@pytest.mark.parametrize(("text", "value"), [("false", False), ("True", True), (False, False)])
def test_a_switch_may_come_from_the_environment(text, value):
    assert HttpOptions(base_url=_URL, verify_ssl=text).verify_ssl is value


# -- URLs ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("HTTP://Example.ORG", "http://example.org/"),
        ("https://example.org:443/a/", "https://example.org/a/"),
        ("http://example.org:8080/a b".replace(" ", "%20"), "http://example.org:8080/a%20b/"),
        ("http://[::1]:8080/x", "http://[::1]:8080/x/"),
        ("http://b\u00fccher.example/\u00fc", "http://xn--bcher-kva.example/%C3%BC/"),
        ("http://h/a+b;c=d/(e)", "http://h/a+b;c=d/(e)/"),
    ],
)
def test_urls_in_one_spelling(written, expected):
    assert Site.parse(written).url == expected


@pytest.mark.parametrize("host", ["fa\u00df.example", "\u03bc\u03cc\u03bd\u03bf\u03c2.example"])
def test_a_host_that_two_standards_read_as_two_is_refused(host):
    """Credentials for one of them would go to the other."""
    with pytest.raises(ValueError, match="write it in ASCII"):
        Site.parse(f"https://{host}/")


def test_one_place_in_two_spellings():
    one, other = Site.parse("http://h/a%2Db/"), Site.parse("http://H:80/a-b")
    assert one.origin == other.origin
    assert one.key("c d") == other.key("c d") == "a-b/c d"


def test_places_below():
    site = Site.parse("http://h/a%20b")
    assert site.url_of("c#d?e%/f\n.txt") == "http://h/a%20b/c%23d%3Fe%25/f%0A.txt"
    assert site.url_of("d", directory=True) == "http://h/a%20b/d/"
    assert site.url_of("") == "http://h/a%20b/"


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("/x y", "http://h/x%20y"),
        ("z?a=b c#f", "http://h/d/z?a=b%20c"),
        ("//other:81/x", "http://other:81/x"),
        ("https://h", "https://h/"),
        ("/\u00c3\u00bc", "http://h/%C3%BC"),  # raw UTF-8, as http.client decodes it
    ],
)
def test_where_redirects_lead(location, expected):
    assert next_url("http://h/d/y", location) == expected


@pytest.mark.parametrize("location", ["ftp://h/", "http://me@h/", "javascript:x"])
def test_redirects_that_lead_nowhere(location):
    with pytest.raises(ValueError, match="URL"):
        next_url("http://h/d/y", location)


def test_a_slash_that_is_added():
    assert is_slash_added("http://h/a%20b", "https://inner:8080/a b/")
    assert not is_slash_added("http://h/a", "http://h/b/")
    assert not is_slash_added("http://h/a/", "http://h/a//")


def test_links_in_other_spellings_of_the_same_place():
    assert link_path("http://h/a%2Db/", "/a-b/x") == ("x", False)
    assert link_path("http://h/a-b/index.html", "x/") == ("x", True)
    assert link_path("http://h/a/", "line\nbreak") == ("line\nbreak", False)
    assert link_path("http://h/a/", "caf%E9.txt") == ("caf\udce9.txt", False)
