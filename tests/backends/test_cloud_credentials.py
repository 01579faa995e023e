"""Credentials of ``gcs`` and ``azure`` that change while they are used, on both engines."""

from __future__ import annotations

import asyncio
import base64
import json
import pickle
import sys
import time
import types
import urllib.parse
from datetime import UTC, datetime, timedelta

import pytest

from genro_storage import StorageManager
from genro_storage.backends.object_stores.provided import CredentialSource
from genro_storage.exceptions import StorageError, StoragePermissionError
from genro_storage.testing.concurrency import together
from tests.services.answers import Answer, AnswerServer

_KEY = base64.b64encode(b"a key " * 8).decode()
ENGINES = pytest.mark.parametrize("engine", ["fsspec", "obstore"])


def _lower(request):
    return {name.lower(): value for name, value in request.headers.items()}


# -- when a provider is asked -----------------------------------------------------------------


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Provider:
    """Gives numbered tokens that last for ``life`` seconds of a clock."""

    def __init__(self, clock: Clock | None = None, life: float | None = 9.0) -> None:
        self.clock = clock or time.time
        self.life = life
        self.calls = 0
        self.fails = False
        self.pause = 0.0

    def __call__(self):
        self.calls += 1
        time.sleep(self.pause)
        if self.fails:
            raise RuntimeError("s3cret")
        ends = None if self.life is None else datetime.fromtimestamp(self.clock() + self.life, UTC)
        return {"token": f"t{self.calls}", "expires_at": ends}


def _source(provider, clock=time.time):
    return CredentialSource(provider, lambda values: values["token"], clock=clock)


def test_a_provider_is_asked_again_when_a_third_of_the_time_is_left():
    clock = Clock()
    source = _source(Provider(clock), clock)
    seen = []
    for moment in (0, 5.9, 6.1, 12.0, 12.2):
        clock.now = 1000.0 + moment
        seen.append(source.get())
    assert seen == ["t1", "t1", "t2", "t2", "t3"]


def test_a_provider_is_asked_once_for_all_threads():
    clock, provider = Clock(), Provider()
    provider.clock, provider.pause = clock, 0.05
    source = _source(provider, clock)
    for calls in (1, 2):
        assert set(together(lambda _: source.get(), 50)) == {f"t{calls}"}
        assert provider.calls == calls
        clock.now += 8


def test_what_never_ends_is_asked_for_once():
    clock, provider = Clock(), Provider(life=None)
    source = _source(provider, clock)
    source.get()
    clock.now += 1e9
    assert (source.get(), provider.calls) == ("t1", 1)


def test_old_credentials_do_until_they_end_where_there_are_no_new_ones():
    clock = Clock()
    provider = Provider(clock)
    source = _source(provider, clock)
    source.get()
    provider.fails = True
    clock.now += 7
    assert source.get() == source.get() == "t1"
    assert provider.calls == 2  # it is not asked all the time
    clock.now += 1.5
    assert (source.get(), provider.calls) == ("t1", 3)
    clock.now += 1
    with pytest.raises(PermissionError, match=r"credential_provider.*RuntimeError"):
        source.get()
    provider.fails = False
    assert source.get() == "t5"


async def asynchronous():
    await asyncio.sleep(0)
    return {"token": "later", "expires_at": None}


def test_a_provider_may_be_a_coroutine_function_or_named(monkeypatch):
    module = types.ModuleType("clouds_provider_of_tests")
    module.place = types.SimpleNamespace(provider=asynchronous)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    assert _source(asynchronous).get() == "later"
    assert _source(f"{module.__name__}:place.provider").get() == "later"

    async def within_a_loop():
        return _source(asynchronous).get()

    assert asyncio.run(within_a_loop()) == "later"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (None, "a mapping"),
        ({"expires_at": None}, "'token'"),
        ({"token": "s3cret", "expires_at": datetime(2099, 1, 1)}, "time zone"),  # noqa: DTZ001
        ({"token": "s3cret", "expires_at": "2099"}, "time zone"),
        ({"token": "s3cret", "expires_at": datetime(2000, 1, 1, tzinfo=UTC)}, "ended already"),
    ],
)
@ENGINES
def test_a_provider_that_gives_nonsense_is_told_so(given, said, engine):
    with StorageManager() as manager:
        manager.configure([{
            "name": "g", "type": "gcs", "bucket": "b", "endpoint_url": "http://127.0.0.1:1",
            "credential_provider": lambda: given, "engine": engine, "retries": 0,
        }])  # fmt: skip
        with pytest.raises(StoragePermissionError, match=said) as caught:
            manager.node("g:a").read_bytes()
        assert "s3cret" not in str(caught.value)


# -- in the requests --------------------------------------------------------------------------


@pytest.mark.slow
@ENGINES
def test_the_tokens_of_a_provider_are_sent_to_google_and_change(engine):
    provider = Provider(life=1.2)

    def answer(request):
        if request.path.startswith("/storage/") and "alt=media" not in request.path:
            return Answer(404, b"{}")
        headers = (
            ("X-Goog-Generation", "1"),
            ("ETag", '"e"'),
            ("Last-Modified", "Sun, 29 Nov 2026 06:00:00 GMT"),
            ("Content-Range", "bytes 0-0/1"),
        )
        return Answer(206, b"x", headers)

    with AnswerServer(answer) as server, StorageManager() as manager:
        manager.configure([{
            "name": "g", "type": "gcs", "bucket": "b", "endpoint_url": server.url,
            "credential_provider": provider, "engine": engine,
        }])  # fmt: skip
        node = manager.node("g:a")
        assert node.read_bytes() == node.read_bytes() == b"x"
        time.sleep(1.3)
        assert node.read_bytes() == b"x"
        shown = [_lower(request)["authorization"] for request in server.requests]
    assert shown == ["Bearer t1", "Bearer t1", "Bearer t2"]
    assert provider.calls == 2


def _signature(azure, seconds: float) -> str:
    from azure.storage.blob import ContainerSasPermissions, generate_container_sas

    now = datetime.now(UTC)
    return str(
        generate_container_sas(
            azure.account, azure.container, account_key=azure.key,
            permission=ContainerSasPermissions.from_string("racwdl"),
            start=now - timedelta(minutes=5), expiry=now + timedelta(seconds=seconds),
        )
    )  # fmt: skip


@pytest.mark.services
@pytest.mark.slow
@ENGINES
def test_signatures_of_five_seconds_do_for_a_longer_time(azure, engine):
    """Azurite refuses them when they have ended; of many threads one asks for new ones."""
    calls = []

    def provider():
        calls.append(time.monotonic())
        ends = datetime.now(UTC) + timedelta(seconds=5)
        return {"sas_token": _signature(azure, 5), "expires_at": ends}

    config = azure.mount()
    del config["account_key"]
    with StorageManager() as manager:
        manager.configure(
            [
                {
                    **config,
                    "name": "a",
                    "credential_provider": provider,
                    "engine": engine,
                    "retries": 0,
                }
            ]
        )
        begin, stop = time.monotonic(), 9.0

        def work(number):
            node, count = manager.node(f"a:{number}.txt"), 0
            while time.monotonic() - begin < stop:
                node.write_bytes(b"%d" % count)
                assert node.read_bytes() == b"%d" % count
                assert node.exists
                count += 1
            return count

        assert sum(together(work, 4)) > 20
    assert 2 <= len(calls) <= 4


@pytest.mark.services
@ENGINES
def test_an_account_key_may_come_from_a_provider(azure, engine):
    config = azure.mount()
    key = config.pop("account_key")
    with StorageManager() as manager:
        manager.configure([{
            **config, "name": "a", "engine": engine,
            "credential_provider": lambda: {"access_key": key, "expires_at": None},
        }])  # fmt: skip
        node = manager.node("a:d/a.txt")
        node.write_bytes(bytes(9 * 1024 * 1024))
        assert len(node.read_bytes()) == 9 * 1024 * 1024
        assert [child.name for child in node.parent.children()] == ["a.txt"]


# -- signing in -------------------------------------------------------------------------------


def _jwt(ends: float) -> str:
    def part(value):
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    return f"{part({'alg': 'none'})}.{part({'exp': int(ends)})}.c2ln"


def _entra(request, url):
    """What a tenant answers to whoever signs in there."""
    if "openid-configuration" in request.path:
        found = {
            "token_endpoint": f"{url}/tenant/oauth2/v2.0/token",
            "authorization_endpoint": f"{url}/tenant/oauth2/v2.0/authorize",
            "issuer": f"{url}/tenant/v2.0",
        }
    else:
        found = {"access_token": "from-entra", "expires_in": 3600, "token_type": "Bearer"}
    return Answer(200, json.dumps(found).encode(), (("Content-Type", "application/json"),))


def _blob(request):
    headers = (
        ("Content-Range", "bytes 0-0/1"), ("ETag", '"e"'), ("x-ms-blob-type", "BlockBlob"),
        ("Last-Modified", "Sun, 29 Nov 2026 06:00:00 GMT"),
    )  # fmt: skip
    return Answer(206, b"x", headers)


@ENGINES
@pytest.mark.parametrize(
    ("config", "token", "asked"),
    [
        ({"token": "as-it-is"}, "as-it-is", None),
        (
            {"credential_provider": lambda: {"token": "provided", "expires_at": None}},
            "provided",
            None,
        ),
        (
            {"client_id": "id", "client_secret": "s3cret", "tenant_id": "tenant"},
            "from-entra",
            ("/tenant/oauth2/v2.0/token", "client_secret=s3cret"),
        ),
        (
            {"client_id": "id", "federated_token_file": "TOKEN", "tenant_id": "tenant"},
            "from-entra",
            ("/tenant/oauth2/v2.0/token", "client_assertion=of-kubernetes"),
        ),
        ({"msi_endpoint": "/msi", "object_id": "o"}, "from-msi", ("/msi", "object_id=o")),
        ({"msi_endpoint": "/msi", "client_id": "i"}, "from-msi", ("/msi", "client_id=i")),
        (
            {
                "fabric_token_service_url": "/fabric", "fabric_workload_host": "h",
                "fabric_session_token": "s3cret", "fabric_cluster_identifier": "c",
            },
            "fabric",
            ("/fabric", "resource=https://storage.azure.com"),
        ),
    ],
)  # fmt: skip
def test_who_signs_in_shows_the_token_that_it_gets(
    authority, tmp_path, engine, config, token, asked
):
    fabric = _jwt(time.time() + 3600)
    expected = fabric if token == "fabric" else token

    def answer(request):
        path = request.path.partition("?")[0]
        if path.startswith("/blob"):
            return _blob(request)
        if path == "/msi":
            ends = int(time.time()) + 3600
            return Answer(
                200, json.dumps({"access_token": "from-msi", "expires_on": ends}).encode()
            )
        if path == "/fabric":
            return Answer(200, fabric.encode())
        return _entra(request, server.url)

    (tmp_path / "token").write_text("of-kubernetes")
    with AnswerServer(answer, tls=authority.tls) as server, StorageManager() as manager:
        config = {
            key: f"{server.url}{value}"
            if key in ("msi_endpoint", "fabric_token_service_url")
            else value
            for key, value in config.items()
        }
        if "federated_token_file" in config:
            config["federated_token_file"] = str(tmp_path / "token")
        if "tenant_id" in config:
            config["authority_host"] = server.url
        manager.configure([{
            "name": "a", "type": "azure", "container": "c", "account_name": "acc",
            "endpoint_url": f"{server.url}/blob", "root_certificate": authority.pem,
            "engine": engine, "retries": 0, **config,
        }])  # fmt: skip
        for _ in range(2):
            assert manager.node("a:x").read_bytes() == b"x"
        blobs = [each for each in server.requests if each.path.startswith("/blob")]
        assert [_lower(each)["authorization"] for each in blobs] == [f"Bearer {expected}"] * 2
        if asked is not None:
            (found,) = (each for each in server.requests if each.path.partition("?")[0] == asked[0])
            assert asked[1] in urllib.parse.unquote(found.path) + found.body.decode()
        assert "s3cret" not in repr(manager.node("a:x")._mount._at("")[0])


@pytest.mark.parametrize("answered", [(500, b""), (200, b"s3cret"), (200, b"{}")])
def test_a_token_service_that_gives_none_is_a_refusal(authority, answered):
    def answer(request):
        return _blob(request) if request.path.startswith("/blob") else Answer(*answered)

    with AnswerServer(answer, tls=authority.tls) as server, StorageManager() as manager:
        manager.configure([{
            "name": "a", "type": "azure", "container": "c", "account_name": "acc", "retries": 0,
            "endpoint_url": f"{server.url}/blob", "root_certificate": str(authority.file),
            "msi_endpoint": f"{server.url}/msi", "object_id": "o",
        }])  # fmt: skip
        with pytest.raises(StorageError, match="a:x") as caught:
            manager.node("a:x").read_bytes()
        assert "s3cret" not in str(caught.value)
        assert not any(each.path.startswith("/blob") for each in server.requests)


def module_provider():
    return {"token": "t", "expires_at": None}


def test_a_provider_is_pickled_by_reference():
    with StorageManager() as manager:
        manager.add_mount(
            {"name": "g", "type": "gcs", "bucket": "b", "credential_provider": module_provider}
        )
        data = pickle.dumps(manager)
        assert b"module_provider" in data
        with pickle.loads(data) as other:
            backend, _ = other.node("g:")._mount._at("")
            assert backend.store().credential_provider()["token"] == "t"
        manager.add_mount(
            {"name": "l", "type": "gcs", "bucket": "b", "credential_provider": lambda: None}
        )
        with pytest.raises(TypeError, match="credential_provider"):
            pickle.dumps(manager)


@ENGINES
def test_a_name_that_leads_to_no_provider_says_so(engine):
    with StorageManager() as manager:
        manager.configure([{
            "name": "g", "type": "gcs", "bucket": "b", "retries": 0, "engine": engine,
            "endpoint_url": "http://127.0.0.1:1", "credential_provider": "no.such:thing",
        }])  # fmt: skip
        with pytest.raises(StorageError, match=r"no\.such:thing"):
            manager.node("g:a").read_bytes()


def test_a_client_is_made_anew_for_new_credentials():
    """A key that changes replaces Microsoft's client without a request in between."""
    from genro_storage.backends.azure import AzureAccess, AzureOptions
    from genro_storage.backends.azure.client import AzureClient
    from genro_storage.backends.remote import Bounds

    number = iter(range(100))

    def provider():
        key = base64.b64encode(b"%08d" % next(number)).decode()
        return {"access_key": key, "expires_at": datetime.now(UTC) + timedelta(seconds=0.3)}

    options = AzureOptions.model_validate(
        {"container": "c", "account_name": "a", "credential_provider": provider}
    )
    client = AzureClient(AzureAccess.of(options, "mount 'a'", "a"), Bounds())
    first = client._client
    assert client._client is first
    time.sleep(0.35)
    assert client._client is not first
    client.close()
