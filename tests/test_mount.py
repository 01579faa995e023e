"""The mount is the only door: it checks rights, shrinks them, and speaks the user's words."""

from __future__ import annotations

import asyncio
import concurrent.futures
import errno
import http.client
import io
import itertools
import json
import lzma
import re
import socket
import ssl
import types
import zipfile
import zlib

import pytest

from genro_storage import (
    BackendCapabilities,
    Checksum,
    Descriptor,
    FileInfo,
    StorageError,
    StorageManager,
    StorageNotFoundError,
    StoragePathError,
    StoragePermissionError,
    StorageUnsupportedError,
)
from genro_storage.backends.base import Backend, WriteHandle
from genro_storage.backends.base64 import Base64Backend
from genro_storage.backends.local import LocalBackend
from genro_storage.backends.memory import MemoryBackend
from genro_storage.info import Attributes, Coming, Loaded
from genro_storage.mount import Mount
from genro_storage.uploads import FormTerms, UploadPart, UploadTerms

EVERYTHING = BackendCapabilities(
    **dict.fromkeys(BackendCapabilities.__dataclass_fields__, True)
    | {"readonly": False, "path_is_content": False}
)


def verbs_of(kind):
    ours = [each for each in kind.__mro__ if each.__module__.startswith("genro_storage")]
    return {
        name
        for each in ours
        for name, value in vars(each).items()
        if name[0] != "_" and callable(value)
    }


VERBS = verbs_of(Backend)
TERMS = UploadTerms("text/plain", None, None, 60, False, {})
FORM = FormTerms("text/plain", 0, 1, 60, {})
RIGHTS = ["readonly", "readwrite", "delete"]


def other_of(_mount):
    """A mount of another store, which has the file ``p``."""
    backend = MemoryBackend()
    backend.write_bytes("p", b"x")
    return Mount("o", backend)


#: How a mount reaches each verb of a backend. "p" lies below the prefix of the mount under test.


def upload_open(mount):
    with open(__file__, "rb") as file:
        mount.upload_open(file.fileno(), "p")


#: What an upload that goes on from an earlier one keeps; nobody asks it anything here.
NOTES = None

DOORS = {
    "stat": lambda mount, here: mount.stat("p"),
    "exists": lambda mount, here: mount.exists("p"),
    "scan": lambda mount, here: list(mount.scan("p")),
    "find": lambda mount, here: list(mount.find("p")),
    "find_tree": lambda mount, here: list(mount.find_tree("p")),
    "open_read": lambda mount, here: mount.open_read("p").close(),
    "open_whole": lambda mount, here: mount.open_whole("p").close(),
    "open_write": lambda mount, here: mount.open_write("p").close(),
    "mkdir": lambda mount, here: mount.mkdir("p"),
    "make_parents": lambda mount, here: mount.make_parents("p"),
    "remove": lambda mount, here: mount.remove("p"),
    "remove_tree": lambda mount, here: mount.remove_tree("p"),
    "remove_many": lambda mount, here: mount.remove_many(["p"]),
    "read_bytes": lambda mount, here: mount.read_bytes("p"),
    "write_bytes": lambda mount, here: mount.write_bytes("p", b"x"),
    "download": lambda mount, here: mount.download("p", here / "target"),
    "upload": lambda mount, here: mount.upload(here / "source", "p"),
    "copy": lambda mount, here: mount.copy("p", mount, "q"),
    "load": lambda mount, here: mount.load("p"),
    "load_each": lambda mount, here: [end() for end in mount.load_each(["p"]).ends],
    "probable_checksum": lambda mount, here: mount.probable_checksum(FileInfo("p", "file")),
    "open_local": lambda mount, here: mount.open_local("p"),
    "upload_open": lambda mount, here: upload_open(mount),
    "resume_upload": lambda mount, here: mount.resume_upload(here / "source", "p", NOTES),
    "resume_download": lambda mount, here: mount.resume_download("p", None),
    "open_partial": lambda mount, here: mount.open_partial("p", None),
    "copy_listed": lambda mount, here: mount.copy_listed(FileInfo("p", "file"), mount, "q"),
    "copy_together": lambda mount, here: mount.copy_together(
        "p", [FileInfo("p/n", "file", 1, 1.0)], mount, "q", []
    ),
    "write_together": lambda mount, here: mount.write_together(
        "p", [("n", b"x", Attributes())], bool
    ),
    "folding": lambda mount, here: mount.folding("p"),
    "move": lambda mount, here: mount.move("p", mount, "q"),
    "checksum": lambda mount, here: mount.checksum(FileInfo("p", "file")),
    "versions": lambda mount, here: mount.versions("p"),
    "stat_version": lambda mount, here: mount.stat_version("p", "1"),
    "delete_version": lambda mount, here: mount.delete_version("p", "1"),
    "restore_version": lambda mount, here: mount.restore_version("p", "1"),
    "require_versions": lambda mount, here: mount.require_versions("p"),
    "get_metadata": lambda mount, here: mount.get_metadata("p"),
    "set_metadata": lambda mount, here: mount.set_metadata("p", {"a": "b"}),
    "merge_metadata": lambda mount, here: mount.set_metadata("p", {"a": "b"}, merge=True),
    "try_conditions": lambda mount, here: mount.try_conditions("p", b"x"),
    "get_tags": lambda mount, here: mount.get_tags("p"),
    "set_tags": lambda mount, here: mount.set_tags("p", {"a": "b"}),
    "merge_tags": lambda mount, here: mount.set_tags("p", {"a": "b"}, merge=True),
    "has_content_of": lambda mount, here: mount.has_content_of(
        FileInfo("p", "file", 1, etag="a-1"),
        Mount("l", LocalBackend(here)),
        FileInfo("f", "file", 1),
    ),
    "descriptor": lambda mount, here: mount.descriptor("p"),
    "version_descriptor": lambda mount, here: mount.version_descriptor("p", "1"),
    "write_if_match": lambda mount, here: mount.write_if_match("p", b"x", "etag"),
    "copy_if_absent": lambda mount, here: mount.copy("p", mount, "q", if_absent=True),
    "copies_from": lambda mount, here: other_of(mount).can_copy_to(mount),
    "copy_from": lambda mount, here: other_of(mount).copy("p", mount, "p"),
    "set_mtime": lambda mount, here: mount.set_mtime("p", 1.0),
    "url": lambda mount, here: mount.url("p"),
    "internal_url": lambda mount, here: mount.internal_url("p"),
    "public_url": lambda mount, here: mount.public_url("p"),
    "upload_url": lambda mount, here: mount.upload_url("p", TERMS),
    "upload_form": lambda mount, here: mount.upload_form("p", FORM),
    "upload_session": lambda mount, here: mount.upload_session("p", TERMS, None),
    "begin_upload": lambda mount, here: mount.begin_upload("p", "text/plain", {}, None),
    "sign_part": lambda mount, here: mount.sign_part(
        "p", "id", 1, content_length=None, checksum=None, expires_in=60
    ),
    "upload_parts": lambda mount, here: mount.upload_parts("p", "id"),
    "complete_upload": lambda mount, here: mount.complete_upload(
        "p", "id", None, size=None, if_absent=False
    ),
    "abort_upload": lambda mount, here: mount.abort_upload("p", "id"),
    "local_path": lambda mount, here: mount.local_path("p"),
    "diagnose": lambda mount, here: mount.diagnose(),
    "cleanup": lambda mount, here: mount.cleanup("p", 0.0),
    "address": lambda mount, here: mount.same_place("p", mount, "p"),
    "begin_batch": lambda mount, here: mount.begin_batch(),
    "check": lambda mount, here: mount.check(),
    "filesystem": lambda mount, here: mount.filesystem(),
    "store": lambda mount, here: mount.store(),
    "close": lambda mount, here: mount.close(),
}
#: The verbs that take no single path of the user's, so no message can name one.
PATHLESS = {
    "remove_many", "begin_batch", "check", "diagnose", "filesystem", "store", "close",
    "copies_from", "copy_from",
}  # fmt: skip


class Nothing(WriteHandle):
    def write(self, data):
        return len(data)

    def _commit(self):
        pass

    def _abort(self):
        pass


class Spying(Backend):
    """Answers everything, and notes what it was asked."""

    capabilities = EVERYTHING

    def __init__(self):
        self.calls = []


def _spying(verb):
    answers = {
        "stat": lambda path: FileInfo(path, "file", 0),
        "load_each": lambda paths: Coming([lambda: Loaded(b"", Attributes())] * len(paths), True),
        "scan": lambda path: iter(()),
        "find": lambda path: iter(()),
        "find_tree": lambda path: iter(()),
        "open_read": lambda path, **_: io.BytesIO(),
        "open_whole": lambda path: io.BytesIO(),
        "open_write": lambda path, **_: Nothing(),
        "open_partial": lambda path, name, **_: types.SimpleNamespace(name="n", is_reopened=False),
        "address": lambda path: ("spied", path),
        "checksum": lambda info: Checksum("md5", "0" * 32),
        "descriptor": lambda path: Descriptor(path, "file"),
        "upload_parts": lambda path, upload: [UploadPart(1, "etag", 5)],
        "copies_from": lambda other: True,
    }

    def method(self, *arguments, **options):
        self.calls.append((verb, arguments))
        return answers.get(verb, lambda *_, **__: None)(*arguments, **options)

    return method


class Failing(Backend):
    """Raises the same error from every verb."""

    capabilities = EVERYTHING

    def __init__(self, error):
        self.error = error


def _failing(self, *_arguments, **_options):
    raise self.error


for _verb in VERBS:
    setattr(Spying, _verb, _spying(_verb))
    setattr(Failing, _verb, _failing)
Spying.__abstractmethods__ = Failing.__abstractmethods__ = frozenset()


# -- one door: every verb is reachable, with the path that the user meant -------------------------


def test_there_is_a_door_for_every_verb_of_a_backend():
    assert set(DOORS) == VERBS


#: What is handed out for other libraries, of the whole storage and only to whom it belongs.
CLIENTS = {"filesystem", "store"}


@pytest.mark.parametrize("verb", sorted(VERBS - CLIENTS))
def test_a_verb_reaches_the_backend_below_the_prefix(verb, tmp_path):
    spying = Spying()
    mount = Mount("m", spying, prefix="pre/fix")
    DOORS[verb](mount, tmp_path)
    called = [arguments for name, arguments in spying.calls if name == verb]
    assert called, spying.calls
    if verb not in PATHLESS - {"remove_many"}:
        first = (
            called[0][1]
            if verb in ("upload", "resume_upload", "upload_open", "copy_together")
            else called[0][0]
        )
        if verb in ("remove_many", "load_each"):
            first = next(iter(first))
        assert (first.path if isinstance(first, FileInfo) else first) == "pre/fix/p"
    if verb in ("copy", "move"):
        assert called[0][1] == "pre/fix/q"
    if verb == "copy_from":
        assert called[0][1:] == ("p", "pre/fix/p")


def test_every_public_verb_of_a_mount_is_here_for_a_reason():
    values = {
        "label",
        "normalise",
        "narrow",
        "bind",
        "is_bound_as",
        "is_like",
        "can_copy_to",
        "fullpath",
        "same_place",
        "can_compare_places",
        "contains",
        "why_not",
        "latest_version_is_fixed",
        "guessed_type",
        "shared",
        "lasting_address",
    }
    rights = {"require_write", "require_delete", "require_attributes", "require_below_root"}
    # Of scan and remove_tree; of write_if_match.
    composed = {"clear", "open_write_if_match"}
    # Of set_metadata, set_tags, copy and can_copy_to.
    options = {"merge_metadata", "merge_tags", "copy_if_absent", "copy_from", "copies_from"}
    assert verbs_of(Mount) == (VERBS - {"address"} - options) | values | rights | composed


# -- permissions ----------------------------------------------------------------------------------

WRITES = {
    "open_write", "mkdir", "make_parents", "write_bytes", "upload", "copy", "set_metadata",
    "set_mtime", "begin_batch", "upload_url", "upload_form", "upload_session", "begin_upload",
    "sign_part", "upload_parts", "complete_upload", "abort_upload", "merge_metadata",
    "write_if_match", "try_conditions", "copy_if_absent", "copy_from", "copy_listed", "resume_upload", "upload_open", "open_partial", "restore_version", "set_tags", "merge_tags",
    "folding", "copy_together", "write_together",
}  # fmt: skip
DELETES = {
    "remove", "remove_tree", "remove_many", "delete_version", "cleanup", "move", "filesystem", "store",
}  # fmt: skip


@pytest.mark.parametrize("verb", sorted(VERBS))
@pytest.mark.parametrize("permissions", RIGHTS)
def test_the_matrix_of_permissions(verb, permissions, tmp_path):
    spying = Spying()
    mount = Mount("m", spying, permissions=permissions)
    denied = (verb in WRITES and permissions == "readonly") or (
        verb in DELETES and permissions != "delete"
    )
    if denied:
        with pytest.raises(StoragePermissionError, match=r"m:.*permissions: "):
            DOORS[verb](mount, tmp_path)
        assert spying.calls == []
    else:
        DOORS[verb](mount, tmp_path)
        assert spying.calls


def test_nothing_that_changes_a_storage_is_missing_from_the_matrix():
    reads = {
        "stat", "exists", "scan", "find", "open_read", "read_bytes", "download", "checksum",
        "versions", "stat_version", "require_versions", "copies_from", "diagnose", "get_metadata",
        "descriptor", "has_content_of", "url", "internal_url", "public_url", "local_path", "address",
        "check", "close", "open_whole", "get_tags", "version_descriptor",
        "load", "probable_checksum", "find_tree", "resume_download", "open_local",
        "load_each",
    }  # fmt: skip
    assert reads | WRITES | DELETES == VERBS
    assert not reads & (WRITES | DELETES)


@pytest.mark.parametrize("permissions", RIGHTS)
def test_clearing_needs_the_right_to_delete(permissions):
    backend = MemoryBackend()
    backend.write_bytes("a/b.txt", b"x")
    mount = Mount("m", backend, permissions=permissions)
    if permissions == "delete":
        mount.clear()
        assert list(backend.scan("")) == []
    else:
        with pytest.raises(StoragePermissionError):
            mount.clear()
        assert backend.read_bytes("a/b.txt") == b"x"


@pytest.mark.parametrize(("source", "target"), [*itertools.product(RIGHTS, repeat=2)])
def test_copy_and_move_ask_both_mounts(source, target):
    backend = MemoryBackend()
    backend.write_bytes("f", b"x")
    here = Mount("here", backend, permissions=source)
    there = Mount("there", backend, permissions=target)
    if target == "readonly":
        with pytest.raises(StoragePermissionError, match="there:g"):
            here.copy("f", there, "g")
    else:
        here.copy("f", there, "g")
        assert backend.read_bytes("g") == b"x"
    if source == "delete" and target != "readonly":
        here.move("f", there, "h")
        assert backend.read_bytes("h") == b"x"
    else:
        with pytest.raises(StoragePermissionError):
            here.move("f", there, "h")
        assert backend.read_bytes("f") == b"x"


@pytest.mark.parametrize("verb", ["remove", "remove_tree"])
@pytest.mark.parametrize("path", ["", ".", "./."])
@pytest.mark.parametrize("prefix", ["", "pre/fix"])
def test_the_root_is_not_removed_in_any_spelling(verb, path, prefix):
    spying = Spying()
    with pytest.raises(StoragePermissionError, match="root of a mount"):
        getattr(Mount("m", spying, prefix=prefix), verb)(path)
    assert spying.calls == []


# -- capabilities ---------------------------------------------------------------------------------

NEEDS = {
    "scan": "list_dir",
    "find": "list_dir",
    "mkdir": "mkdir",
    "set_metadata": "metadata",
    "versions": "version_listing",
    "get_tags": "tags",
    "set_tags": "tags",
    "merge_tags": "tags",
    "stat_version": "version_access",
    "version_descriptor": "version_access",
    "delete_version": "versioning",
    "copy": "copy_optimization",
}


@pytest.mark.parametrize("verb", sorted(NEEDS))
def test_an_undeclared_capability_is_refused_before_the_backend_is_asked(verb, tmp_path):
    spying = Spying()
    spying.capabilities = BackendCapabilities(
        **{**vars(EVERYTHING), NEEDS[verb]: False}  # type: ignore[arg-type]
    )
    with pytest.raises(StorageUnsupportedError, match="m:p"):
        DOORS[verb](Mount("m", spying), tmp_path)
    assert spying.calls == []


@pytest.mark.parametrize("verb", sorted(WRITES - {"copy"} | DELETES - {"move"} - CLIENTS))
def test_a_read_only_backend_refuses_what_its_mount_would_allow(verb, tmp_path):
    spying = Spying()
    spying.capabilities = EVERYTHING.without_writing()
    with pytest.raises(StorageUnsupportedError, match="m:"):
        DOORS[verb](Mount("m", spying), tmp_path)
    assert spying.calls == []


@pytest.mark.parametrize("verb", sorted(CLIENTS))
def test_a_client_of_the_storage_is_not_for_a_part_of_it(verb):
    spying = Spying()
    for mount in (
        Mount("m", spying, prefix="below"),
        Mount("m", spying, permissions="readwrite"),
    ):
        with pytest.raises(StoragePermissionError, match="ask the mount that it stands on"):
            getattr(mount, verb)()
    assert spying.calls == []


@pytest.mark.parametrize("version", ["open_read", "read_bytes", "download", "get_tags"])
def test_a_version_is_only_asked_for_where_there_are_versions(version, tmp_path):
    spying = Spying()
    spying.capabilities = BackendCapabilities(tags=True)
    mount = Mount("m", spying)
    arguments = (tmp_path / "target",) if version == "download" else ()
    with pytest.raises(StorageUnsupportedError, match="m:p"):
        getattr(mount, version)("p", *arguments, version="1")
    assert spying.calls == []


def test_appending_is_refused_where_it_is_not_declared():
    mount = Mount("m", MemoryBackend())
    mount.backend.capabilities = BackendCapabilities(append_mode=False)
    with pytest.raises(StorageUnsupportedError, match="m:f"):
        mount.open_write("f", append=True)


# -- narrowing ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ours", "asked"),
    [*itertools.product(RIGHTS, [*RIGHTS, None])],
)
def test_relative_mounts_narrow_and_never_widen(ours, asked):
    narrowed = Mount("m", Spying(), permissions=ours).narrow("n", "sub", asked)
    expected = ours if asked is None else min(ours, asked, key=RIGHTS.index)
    assert narrowed.permissions == expected
    assert narrowed.narrow("o", "sub", "delete").permissions == expected


def test_narrowing_twice_goes_deeper():
    spying = Spying()
    Mount("m", spying, prefix="a").narrow("n", "b").narrow("o", "/c//d/").stat("e")
    assert spying.calls == [("stat", ("a/b/c/d/e",))]


@pytest.mark.parametrize("path", ["..", "../x", "a/../..", "a\\..\\b", "\x00", "C:\\x"])
def test_a_mount_cannot_be_narrowed_to_what_lies_outside(path):
    with pytest.raises(StoragePathError):
        Mount("m", Spying()).narrow("n", path)


@pytest.mark.parametrize("path", ["../private/secret.txt", "a/../../private/secret.txt"])
def test_a_narrowed_mount_does_not_lead_to_its_siblings(path):
    with StorageManager() as storage:
        storage.configure(
            [{"name": "whole", "type": "memory"}, {"name": "part", "path": "whole:public"}]
        )
        storage.node("whole:private/secret.txt").write_text("secret")
        for start in (
            lambda: storage.node("part", path),
            lambda: storage.node("part:").child(path),
        ):
            with pytest.raises(StoragePathError):
                start()


def test_a_narrowed_mount_lists_paths_of_its_own():
    backend = MemoryBackend()
    backend.write_bytes("a/b/c/d.txt", b"x")
    narrowed = Mount("m", backend).narrow("n", "a/b")
    assert [info.path for info in narrowed.scan("")] == ["c"]
    assert [info.path for info in narrowed.find("")] == ["c", "c/d.txt"]
    assert [info.path for info in narrowed.scan("c")] == ["c/d.txt"]
    assert narrowed.stat("c/d.txt").path == "c/d.txt"


# -- words ----------------------------------------------------------------------------------------


def test_messages_use_the_words_of_the_user():
    narrowed = Mount("m", MemoryBackend()).narrow("pub", "deep/inside")
    assert narrowed.label("a.txt") == "pub:a.txt"
    assert narrowed.label("") == "pub:"
    with pytest.raises(StorageNotFoundError) as caught:
        narrowed.stat("a.txt")
    assert str(caught.value).startswith("pub:a.txt: not found")
    assert "deep" not in str(caught.value)
    assert caught.value.node == "pub:a.txt"


def test_a_plain_local_path_is_shown_as_it_was_written():
    mount = Mount("?", MemoryBackend(), shown="/home/me/")
    with pytest.raises(StorageNotFoundError, match=r"^/home/me/a\.txt: not found"):
        mount.read_bytes("a.txt")


def test_the_repr_shows_no_secret_of_the_backend():
    class Secretive(MemoryBackend):
        def __repr__(self):
            return "password=hunter2"

    assert "hunter2" not in repr(Mount("m", Secretive()))


def test_a_path_that_is_the_content_is_not_touched():
    mount = Mount("b", Base64Backend())
    assert mount.normalise("////") == "////"
    assert mount.read_bytes("YWJj/////w==") == b"abc\xff\xff\xff\xff"


# -- translation: nothing unmapped escapes --------------------------------------------------------


class HttpError(Exception):
    """As gcsfs and aiohttp raise: no OSError, a status on the error itself."""

    def __init__(self, **attributes):
        super().__init__("the service said no")
        vars(self).update(attributes)


def _foreign_errors():
    for number in sorted(errno.errorcode):
        yield f"errno {errno.errorcode[number]}", OSError(number, "of the system", "/real/path")
        yield f"bare errno {errno.errorcode[number]}", OSError(number, "of the system")
    for status in (*range(400, 432), 451, *range(500, 512), 599, 302, 200):
        yield f"status {status}", HttpError(status=status)
        yield f"status_code {status}", HttpError(status_code=status)
        yield f"code {status}", HttpError(code=status)
        response = types.SimpleNamespace(status_code=status)
        yield f"response {status}", HttpError(response=response)
        metadata = {"ResponseMetadata": {"HTTPStatusCode": status}, "Error": {"Code": "X"}}
        yield f"botocore {status}", HttpError(response=metadata)
    yield "odd status", HttpError(status="teapot", code=None, response={"ResponseMetadata": None})
    yield "empty response", HttpError(response={})
    for kind in (
        ArithmeticError, AssertionError, AttributeError, BufferError, EOFError, ImportError,
        IndexError, KeyError, LookupError, MemoryError, ModuleNotFoundError, NameError,
        NotImplementedError, OSError, OverflowError, RecursionError, ReferenceError, RuntimeError,
        StopAsyncIteration, StopIteration, SyntaxError, SystemError, TimeoutError, TypeError,
        ValueError, Warning, ZeroDivisionError, FileNotFoundError, FileExistsError,
        IsADirectoryError, NotADirectoryError, PermissionError, InterruptedError,
        BlockingIOError, BrokenPipeError, ConnectionResetError, ConnectionRefusedError,
        ChildProcessError, ProcessLookupError, io.UnsupportedOperation, socket.timeout,
        socket.gaierror, socket.herror, ssl.SSLError, ssl.SSLCertVerificationError,
        asyncio.TimeoutError, asyncio.IncompleteReadError, concurrent.futures.TimeoutError,
        concurrent.futures.BrokenExecutor, http.client.HTTPException, http.client.RemoteDisconnected,
        zipfile.BadZipFile, zlib.error, lzma.LZMAError,
    ):  # fmt: skip
        arguments = (b"", 1) if kind is asyncio.IncompleteReadError else ("it went wrong",)
        yield kind.__name__, kind(*arguments)
    yield "UnicodeEncodeError", UnicodeEncodeError("ascii", "\xe9", 0, 1, "no")
    yield "UnicodeDecodeError", UnicodeDecodeError("utf-8", b"\xff", 0, 1, "no")
    yield "JSONDecodeError", json.JSONDecodeError("no", "{", 0)
    yield "re.error", re.error("no")
    yield "group", ExceptionGroup("several", [OSError(5, "a"), ValueError("b")])


FOREIGN = dict(_foreign_errors())


@pytest.mark.parametrize("verb", sorted(VERBS - {"exists"}))
def test_nothing_unmapped_escapes_from(verb, tmp_path):
    (tmp_path / "source").write_bytes(b"x")
    for name, error in FOREIGN.items():
        mount = Mount("m", Failing(error), prefix="" if verb in CLIENTS else "hidden")
        with pytest.raises(StorageError) as caught:
            DOORS[verb](mount, tmp_path)
        ours = caught.value
        assert type(ours) is not StorageError, name
        assert ours.__cause__ is error, name
        assert str(ours).startswith("m:" if verb in PATHLESS else "m:p"), name
        assert "/real/path" not in str(ours), name
        assert "hidden" not in str(ours), name


@pytest.mark.parametrize("name", sorted(FOREIGN))
def test_asking_whether_something_exists_is_no_only_where_it_is_missing(name):
    mount = Mount("m", Failing(FOREIGN[name]))
    try:
        assert mount.exists("p") is False
    except StorageError as error:
        assert not isinstance(error, StorageNotFoundError | NotADirectoryError)
        assert error.__cause__ is FOREIGN[name]
        assert str(error).startswith("m:p: ")
    else:
        with pytest.raises((StorageNotFoundError, NotADirectoryError)):
            mount.stat("p")


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_what_is_no_error_passes(interruption):
    with pytest.raises(interruption):
        Mount("m", Failing(interruption())).stat("p")


def test_an_error_in_the_middle_of_a_listing_is_translated():
    class BreaksOff(MemoryBackend):
        def scan(self, path):
            yield FileInfo("a", "file", 1)
            raise ConnectionResetError("gone")

    listing = Mount("m", BreaksOff()).scan("")
    assert next(listing).path == "a"
    with pytest.raises(StorageError, match=r"m:.*listing"):
        next(listing)


def test_an_entry_that_no_path_can_name_is_left_out_and_logged(caplog):
    class Odd(MemoryBackend):
        def scan(self, path):
            names = ("../up", "..", ".", "a//b", "nul\0", "good", "..\\odd")
            return iter([FileInfo(name, "file", 1) for name in names])

    assert [info.path for info in Mount("m", Odd()).scan("")] == ["good", "..\\odd"]
    assert caplog.text.count("left out the entry") == 5


# -- places ---------------------------------------------------------------------------------------


def test_one_place_is_recognised_through_other_mounts():
    backend = MemoryBackend()
    whole = Mount("whole", backend)
    part = whole.narrow("part", "a")
    assert whole.same_place("a/f", part, "f")
    assert part.same_place("f", whole, "./a/f")
    assert not whole.same_place("f", part, "f")
    assert whole.contains("a", part, "f")
    assert whole.contains("", part, "f")
    assert not part.contains("f", whole, "a/f")
    assert not whole.contains("a", whole, "ab/f")
    assert not whole.same_place("f", Mount("other", MemoryBackend()), "f")


def test_content_that_is_its_path_has_no_place():
    mount = Mount("b", Base64Backend())
    assert not mount.same_place("YWJj", mount, "YWJj")


@pytest.mark.parametrize("make", [lambda _: MemoryBackend(), LocalBackend], ids=["memory", "local"])
def test_from_here_to_there_names_a_root_with_one_colon(make, tmp_path):
    mount = Mount("m", make(tmp_path))
    mount.write_bytes("a", b"x")
    for step, doing in ((mount.copy, "copying"), (mount.move, "moving")):
        with pytest.raises(StorageError, match=rf"m:a -> m: is a directory \({doing}\)\Z"):
            step("a", mount, "")
    with pytest.raises(StorageNotFoundError, match=r"m:nope -> m:xy:: not found \(moving\)\Z"):
        mount.move("nope", mount, "xy:")
