"""What is peculiar to Azure Blob Storage, on azurite, which checks keys and signatures."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import itertools
import json
import re
import subprocess
import sys
import traceback
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta

import pytest

from genro_storage import StorageManager
from genro_storage.backends.azure import AzureOptions
from genro_storage.exceptions import (
    StorageConfigError,
    StorageConnectionError,
    StorageError,
    StorageExistsError,
    StorageIOError,
    StorageIsDirectoryError,
    StorageNotFoundError,
    StoragePermissionError,
    StorageTimeoutError,
    StorageValueError,
)
from genro_storage.testing.concurrency import together
from tests.services.answers import Answer, AnswerServer
from tests.services.interrupted import within

pytestmark = pytest.mark.services

_MIB = 1024 * 1024
_KEY = base64.b64encode(b"another key " * 4).decode()


@pytest.fixture
def storage(azure):
    with StorageManager() as manager:
        manager.configure([{"name": "az", **azure.mount(), "timeout": 20, "retries": 1}])
        yield manager


@pytest.fixture
def root(storage):
    return storage.node("az:")


def _key(root, name: str) -> str:
    return str(root._mount._at("")[0]._full(name))


def _signature(azure, permission: str, ends: timedelta = timedelta(hours=1)) -> str:
    from azure.storage.blob import ContainerSasPermissions, generate_container_sas

    return str(
        generate_container_sas(
            azure.account,
            azure.container,
            account_key=azure.key,
            permission=ContainerSasPermissions.from_string(permission),
            expiry=datetime.now(UTC) + ends,
        )
    )


def _with(azure, storage, root, **credentials: object):
    """The same place, seen with other credentials."""
    config = {
        "name": "other", "type": "azure", "container": azure.container,
        "account_name": azure.account, "endpoint_url": azure.url(), "base_path": _key(root, ""),
        "timeout": 20, "retries": 0,
    }  # fmt: skip
    storage.add_mount({**config, **credentials})
    return storage.node("other:")


def _every_verb(node):
    return (
        node.read_bytes,
        lambda: node.open("rb"),
        lambda: node.exists,
        lambda: node.size,
        lambda: node.write_bytes(b"x"),
        lambda: node._mount.write_bytes(node._path, b"x", if_absent=True),
        lambda: list(node.parent.children()),
        lambda: list(node._mount.find("")),
        lambda: node._mount.remove_many(["a", "b"]),
        node._mount.check,
    )


# -- configuration ----------------------------------------------------------------------------


def test_the_older_names_of_keys_are_taken():
    options = AzureOptions.model_validate(
        {"container": "c", "account_name": "a", "prefix": "/x//y/", "account_host": "h:1/a"}
    )
    assert (options.base_path, options.endpoint_url) == ("x/y", "https://h:1/a")


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({}, "container"),
        ({"container": "c"}, "account_name"),
        ({"container": "c/d", "account_name": "a"}, "base_path"),
        ({"container": "c", "account_name": "a", "account_key": "not base64!"}, "base64"),
        ({"container": "c", "account_name": "a", "sas_token": "s3cret"}, "sig="),
        (
            {"container": "c", "account_name": "a", "sas_token": "sig=s3cret", "account_key": _KEY},
            "'account_key' and 'sas_token'",
        ),
        ({"container": "c", "account_name": "a", "account_key": _KEY, "anon": True}, "'anon'"),
        ({"container": "c", "connection_string": "s3cret"}, "NAME=VALUE"),
        ({"container": "c", "connection_string": "UseDevelopmentStorage=true"}, "emulator"),
        ({"container": "c", "connection_string": "AccountKey=s3cret!"}, "base64"),
        (
            {"container": "c", "account_name": "b", "connection_string": "AccountName=a"},
            "connection string",
        ),
        ({"container": "c", "account_name": "a", "endpoint_url": "https://h/?sig=s3cret"}, "sas_"),
        ({"container": "c", "endpoint_url": "https://h", "account_key": _KEY}, "account_name"),
        ({"container": "c", "account_name": "a", "timeout": 0}, "timeout"),
        (
            {"container": "c", "account_name": "a", "endpoint_url": "https://h:70000"},
            "endpoint_url",
        ),
        ({"container": "c", "endpoint_url": "https://[::1"}, "endpoint_url"),
        (
            {"container": "c", "connection_string": "BlobEndpoint=ftp://h"},
            "https://host:10000/account",
        ),
    ],
)
def test_a_wrong_configuration_says_what_is_wrong(config, said):
    with StorageManager() as manager:
        with pytest.raises(StorageConfigError, match=said) as caught:
            manager.configure([{"name": "az", "type": "azure", **config}])
        assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("config", "endpoint", "signs"),
    [
        ({"account_name": "a", "account_key": _KEY}, "https://a.blob.core.windows.net", True),
        ({"account_name": "a", "sas_token": "?sig=x"}, "https://a.blob.core.windows.net", False),
        ({"account_name": "a", "anon": True}, "https://a.blob.core.windows.net", False),
        ({"account_name": "a"}, "https://a.blob.core.windows.net", False),
        (
            {"connection_string": f"AccountName=a;AccountKey={_KEY};EndpointSuffix=core.chinacloudapi.cn"},
            "https://a.blob.core.chinacloudapi.cn",
            True,
        ),
        (
            {"connection_string": "BlobEndpoint=http://h:1/a/;SharedAccessSignature=sig=x"},
            "http://h:1/a",
            False,
        ),
    ],
)  # fmt: skip
def test_what_a_mount_can_do_is_known_before_it_connects(config, endpoint, signs, monkeypatch):
    for name in ("ACCOUNT_KEY", "SAS_TOKEN", "CONNECTION_STRING", "ACCOUNT_NAME"):
        monkeypatch.delenv(f"AZURE_STORAGE_{name}", raising=False)
    with StorageManager() as manager:
        manager.configure([{"name": "az", "type": "azure", "container": "c", **config}])
        node = manager.node("az:a.txt")
        found = node.capabilities
        assert found.presigned_urls == signs
        assert found.atomic_operations and found.copy_optimization
        # Not every blob has a digest, and only append blobs can be appended to.
        assert not (found.append_mode or found.mkdir or found.hash_on_metadata)
        assert node._mount._at("")[0].address("x") == (("azure", endpoint, "c"), "x")
        url = node.url()
        assert (url is not None and url.startswith(f"{endpoint}/c/a.txt?")) == signs


def test_an_account_is_one_in_whatever_letters():
    """Taken for two, a file that is moved from one to the other would be deleted."""
    spellings = [
        {"account_name": "Company"},
        {"account_name": "company"},
        {"connection_string": "BlobEndpoint=https://COMPANY.blob.core.windows.net/"},
    ]
    with StorageManager() as manager:
        for number, spelling in enumerate(spellings):
            mount = {"name": f"m{number}", "type": "azure", "container": "c", **spelling}
            manager.add_mount(mount)
        for number in (1, 2):
            assert manager.node("m0:a").samefile(f"m{number}:a")


def test_the_environment_gives_credentials_that_the_configuration_does_not(monkeypatch):
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "env")
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", _KEY)
    mounts = [
        {"name": "az1", "container": "c"},
        {"name": "az2", "container": "c", "account_name": "own", "sas_token": "sig=x"},
        {"name": "az3", "container": "c", "anon": True},
    ]
    with StorageManager() as manager:
        manager.configure([{"type": "azure", **mount} for mount in mounts])
        signing = [manager.node(f"az{n}:").capabilities.presigned_urls for n in (1, 2, 3)]
        assert signing == [True, False, False]
        store, _ = manager.node("az2:")._mount._at("")[0].address("x")
        assert store == ("azure", "https://own.blob.core.windows.net", "c")


def test_configuring_imports_no_client_and_connects_to_nothing():
    code = (
        "import sys; from genro_storage import StorageManager; m = StorageManager();"
        f"m.configure([{{'name': 'a', 'type': 'azure', 'container': 'c', 'account_name': 'n', 'account_key': '{_KEY}'}}]);"
        "m.node('a:').capabilities; m.close();"
        "print([n for n in ('azure.core', 'azure.identity', 'requests', 'adlfs') if n in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


@pytest.mark.parametrize("module", ["azure.storage.blob", "azure.identity"])
def test_a_missing_extra_is_named_at_the_first_use(module):
    code = (
        f"import sys; sys.modules[{module!r}] = None\n"
        "from genro_storage import StorageManager\n"
        "from genro_storage.exceptions import StorageMissingExtraError\n"
        "m = StorageManager()\n"
        "m.configure([{'name': 'a', 'type': 'azure', 'container': 'c', 'account_name': 'n'}])\n"
        "try: m.node('a:a').exists\n"
        "except StorageMissingExtraError as error: print(error)\n"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "mount 'a' (azure)" in found.stdout
    assert 'pip install "genro-storage[azure]"' in found.stdout


def test_no_secret_is_shown():
    options = AzureOptions.model_validate(
        {"container": "c", "account_name": "a", "sas_token": "sig=s3cret"}
    )
    assert "s3cret" not in f"{options!r} {options} {options.model_dump()}"


# -- credentials ------------------------------------------------------------------------------


def test_a_wrong_key_is_a_refusal_and_not_missing(azure, storage, root):
    node = _with(azure, storage, root, account_key=_KEY) / "a.txt"
    for step in _every_verb(node):
        with pytest.raises(StoragePermissionError, match="other:") as caught:
            step()
        assert "'account_key'" in str(caught.value)
        assert _KEY not in str(caught.value)


@pytest.mark.parametrize("fault", ["ended", "tampered"])
def test_a_signature_that_is_no_good_is_a_refusal_and_stays_secret(azure, storage, root, fault):
    if fault == "ended":
        token = _signature(azure, "racwdl", timedelta(hours=-1))
    else:
        token = _signature(azure, "r").replace("sp=r", "sp=racwdl")
    node = _with(azure, storage, root, sas_token=token) / "a.txt"
    secret = token.partition("sig=")[2].partition("&")[0]
    for step in _every_verb(node):
        with pytest.raises(StoragePermissionError, match="other:") as caught:
            step()
        assert "'sas_token'" in str(caught.value)
        assert secret not in "".join(traceback.format_exception(caught.value))


def test_a_signature_stays_secret_where_nobody_answers(azure, storage, root):
    token = _signature(azure, "rl")
    node = _with(azure, storage, root, sas_token=token, endpoint_url="http://127.0.0.1:1/a") / "a"
    for step in _every_verb(node):
        with pytest.raises(StorageConnectionError, match="other:") as caught:
            step()
        assert "sig=" not in "".join(traceback.format_exception(caught.value))


def test_a_signature_opens_what_it_allows(azure, storage, root):
    (root / "d/a.txt").write_bytes(b"content")
    other = _with(azure, storage, root, sas_token="?" + _signature(azure, "rl"))
    assert (other / "d/a.txt").read_bytes() == b"content"
    assert [info.path for info in other._mount.find("")] == ["d", "d/a.txt"]
    for step in (lambda: (other / "b").write_bytes(b""), (other / "d/a.txt").delete):
        with pytest.raises(StoragePermissionError, match="'sas_token'"):
            step()
    full = _with(azure, storage, root, sas_token=_signature(azure, "racwdl"))
    (full / "b").write_bytes(b"1")
    (full / "b").copy_to(full / "c")
    full._mount.remove_many(["b", "c", "no such"])
    assert [child.name for child in full.children()] == ["d"]


@pytest.mark.parametrize("step", ["copy", "copy if absent", "move"])
def test_tags_go_along_inside_a_container(root, step):
    for tags in ({"team": "a b", "none": ""}, {}):
        source, target = root / "a", root / "b"
        source.write_bytes(b"x", tags=tags, metadata={"colour": "blue"})
        if step == "copy":
            target.write_bytes(b"before", tags={"old": "1"})
        elif target.exists:
            target.delete()
        if step == "move":
            source.move_to(target)
        else:
            source.copy_to(target, if_absent=step != "copy")
        assert (target.get_tags(), target.read_bytes()) == (tags, b"x")
        assert target.get_metadata() == {"colour": "blue"}


def test_a_copy_without_its_tags_is_made_only_by_whoever_says_so(azure, storage, root):
    (root / "a").write_bytes(b"x", tags={"team": "a"})
    signature = {"sas_token": _signature(azure, "racwdl")}  # without "t", for tags
    other = _with(azure, storage, root, **signature)
    with pytest.raises(StoragePermissionError, match=r"has tags.*`disable_tagging: true`"):
        (other / "a").copy_to(other / "b")
    assert not (root / "b").exists
    other = _with(azure, storage, root, **signature, disable_tagging=True)
    (other / "a").copy_to(other / "b")
    assert (root / "b").read_bytes() == b"x"
    assert (root / "b").get_tags() == {}


def test_a_connection_string_is_enough(azure, storage, root):
    (root / "a.txt").write_bytes(b"content")
    text = (
        f"DefaultEndpointsProtocol=http;AccountName={azure.account};AccountKey={azure.key};"
        f"BlobEndpoint={azure.url()};"
    )
    storage.add_mount({
        "name": "cs", "type": "azure", "container": azure.container, "connection_string": text,
        "base_path": _key(root, ""),
    })  # fmt: skip
    node = storage.node("cs:a.txt")
    assert node.read_bytes() == b"content"
    assert node._mount.same_place("a.txt", root._mount, "a.txt")


def test_a_public_container_needs_no_credentials(azure, storage):
    azure.make_container("public-tests", "container")
    with azure.client("public-tests") as client:
        client.upload_blob("a.txt", b"for all", overwrite=True)
    config = {"type": "azure", "account_name": azure.account, "endpoint_url": azure.url()}
    storage.add_mount({**config, "name": "public", "container": "public-tests", "anon": True})
    node = storage.node("public:a.txt")
    assert node.read_bytes() == b"for all"
    assert [child.name for child in node.parent.children()] == ["a.txt"]
    with pytest.raises(StoragePermissionError, match="public:"):
        node.write_bytes(b"")
    storage.add_mount({**config, "name": "private", "container": azure.container, "anon": True})
    with pytest.raises(StoragePermissionError, match="'account_key' or 'sas_token'"):
        storage.node("private:a.txt").read_bytes()


@pytest.mark.parametrize(
    ("status", "code", "expected", "reads", "looks"),
    [
        (503, "ServerBusy", StorageConnectionError, 3, 3),
        (500, "InternalError", StorageConnectionError, 3, 3),
        (429, "TooManyRequests", StorageConnectionError, 3, 3),
        # Why a look was refused only Microsoft's client sees, which is then asked.
        (403, "AuthorizationPermissionMismatch", StoragePermissionError, 1, 2),
        (409, "BlobArchived", StoragePermissionError, 1, 2),
    ],
)
def test_retries_are_the_ones_that_were_asked_for(status, code, expected, reads, looks):
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>m</Message></Error>"
    answer = Answer(
        status, body.encode(), (("Content-Type", "application/xml"), ("x-ms-error-code", code))
    )
    with AnswerServer(lambda _: answer) as server, StorageManager() as manager:
        manager.configure([{
            "name": "az", "type": "azure", "container": "c", "account_name": "a",
            "account_key": _KEY, "endpoint_url": f"{server.url}/a", "timeout": 5, "retries": 2,
        }])  # fmt: skip
        node = manager.node("az:a")
        for step, requests in ((node.read_bytes, reads), (lambda: node.exists, looks)):
            server.requests.clear()
            # No HEAD has the code of a server that has no time.
            said = code if requests in (1, 2) or step == node.read_bytes else f"status {status}"
            with pytest.raises(expected, match=said):
                step()
            assert len(server.requests) == requests


def test_a_missing_container_is_said_by_every_verb(azure, storage, root):
    node = _with(azure, storage, root, container="no-such", account_key=azure.key) / "d/a.txt"
    steps = [
        node.read_bytes,
        lambda: node.open("rb"),
        node.stat,
        lambda: node.write_bytes(b"x"),
        lambda: node.write_bytes(bytes(9 * _MIB)),
        lambda: list(node.parent.children()),
        lambda: list(node._mount.find("")),
        storage.node("other:").stat,
        node._mount.check,
    ]
    for step in steps:
        with pytest.raises(StorageNotFoundError, match="other:") as caught:
            step()
        assert "the container 'no-such' does not exist" in str(caught.value)
        assert "'container'" in str(caught.value)


# -- names ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["a\\b", "dot.", "d./x", "...", "a\nb", "tab\t", "\x7f", "n" * 1000, "/".join("d" * 260)],
)
def test_a_name_that_would_become_another_is_refused_before_anything_is_written(root, name):
    with pytest.raises(StorageValueError):
        (root / name).write_bytes(b"x")
    (root / "there").write_bytes(b"x")
    with pytest.raises(StorageValueError):
        (root / "there").copy_to(root / name)
    assert [child.name for child in root.children()] == ["there"]


# -- digests, blocks, folders -----------------------------------------------------------------


def test_every_upload_has_a_digest_and_foreign_blobs_may_have_none(azure, root, tmp_path):
    large = bytes(range(256)) * (17 * _MIB // 256)
    (tmp_path / "large").write_bytes(large)
    (root / "small").write_bytes(b"small")
    with (root / "streamed").open("wb") as stream:
        stream.write(b"small")
    root._mount.upload(tmp_path / "large", "large")
    (root / "large").copy_to(root / "copied")
    for name, data in (("small", b"small"), ("streamed", b"small"), ("large", large),
                       ("copied", large)):  # fmt: skip
        expected = ("md5", hashlib.md5(data).hexdigest())
        assert root._mount.checksum((root / name).stat()) == expected
    from azure.storage.blob import BlobBlock

    with azure.client() as client, client.get_blob_client(_key(root, "foreign")) as blob:
        blob.stage_block("YQ==", b"foreign")
        blob.commit_block_list([BlobBlock("YQ==")])
    node = root / "foreign"
    assert root._mount.checksum(node.stat()) is None
    assert node.md5hash == hashlib.md5(b"foreign").hexdigest()


def test_large_writes_that_meet_are_each_whole(root):
    node = root / "contended.bin"
    contents = [bytes([number]) * (9 * _MIB) for number in range(8)]

    def work(number: int) -> None:
        if number < 3:
            try:
                node.write_bytes(contents[number])
            except StorageError as error:
                assert "another writer" in str(error)  # after all its attempts

    together(work)
    assert node.read_bytes() in contents


def test_a_large_creation_is_exclusive(root):
    node = root / "a.bin"
    node.write_bytes(b"first")
    backend, path = node._mount._at("a.bin")
    with pytest.raises(FileExistsError):
        backend._put(bytes(9 * _MIB), backend._full(path), {"mode": "create"})
    with pytest.raises(StorageExistsError):
        node._mount.write_bytes("a.bin", bytes(9 * _MIB), if_absent=True)
    assert node.read_bytes() == b"first"


def test_an_upload_that_moves_on_may_take_longer_than_the_timeout():
    answer = Answer(201, b"", (("ETag", '"1"'), ("Last-Modified", "Fri, 20 Nov 2026 16:00:00 GMT")))
    with AnswerServer(lambda _: answer, pause=0.3) as server, StorageManager() as manager:
        manager.configure([{
            "name": "az", "type": "azure", "container": "c", "account_name": "a",
            "account_key": _KEY, "endpoint_url": f"{server.url}/a", "timeout": 2, "retries": 0,
        }])  # fmt: skip
        manager.node("az:a").write_bytes(bytes(4 * _MIB))
        (request,) = server.requests
        assert len(request.body) == 4 * _MIB


_WHEN = ("Last-Modified", "Fri, 20 Nov 2026 16:00:00 GMT")


def _copying(progress, name="1"):
    """A service that copies in the background."""
    given = {"x-ms-copy-id": name, "ETag": '"1"', _WHEN[0]: _WHEN[1]}

    def answer(request):
        if "comp=copy" in request.path:
            return Answer(204)
        if request.method == "PUT":
            return Answer(202, b"", (*given.items(), ("x-ms-copy-status", "pending")))
        if request.path.startswith("/a/c/source"):
            return Answer(200, b"", (("ETag", '"1"'), _WHEN))
        state, done = next(progress)
        more = (("x-ms-copy-status", state), ("x-ms-copy-progress", f"{done}/100"))
        return Answer(200, b"", (("x-ms-copy-id", "1"), ("ETag", '"1"'), _WHEN, *more))

    return answer


@pytest.fixture
def copied():
    @contextlib.contextmanager
    def copied(progress, timeout, **more):
        with AnswerServer(_copying(progress, **more)) as server, StorageManager() as manager:
            manager.configure([{
                "name": "az", "type": "azure", "container": "c", "account_name": "a", "retries": 0,
                "account_key": _KEY, "endpoint_url": f"{server.url}/a", "timeout": timeout,
            }])  # fmt: skip
            mount = manager.node("az:")._mount
            yield server, lambda: mount.copy("source", mount, "target")

    return copied


def test_a_copy_in_the_background_may_take_longer_than_the_timeout(copied):
    steps = iter([("pending", done) for done in range(5)] + [("success", 100)])
    with copied(steps, 0.7) as (server, copy):
        copy()
    assert not any("comp=copy" in request.path for request in server.requests)


def test_a_copy_in_the_background_that_stands_still_is_given_up(copied):
    with (
        copied(itertools.repeat(("pending", 3)), 1) as (server, copy),
        within(20),
        pytest.raises(StorageTimeoutError, match=r"az:.*does not go on"),
    ):
        copy()
    assert "comp=copy" in server.requests[-1].path


def test_a_copy_whose_place_another_one_took_has_not_worked(copied):
    with (
        copied(itertools.repeat(("success", 100)), 5, name="2") as (_, copy),
        pytest.raises(StorageIOError, match="replaced"),
    ):
        copy()


def test_an_answer_that_is_none_of_azure_is_no_fault_of_the_caller():
    with AnswerServer(lambda _: Answer(200, b"hello")) as server, StorageManager() as manager:
        manager.configure([{
            "name": "az", "type": "azure", "container": "c", "account_name": "a",
            "account_key": _KEY, "endpoint_url": f"{server.url}/a", "retries": 0,
        }])  # fmt: skip
        with pytest.raises(StorageConnectionError, match=r"az:a.*check 'endpoint_url'"):
            manager.node("az:a").read_bytes()


def test_a_password_of_the_machine_takes_nobodys_place(azure, root, monkeypatch, tmp_path):
    (tmp_path / ".netrc").write_text(
        "machine 127.0.0.1 login u password p\ndefault login u password p\n"
    )
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    (root / "a").write_bytes(b"signed by the account's key")
    with AnswerServer(lambda _: Answer(403)) as server, StorageManager() as manager:
        for credentials in ({"sas_token": "sig=x"}, {"anon": True}):
            manager.configure([{
                "name": "az", "type": "azure", "container": "c", "account_name": "a",
                "endpoint_url": f"{server.url}/a", "retries": 0, **credentials,
            }])  # fmt: skip
            with pytest.raises(StoragePermissionError):
                manager.node("az:a").read_bytes()
            assert "Authorization" not in server.requests[-1].headers


@pytest.mark.parametrize("engine", ["fsspec", "obstore"])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_nothing_is_sent_to_where_a_server_redirects(status, engine):
    with AnswerServer(lambda _: Answer(200, b"another's")) as other:
        to = Answer(status, b"", (("Location", f"http://localhost:{other.port}/x"),))
        with AnswerServer(lambda _: to) as server, StorageManager() as manager:
            manager.configure([{
                "name": "az", "type": "azure", "container": "c", "account_name": "a",
                "account_key": _KEY, "endpoint_url": f"{server.url}/a", "retries": 0,
                "engine": engine,
            }])  # fmt: skip
            node = manager.node("az:a")
            for step in (lambda: node.write_bytes(b"x"), node.read_bytes, lambda: node.exists):
                with pytest.raises(StorageIOError, match=f"az:a.*status {status}"):
                    step()
        if engine == "fsspec":
            assert other.requests == []
        # obstore looks there, cannot be told not to, and shows nobody who we are.
        for request in other.requests:
            assert request.method in ("GET", "HEAD") and not request.body
            assert "authorization" not in {name.lower() for name in request.headers}


def test_a_file_that_changes_while_it_is_uploaded_is_not_stored(root, tmp_path, monkeypatch):
    from genro_storage.backends.object_stores.source import Source

    source = tmp_path / "changing"
    source.write_bytes(bytes(9 * _MIB))
    md5 = Source.md5

    def changed(self):
        found = md5(self)
        with source.open("r+b") as file:
            file.write(b"changed")
        return found

    monkeypatch.setattr(Source, "md5", changed)
    with pytest.raises(StorageIOError, match="changed while it was uploaded"):
        root._mount.upload(source, "a.bin")
    assert root.children() == []


def test_a_folder_of_an_account_that_has_folders_is_a_directory(azure, root):
    with azure.client() as client:
        for name in ("real", "real/inner", "void"):
            client.upload_blob(_key(root, name), b"", metadata={"hdi_isfolder": "true"})
        client.upload_blob(_key(root, "real/inner/f.txt"), b"x")
    assert [(child.name, child.isdir) for child in root.children()] == [
        ("real", True),
        ("void", True),
    ]
    assert (root / "void").isdir and (root / "void").children() == []
    found = [(info.path, info.type) for info in root._mount.find("")]
    assert found == [
        ("real", "directory"),
        ("real/inner", "directory"),
        ("real/inner/f.txt", "file"),
        ("void", "directory"),
    ]
    with pytest.raises(StorageIsDirectoryError):
        (root / "void").read_bytes()
    (root / "void").rmdir()
    (root / "real").delete()
    assert root.children() == []


# -- urls -------------------------------------------------------------------------------------


def test_a_signed_url_serves_the_file_and_nothing_else(root):
    node = root / "d/\u00e4 b#1?+%.txt"
    node.write_bytes(b"served")
    (root / "other").write_bytes(b"private")
    url = node.url(expires_in=60)
    with urllib.request.urlopen(url, timeout=20) as answer:
        assert answer.read() == b"served"
    wrong = [
        url.replace("/d/", "/e/"),
        url.replace("sp=r", "sp=rw"),
        url.partition("?")[0],
        re.sub(r"(?<=[?&]sig=)[^&]*", f"{'x' * 43}%3D", url),
    ]
    assert url not in wrong
    requests = [urllib.request.Request(each) for each in wrong]
    requests.append(
        urllib.request.Request(url, b"x", {"x-ms-blob-type": "BlockBlob"}, method="PUT")
    )
    for request in requests:
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(request, timeout=20)
        assert caught.value.code in (403, 404)
        caught.value.close()
    with pytest.raises(StorageValueError, match="expires_in"):
        node.url(expires_in=-1)
    with pytest.raises(StorageValueError, match="unknown options"):
        node.url(download=True)


def test_what_could_not_be_deleted_is_reported(azure, root):
    names = ["a", "kept", "b"]
    for name in names:
        (root / name).write_bytes(b"x")
    with azure.client() as client, client.get_blob_client(_key(root, "kept")) as blob:
        lease = blob.acquire_lease(15)
        with pytest.raises(StoragePermissionError, match=r"1 of 3 .*'kept'.*locked"):
            root._mount.remove_many(names)
        lease.release()
    assert [child.name for child in root.children()] == ["kept"]


def test_a_manager_with_an_azure_mount_shows_no_secret(azure, storage, root):
    text = json.dumps([repr(storage), repr(root), repr(root._mount._at("")[0])])
    assert azure.key not in text
