"""Where the credentials of an ``s3`` mount come from: one source, asked once for all threads."""

from __future__ import annotations

import asyncio
import concurrent.futures
import json
import os
import pickle
import threading
import time
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs

import obstore
import pytest

from genro_storage import StorageConfigError, StorageManager, StoragePermissionError
from genro_storage.backends.s3.broker import read_answer
from genro_storage.backends.s3.credentials import Credentials, CredentialSource
from genro_storage.backends.s3.providers import read_credential
from genro_storage.backends.s3.store_settings import make_store
from genro_storage.exceptions import StorageError
from tests.services.answers import Answer, AnswerServer

SECRET = "do-not-show-me"
ENGINES = ("sdk", "obstore")


# -- the source -----------------------------------------------------------------------------------


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


class Issuer:
    """Hands out credentials for five seconds, numbered."""

    def __init__(self, clock, pause=0.0):
        self.clock, self.pause = clock, pause
        self.calls = 0
        self.error = None

    def __call__(self):
        self.calls += 1
        time.sleep(self.pause)
        if self.error is not None:
            raise self.error
        return Credentials(f"key{self.calls}", SECRET, None, self.clock() + 5)


def source_of(issuer):
    return CredentialSource(issuer, "the issuer", clock=issuer.clock)


@pytest.mark.parametrize(("after", "calls"), [(0, 1), (3.2, 1), (3.4, 2), (5, 2), (60, 2)])
def test_credentials_are_renewed_when_a_third_of_their_life_is_left(after, calls):
    issuer = Issuer(Clock())
    source = source_of(issuer)
    source.get()
    issuer.clock.now += after
    assert source.get().key == f"key{calls}"
    assert issuer.calls == calls


def test_those_of_an_hour_are_renewed_five_minutes_before():
    clock = Clock()
    ends = [clock.now + 3600, clock.now + 7200]
    source = CredentialSource(
        lambda: Credentials("k", SECRET, None, ends.pop(0)), "it", clock=clock
    )
    source.get()
    clock.now += 3299
    assert source.peek() is not None
    clock.now += 2
    assert source.peek() is None
    source.get()
    assert ends == []


def test_two_hundred_threads_make_one_call_for_each_expiry():
    issuer = Issuer(Clock(), pause=0.05)
    source = source_of(issuer)
    together = threading.Barrier(200)

    def ask(_):
        together.wait()
        return source.get().key

    with concurrent.futures.ThreadPoolExecutor(200) as pool:
        for expiry in range(1, 4):
            assert set(pool.map(ask, range(200))) == {f"key{expiry}"}
            assert issuer.calls == expiry
            issuer.clock.now += 6


def test_who_asks_while_they_are_renewed_does_not_wait_for_it():
    begun, go_on = threading.Event(), threading.Event()
    clock = Clock()
    calls = []

    def fetch():
        calls.append(1)
        if len(calls) > 1:
            begun.set()
            go_on.wait(10)
        return Credentials(f"key{len(calls)}", SECRET, None, clock() + 5)

    source = CredentialSource(fetch, "it", clock=clock)
    source.get()
    clock.now += 4
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        renewing = pool.submit(source.get)
        assert begun.wait(10)
        assert source.get().key == "key1"
        go_on.set()
        assert renewing.result().key == "key2"


def test_a_renewal_that_fails_keeps_the_old_ones_until_they_end():
    issuer = Issuer(Clock())
    source = source_of(issuer)
    source.get()
    issuer.error = ConnectionError("the issuer is away")
    issuer.clock.now += 4
    assert source.get().key == "key1"
    assert issuer.calls == 2
    assert source.get().key == "key1"
    assert issuer.calls == 2, "not at every request"
    issuer.clock.now += 0.5
    assert source.get().key == "key1"
    assert issuer.calls == 3
    issuer.clock.now += 1
    with pytest.raises(ConnectionError, match="the issuer is away"):
        source.get()
    issuer.error = None
    assert source.get().key == "key5"


def test_of_many_who_wait_one_is_refused_and_all_hear_it():
    issuer = Issuer(Clock(), pause=0.2)
    issuer.error = PermissionError(13, "no")
    source = source_of(issuer)
    together = threading.Barrier(50)

    def ask(_):
        together.wait()
        with pytest.raises(PermissionError, match="no"):
            source.get()

    with concurrent.futures.ThreadPoolExecutor(50) as pool:
        list(pool.map(ask, range(50)))
    assert issuer.calls == 1


def test_credentials_that_have_ended_already_are_told():
    source = CredentialSource(lambda: Credentials("k", SECRET, None, 1.0), "the issuer")
    with pytest.raises(PermissionError, match=r"the issuer.*have ended.*1970.*clocks"):
        source.get()


def test_nothing_is_shown_and_nothing_is_pickled():
    source = source_of(Issuer(Clock()))
    found = source.get()
    assert SECRET not in repr((source, found, str(found)))
    for each in (source, found):
        with pytest.raises(TypeError, match=r"not pickled|cannot be pickled") as caught:
            pickle.dumps(each)
        assert SECRET not in str(caught.value)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_asks_by_itself_while_its_parent_is_asking():
    begun, go_on = threading.Event(), threading.Event()
    parent = os.getpid()

    def fetch():
        if os.getpid() == parent:
            begun.set()
            go_on.wait(10)
        return Credentials("k", SECRET)

    source = CredentialSource(fetch, "it")
    thread = threading.Thread(target=source.get)
    thread.start()
    assert begun.wait(10)
    child = os.fork()
    if child == 0:
        os._exit(0 if source.get().key == "k" else 1)
    deadline = time.monotonic() + 10
    while (done := os.waitpid(child, os.WNOHANG)) == (0, 0) and time.monotonic() < deadline:
        time.sleep(0.02)
    if done == (0, 0):
        os.kill(child, 9)
        os.waitpid(child, 0)
    go_on.set()
    thread.join()
    assert done == (child, 0)


# -- the broker -----------------------------------------------------------------------------------


def granted(number, lifetime=3600.0, **changed):
    ends = datetime.now(UTC) + timedelta(seconds=lifetime)
    grant = {
        "AccessKeyId": f"ASIA{number}",
        "SecretAccessKey": SECRET,
        "SessionToken": f"token{number}",
        "Expiration": ends.isoformat().replace("+00:00", "Z"),
        "S3Folder": "s3://team-files/team-1/",
    }
    grant.update(changed)
    return json.dumps({name: value for name, value in grant.items() if value is not None}).encode()


class BrokerServer:
    """A broker that can be told what to answer, and a store that notes who asks."""

    def __init__(self):
        self.asked = []
        self.say = lambda number: Answer(200, granted(number))

    def broker(self, request):
        self.asked.append(request)
        return self.say(len(self.asked))

    @staticmethod
    def store(request):
        headers = (
            ("ETag", '"900150983cd24fb0d6963f7d28e17f72"'),
            ("Content-Range", "bytes 0-2/3"),
            ("Last-Modified", "Sun, 29 Nov 2026 05:00:00 GMT"),
        )
        if request.method != "GET":
            return Answer(200, b"", headers[:1])
        return Answer(206 if "Range" in request.headers else 200, b"abc", headers)


@pytest.fixture
def broker():
    found = BrokerServer()
    with AnswerServer(found.broker) as server, AnswerServer(found.store) as store:
        found.url, found.store_url, found.requests = server.url, store.url, store.requests
        yield found


def mount_of(broker, **options):
    storage = StorageManager()
    config = {
        "name": "store",
        "type": "s3",
        "endpoint_url": broker.store_url,
        "region": "eu-west-1",
        "credentials_url": f"{broker.url}/grant?team=1",
        "credentials_url_secret": "known-by-this",
        "engine": "fsspec",
        "retries": 0,
        "timeout": 5,
    }
    storage.configure([{**config, **options}])
    return storage


def client_of(storage):
    return storage.node("store:")._mount.backend._store.client


def read(storage, engine):
    """By the SDK alone, or by obstore alone."""
    if engine == "sdk":
        return storage.node("store:a.txt").read_bytes()
    client = client_of(storage)
    key = f"{client.root.prefix}/a.txt".lstrip("/")
    store = make_store(client.options, client.place, client.source.for_obstore)
    return bytes(obstore.get(store, key).bytes())


@pytest.mark.parametrize("engine", ENGINES)
def test_a_broker_gives_credentials_bucket_and_prefix(broker, engine):
    with mount_of(broker) as storage:
        node = storage.node("store:a.txt")
        assert node.capabilities.write
        assert broker.asked == [], "configuring asks nobody"
        for _ in range(3):
            assert read(storage, engine) == b"abc"
    (asked,) = broker.asked
    assert (asked.method, asked.path) == ("POST", "/grant?team=1")
    assert asked.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert parse_qs(asked.body.decode()) == {"secret": ["known-by-this"]}
    for request in broker.requests:
        sent = {name.lower(): value for name, value in request.headers.items()}
        assert request.path == "/team-files/team-1/a.txt"
        assert "Credential=ASIA1/" in sent["authorization"]
        assert sent["x-amz-security-token"] == "token1"


def test_who_comes_while_another_thread_learns_the_folder_works_in_it_too(broker):
    """As if that thread knew the bucket, and had not come to the prefix yet."""
    with mount_of(broker) as storage:
        client = client_of(storage)
        client._connected()
        assert client.options.bucket == "team-files"
        assert storage.node("store:a.txt").read_bytes() == b"abc"
    assert {request.path for request in broker.requests} == {"/team-files/team-1/a.txt"}


@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES)
def test_short_lived_credentials_are_renewed_in_time_by_both_clients(broker, engine):
    """Every request is signed with some that are good when it arrives, and not for a moment only.

    They are renewed when two of their six seconds are left; of these a busy machine may take one and
    a half.
    """
    ends = {}

    def say(number):
        body = granted(number, lifetime=6.0)
        grant = json.loads(body)
        ends[grant["AccessKeyId"]] = datetime.fromisoformat(grant["Expiration"]).timestamp()
        return Answer(200, body)

    broker.say = say
    used = {}
    with mount_of(broker) as storage:
        if engine == "obstore":
            client = client_of(storage)
            _ = client.root
            store = make_store(client.options, client.place, client.source.for_obstore)
            step = lambda: obstore.get(store, "team-1/a.txt").bytes()  # noqa: E731
        else:
            step = storage.node("store:a.txt").read_bytes
        deadline = time.monotonic() + 120
        while len(used) < 3:
            assert time.monotonic() < deadline, "they are not renewed"
            step()
            request = broker.requests[-1]
            key = request.headers["Authorization"].split("Credential=")[1].split("/")[0]
            used[key] = request.arrived  # in the end, when it was used for the last time
            time.sleep(0.02)
    left = [ends[key] - arrived for key, arrived in used.items()]
    assert min(left) > 0.5, left
    assert len(broker.asked) <= len(used) + 1


def test_a_broker_precedes_keys_that_stayed_where_they_were(broker):
    with mount_of(broker, key="AKIA", secret="x") as storage:
        read(storage, "sdk")
        read(storage, "obstore")
    for request in broker.requests:
        assert "Credential=ASIA1/" in str(request.headers)


def test_two_mounts_of_one_folder_are_recognised_once_it_is_known(broker):
    with mount_of(broker) as storage:
        storage.add_mount(
            {
                "name": "plain",
                "type": "s3",
                "endpoint_url": broker.store_url,
                "bucket": "team-files",
                "key": "k",
                "secret": "s",
            }
        )
        here, there = storage.node("store:a"), storage.node("plain:team-1/a")
        assert not here.samefile(there), "another tenant may have a bucket of that name"
        assert here.samefile(storage.node("store:a"))


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        (Answer(403), StoragePermissionError, "credentials_url_secret"),
        (
            Answer(302, b"", (("Location", "http://127.0.0.1:1/"),)),
            StoragePermissionError,
            "elsewhere",
        ),
        (Answer(404), StoragePermissionError, "404.*credentials_url"),
        (Answer(500), StorageError, "failed.*500"),
        (Answer(200, b"<html>" + SECRET.encode()), StorageError, "no JSON object"),
        (Answer(200, b"x" * 70000), StorageError, "64 KiB"),
        (Answer(200, b"[" * 50000), StorageError, "no JSON object"),
        (Answer(200, granted(1, AccessKeyId=None)), StorageError, "no AccessKeyId"),
        (Answer(200, granted(1, SecretAccessKey=7)), StorageError, "no SecretAccessKey"),
        (Answer(200, granted(1, SessionToken=[SECRET])), StorageError, "SessionToken"),
        (Answer(200, granted(1, Expiration="soon")), StorageError, "Expiration.*23Z"),
        (Answer(200, granted(1, Expiration="2099-01-01T00:00:00")), StorageError, "time zone"),
        (Answer(200, granted(1, lifetime=-5)), StoragePermissionError, "ended.*clocks"),
        (Answer(200, granted(1, S3Folder=None)), StorageError, "no S3Folder"),
        (Answer(200, granted(1, S3Folder="gs://b/x")), StorageError, "S3Folder.*s3://"),
        (Answer(200, granted(1, S3Folder="s3://b/a/../x")), StorageError, "S3Folder"),
    ],
)
def test_a_broker_that_answers_otherwise(broker, given, error, message):
    broker.say = lambda number: given
    with mount_of(broker) as storage:
        with pytest.raises(error, match=f"(?s)store:a.txt.*{message}") as caught:
            read(storage, "sdk")
        said = str(caught.value) + repr(caught.value.__cause__)
        assert SECRET not in said and "known-by-this" not in said and "team=1" not in said
    assert broker.requests == []


@pytest.mark.slow
def test_a_broker_that_names_another_folder_later_moves_nothing(broker):
    broker.say = lambda number: Answer(
        200, granted(number, lifetime=3.0, S3Folder=f"s3://team-files/team-{number}/")
    )
    with mount_of(broker) as storage:
        read(storage, "sdk")
        deadline = time.monotonic() + 10
        with pytest.raises(StoragePermissionError, match=r"team-1 to s3://team-files/team-\d"):
            while time.monotonic() < deadline:
                read(storage, "sdk")
                time.sleep(0.05)
    assert {request.path for request in broker.requests} == {"/team-files/team-1/a.txt"}


def test_a_broker_that_is_away_is_bounded_and_named(broker):
    with mount_of(broker, credentials_url="http://127.0.0.1:9/grant?x=hidden") as storage:
        with pytest.raises(
            StorageError, match=r"http://127\.0\.0\.1:9/grant cannot be reached"
        ) as caught:
            read(storage, "sdk")
        assert "hidden" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bucket": "b"}, "'bucket' and 'credentials_url'"),
        ({"prefix": "p"}, "'prefix' and 'credentials_url'"),
        ({"credentials_url_secret": None}, "belong together"),
        ({"credentials_url": None, "bucket": "b"}, "belong together"),
        ({"credentials_url": "http://broker.example.org/"}, "https://.*allow_http"),
        ({"credentials_url": f"https://u:{SECRET}@broker/"}, "credentials_url_secret"),
        ({"credentials_url": "broker"}, "no URL"),
        ({"anon": True}, "exclude each other"),
        ({"profile": "work"}, "exclude each other"),
    ],
)
def test_what_a_broker_does_not_go_with(broker, options, message):
    with pytest.raises(StorageConfigError, match=message) as caught:
        mount_of(broker, **options)
    assert SECRET not in str(caught.value)


def test_an_answer_without_a_token_is_a_pair_of_keys():
    found, spot = read_answer(granted(1, SessionToken=None, S3Folder="s3://b"))
    assert (found.key, found.token, spot.bucket, spot.prefix) == ("ASIA1", None, "b", "")


# -- a provider in code ---------------------------------------------------------------------------


def fixed():
    return {
        "access_key_id": "PROVIDED",
        "secret_access_key": SECRET,
        "token": "t",
        "expires_at": None,
    }


async def later():
    await asyncio.sleep(0.01)
    return fixed()


class Provider:
    def __call__(self):
        return fixed()


instance = Provider()


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    "provider",
    [fixed, later, Provider(), lambda: fixed(), f"{__name__}:fixed", f"{__name__}:later",
     f"{__name__}:Provider", f"{__name__}:instance"],
    ids=["function", "coroutine", "object", "lambda", "name", "async name", "class", "object's name"],
)  # fmt: skip
def test_a_provider_signs_the_requests_of_both_clients(broker, engine, provider):
    with provided(broker, provider) as storage:
        assert read(storage, engine) == b"abc"
    assert all("Credential=PROVIDED/" in str(request.headers) for request in broker.requests)
    assert broker.requests


def provided(broker, provider, **options):
    storage = StorageManager()
    config = {"name": "store", "type": "s3", "endpoint_url": broker.store_url, "bucket": "b"}
    storage.configure(
        [{**config, "credential_provider": provider, "engine": "fsspec", "retries": 0, **options}]
    )
    return storage


def test_other_libraries_get_a_filesystem_that_asks_the_same_source(broker):
    with mount_of(broker) as storage:
        filesystem = storage.fs("store")
        assert filesystem.cat_file("team-files/team-1/a.txt") == b"abc"
        assert len(broker.asked) == 1
    assert "Credential=ASIA1/" in str(broker.requests[-1].headers)


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (None, "returned a NoneType.*access_key_id"),
        ({"access_key_id": "a"}, "no secret_access_key"),
        ({**fixed(), "token": 3}, "token"),
        ({**fixed(), "expires_at": "soon"}, "no datetime"),
        ({**fixed(), "expires_at": datetime(2099, 1, 1)}, "time zone.*datetime.now"),  # noqa: DTZ001
    ],
)
def test_what_a_provider_may_not_return(returned, message):
    with pytest.raises(ValueError, match=message) as caught:
        read_credential(returned)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("no_such_module:f", "no module 'no_such_module'"),
        (f"{__name__}:no_such_name", "has no 'no_such_name'"),
        (f"{__name__}:SECRET", "cannot be called"),
    ],
)
def test_a_provider_that_is_not_there_is_told_at_the_first_use(broker, reference, message):
    with provided(broker, reference) as storage, pytest.raises(StorageError, match=message):
        read(storage, "sdk")


@pytest.mark.parametrize("provider", ["no colon", 7, "a:b:c"])
def test_what_is_no_provider(broker, provider):
    with pytest.raises(StorageConfigError, match=r"credential_provider.*module:name"):
        provided(broker, provider)


def test_a_provider_travels_by_its_name(broker):
    with provided(broker, fixed) as storage, pickle.loads(pickle.dumps(storage)) as again:
        assert read(again, "sdk") == b"abc"
    for nameless in (lambda: fixed(), Provider()):
        with provided(broker, nameless) as storage:
            with pytest.raises(
                TypeError, match=r"store.*credential_provider.*module:name"
            ) as caught:
                pickle.dumps(storage)
            assert SECRET not in str(caught.value)


# -- the usual places -----------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ENGINES)
def test_a_profile_is_one_source_for_both(broker, engine, tmp_path, monkeypatch):
    (tmp_path / "credentials").write_text(
        f"[work]\naws_access_key_id = OFPROFILE\naws_secret_access_key = {SECRET}\n"
    )
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "other")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "other")
    with StorageManager() as storage:
        config = {"name": "store", "type": "s3", "bucket": "b", "endpoint_url": broker.store_url}
        storage.configure([{**config, "profile": "work", "engine": "fsspec"}])
        assert read(storage, engine) == b"abc"
    assert all("Credential=OFPROFILE/" in str(each.headers) for each in broker.requests)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_container_and_a_web_identity_are_asked_where_the_mount_says(broker, engine, tmp_path):
    ends = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    asked = []

    def answer(request):
        asked.append(request)
        if request.method == "GET":
            grant = {"AccessKeyId": "OFCONTAINER", "SecretAccessKey": SECRET, "Token": "t"}
            return Answer(200, json.dumps({**grant, "Expiration": ends}).encode())
        body = (
            "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials>"
            f"<AccessKeyId>OFROLE</AccessKeyId><SecretAccessKey>{SECRET}</SecretAccessKey>"
            f"<SessionToken>t</SessionToken><Expiration>{ends}</Expiration></Credentials>"
            "</AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"
        )
        return Answer(200, body.encode(), (("Content-Type", "text/xml"),))

    token = tmp_path / "token"
    token.write_text("who-we-are")
    ways = {
        "OFCONTAINER": lambda url: {
            "container_credentials_full_uri": f"{url}/creds",
            "container_authorization_token_file": str(token),
        },
        "OFROLE": lambda url: {
            "web_identity_token_file": str(token),
            "role_arn": "arn:aws:iam::123456789012:role/reader",
            "role_session_name": "tests",
            "endpoint_url_sts": url,
            "region": "eu-west-1",
        },
    }
    for key, way in ways.items():
        with AnswerServer(answer) as server, StorageManager() as storage:
            config = {"name": "store", "type": "s3", "bucket": "b", "engine": "fsspec"}
            storage.configure([{**config, "endpoint_url": broker.store_url, **way(server.url)}])
            assert read(storage, engine) == b"abc"
        assert f"Credential={key}/" in str(broker.requests[-1].headers)
    assert asked[0].headers["Authorization"] == "who-we-are"
    form = parse_qs(asked[1].body.decode())
    assert (form["WebIdentityToken"], form["RoleSessionName"]) == (["who-we-are"], ["tests"])


def test_no_credentials_anywhere_is_told(broker, monkeypatch, tmp_path):
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    with StorageManager() as storage:
        config = {"name": "store", "type": "s3", "bucket": "b", "endpoint_url": broker.store_url}
        storage.configure([config])
        with pytest.raises(StoragePermissionError, match="no credentials were found; give 'key'"):
            read(storage, "sdk")


@pytest.mark.parametrize("engine", ["fsspec", "obstore"])
def test_credentials_that_the_server_calls_ended_are_fetched_anew(broker, engine):
    """The clock of a server may be ahead: a request is tried again with others, and no more."""
    over = (
        b"<Error><Code>ExpiredToken</Code><Message>over</Message></Error>",
        (("Content-Type", "application/xml"),),
    )
    real = broker.store

    def store(request):
        if "list-type" in request.path:
            return Answer(
                200, b"<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>"
            )
        if request.method == "HEAD":
            return Answer(404)
        return Answer(400, *over) if "Credential=ASIA1/" in str(request.headers) else real(request)

    with AnswerServer(store) as server:
        with mount_of(broker, endpoint_url=server.url, retries=1, engine=engine) as storage:
            storage.node("store:a.txt").write_bytes(b"abc")
            with storage.node("store:b.txt").open("xb") as stream:
                stream.write(b"abc")
        puts = [request for request in server.requests if request.method == "PUT"]
        refused = [each for each in puts if "Credential=ASIA1/" in str(each.headers)]
        # obstore is refused, then the SDK; and obstore once more within a tenth of a second.
        assert len(refused) <= (1 if engine == "fsspec" else 3)
        assert [put.path[-5:] for put in puts if put not in refused] == ["a.txt", "b.txt"]
    assert len(broker.asked) == 2
    with AnswerServer(lambda request: Answer(400, *over)) as server, StorageManager() as storage:
        config = {"name": "store", "type": "s3", "bucket": "b", "endpoint_url": server.url}
        storage.configure([{**config, "key": "k", "secret": "s", "token": "t"}])
        with pytest.raises(StoragePermissionError, match="token has expired"):
            storage.node("store:a.txt").write_bytes(b"abc")
        assert len(server.requests) == 1
