"""What an ``s3`` mount must not promise: an endpoint it has not, conditions, forms, an engine."""

from __future__ import annotations

import contextlib
import http.client
import sys

import pytest

from genro_storage import (
    StorageConfigError,
    StorageConflictError,
    StorageError,
    StorageExistsError,
    StorageManager,
    StorageNotFoundError,
    StorageUnsupportedError,
    StorageValueError,
)
from genro_storage.backends.s3.presets import PRESETS
from tests.services.answers import Answer, AnswerServer
from tests.support.strangers import by_urllib

pytestmark = pytest.mark.services

ENGINES = ("obstore", "fsspec")
KEYS = {"key": "AK", "secret": "do-not-show-me"}
BUCKET = {"name": "up", "type": "s3", "bucket": "uploads", **KEYS}


@pytest.fixture
def storage():
    with StorageManager() as manager:
        yield manager


# -- whose server it is -------------------------------------------------------------------------

YOURS = [name for name, preset in PRESETS.items() if preset.needs_endpoint]


def test_these_are_where_only_their_owner_knows():
    assert YOURS == ["minio", "ceph", "oracle", "seaweedfs", "rclone"]


@pytest.mark.parametrize("provider", YOURS)
def test_a_provider_without_an_endpoint_is_not_taken_for_amazon(storage, provider, monkeypatch):
    monkeypatch.setenv("HOME", "/no/such/home")
    wanted = rf"mount '\w+' \(s3\): provider '{provider}' needs 'endpoint_url'"
    with pytest.raises(StorageConfigError, match=wanted):
        storage.add_mount({**BUCKET, "provider": provider})
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1")
    storage.add_mount({**BUCKET, "provider": provider})
    assert storage.node("up:")._mount.backend._store.client.endpoint == "http://127.0.0.1:1"
    monkeypatch.setenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true")
    with pytest.raises(StorageConfigError, match=wanted):
        storage.add_mount({**BUCKET, "name": "other", "provider": provider})


@pytest.mark.parametrize(
    ("profile", "found"),
    [
        ("[default]\nendpoint_url = http://127.0.0.1:1\n", "http://127.0.0.1:1"),
        ("[profile other]\nendpoint_url = http://127.0.0.1:1\n", None),
        (
            "[default]\nignore_configured_endpoint_urls = true\nendpoint_url = http://127.0.0.1:1\n",
            None,
        ),
    ],
)
def test_the_endpoint_of_a_profile_counts_where_the_sdk_heeds_it(
    storage, profile, found, monkeypatch, tmp_path
):
    (tmp_path / "config").write_text(profile)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    storage.add_mount({**BUCKET, "provider": "minio"})
    client = storage.node("up:")._mount.backend._store.client
    if found is not None:
        assert client.endpoint == found
        return
    for step in (lambda: storage.node("up:a").read_bytes(), lambda: storage.node("up:a").url()):
        with pytest.raises(StorageConfigError, match="provider 'minio' needs 'endpoint_url'"):
            step()
    (health,) = storage.check()
    assert health.state == "unusable"


# -- conditions ---------------------------------------------------------------------------------

DISABLED = ({"provider": "rclone"}, {"conditional_put": "disabled"})


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("option", DISABLED, ids=["preset", "option"])
def test_a_server_that_ignores_conditions_is_not_trusted_with_one(
    storage, rclone_s3, option, engine
):
    storage.add_mount({"name": "up", **rclone_s3.mount(engine=engine, **option)})
    node = storage.node("up:a.txt")
    assert not node.capabilities.conditional_writes
    named = "'provider: rclone'" if "provider" in option else "'conditional_put: disabled'"
    node.write_bytes(b"mine")
    stale = "0" * 32
    for step in (
        lambda: node.write_bytes(b"lost", if_match=stale),
        lambda: node.open("wb", if_match=stale),
        lambda: node._mount.backend.write_if_match("a.txt", b"lost", stale),
        lambda: node.upload_url(content_type="text/plain", if_absent=True),
    ):
        with pytest.raises((StorageUnsupportedError, OSError), match="ignores the cond") as caught:
            step()
        assert named in str(caught.value)
    # A look before the write is all there is, and that is documented.
    with pytest.raises(StorageExistsError):
        node.write_bytes(b"lost", if_absent=True)
    assert node.read_bytes() == b"mine"
    (node.parent / "new.txt").write_bytes(b"new", if_absent=True)


def test_a_client_that_must_not_replace_is_looked_after_by_us(storage, moto_server):
    storage.add_mount({"name": "up", **moto_server.mount(conditional_put="disabled")})
    node = storage.node("up:parts")
    upload = node.begin_upload(content_type="text/plain")
    node.write_bytes(b"mine")
    part = upload.sign_part(1)
    assert by_urllib(part.method, part.url, part.headers, b"x").status == 200
    with pytest.raises(StorageExistsError):
        upload.complete(if_absent=True)
    assert node.read_bytes() == b"mine"
    upload.abort()


def _tried(storage, config):
    storage.add_mount({"name": "m", "retries": 0, **config})
    found = {finding.name: finding for finding in storage.doctor("m", write=True)}
    assert storage.node("m:").children() == []
    return found.get("conditions")


@pytest.mark.parametrize("engine", ENGINES)
def test_doctor_finds_out_what_a_server_makes_of_conditions(
    storage, moto_server, rclone_s3, engine
):
    found = _tried(storage, moto_server.mount(engine=engine))
    assert (found.value, found.ok) == ("heeded", True)
    found = _tried(storage, rclone_s3.mount(engine=engine))
    assert (found.value, found.ok) == ("ignored", None)
    assert "set `conditional_put: disabled`" in found.detail
    assert _tried(storage, rclone_s3.mount(engine=engine, provider="rclone")) is None


def test_doctor_on_a_server_that_refuses_conditions(storage, moto_server):
    def answer(request):
        if {"if-none-match", "if-match"} & {name.lower() for name in request.headers}:
            code = b"<Error><Code>NotImplemented</Code></Error>"
            return Answer(501, code, (("Content-Type", "application/xml"),))
        connection = http.client.HTTPConnection("127.0.0.1", moto_server.port, timeout=10)
        with contextlib.closing(connection):
            connection.request(request.method, request.path, request.body, dict(request.headers))
            found = connection.getresponse()
            body = found.read()
        if request.method == "HEAD":  # of which only the length is sent
            body = bytes(int(found.getheader("Content-Length") or 0))
        drop = ("connection", "content-length", "transfer-encoding", "date", "server")
        headers = tuple(each for each in found.getheaders() if each[0].lower() not in drop)
        return Answer(found.status, body, headers)

    with AnswerServer(answer) as server:
        found = _tried(storage, {**moto_server.mount(), "endpoint_url": server.url})
    assert (found.value, found.ok) == ("refused", None)
    assert "if_absent is a look" in found.detail


def test_if_match_holds_where_conditions_are_heeded(storage, moto_server):
    storage.add_mount({"name": "up", **moto_server.mount()})
    node = storage.node("up:a.txt")
    node.write_bytes(b"1")
    etag = node.descriptor().etag
    node.write_bytes(b"2", if_match=etag)
    with pytest.raises(StorageConflictError):
        node.write_bytes(b"3", if_match=etag)


# -- what rclone's server has not ---------------------------------------------------------------


def test_no_form_is_offered_where_the_server_takes_none(storage, rclone_s3):
    storage.add_mount({"name": "up", **rclone_s3.mount(provider="rclone")})
    node = storage.node("up:a.txt")
    assert node.capabilities.presigned_uploads and not node.capabilities.upload_forms
    with pytest.raises(StorageUnsupportedError, match=r"takes no forms \('provider: rclone'\)"):
        node.upload_form(max_size=10)


def test_a_server_that_refuses_to_list_uploads_before_there_was_one_has_none(own_rclone):
    """rclone knows of no upload then, and says so as if it had been asked about one of them."""
    with StorageManager() as storage:
        storage.add_mount({"name": "up", **own_rclone.mount()})
        for step in (
            lambda: None,
            lambda: storage.node("up:large").write_bytes(bytes(33 * 1024 * 1024)),
        ):
            step()
            found = {finding.name: finding for finding in storage.doctor("up")}
            assert (found["unfinished uploads"].value, found["unfinished uploads"].ok) == (
                "none",
                True,
            )
            assert storage.cleanup("up", 0) == 0


# -- encryption ---------------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", ["foo", "aes256", "sse-c", "aws:kms2"])
@pytest.mark.parametrize("engine", ENGINES)
def test_an_encryption_that_there_is_not_is_refused_for_a_mount_and_for_a_write(
    storage, moto_server, wrong, engine
):
    if wrong != "sse-c":  # a mount has it, with its key
        with pytest.raises(StorageConfigError, match="server_side_encryption"):
            storage.add_mount({**BUCKET, "name": "no", "server_side_encryption": wrong})
    storage.add_mount({"name": "up", **moto_server.mount(engine=engine)})
    node = storage.node("up:a.txt")
    for step in (
        lambda: node.write_bytes(b"x", encryption=wrong),
        lambda: node.open("wb", encryption=wrong),
    ):
        with pytest.raises(StorageValueError, match=f"up:a.txt.*encryption is '{wrong}'; there a"):
            step()
    assert not node.exists


# -- without obstore ----------------------------------------------------------------------------


def test_the_engine_that_is_in_force_is_told(storage, moto_server, monkeypatch):
    def found(name, **options):
        storage.add_mount({"name": name, **moto_server.mount(**options)})
        return next(each for each in storage.doctor(name) if each.name == "engine")

    assert (found("fast").value, found("slow", engine="fsspec").value) == ("obstore", "fsspec")
    with pytest.raises(StorageUnsupportedError, match="with 'engine: fsspec'"):
        storage.store("slow")
    monkeypatch.setitem(sys.modules, "obstore", None)
    engine = found("bare")
    assert engine.value == "fsspec"
    assert "obstore is not installed" in engine.detail
    assert 'pip install "genro-storage[s3]"' in engine.detail
    with pytest.raises(StorageError, match=r"obstore is not installed; pip install"):
        storage.store("bare")


# -- a root that is not there -------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["s3", "gcs", "azure", "sftp"])
def test_in_a_root_that_is_not_there_nothing_exists_and_all_else_names_it(
    request, storage, kind, tmp_path
):
    """The same for every kind: ``exists`` is no, and whatever needs an answer says what to make."""
    config = {
        "s3": lambda: request.getfixturevalue("moto_server").mount(bucket="nobody"),
        "gcs": lambda: {**request.getfixturevalue("gcs").mount(), "bucket": "nobody-x"},
        "azure": lambda: {**request.getfixturevalue("azure").mount(), "container": "nobody-x"},
        "sftp": lambda: request.getfixturevalue("sshd").mount(tmp_path / "gone"),
    }[kind]()
    storage.add_mount({"name": "up", **config})
    root, node = storage.node("up:"), storage.node("up:a.txt")
    assert not (root.exists or root.isdir or node.exists or node.isfile)
    node.delete()  # what is gone already is no error
    for step in (node.read_bytes, node.stat, root.children, lambda: node.write_bytes(b"x")):
        with pytest.raises(StorageNotFoundError, match=r"(nobody|gone).*does not exist"):
            step()
    (health,) = storage.check()
    assert (health.state, "does not exist" in health.reason) == ("missing", True)
