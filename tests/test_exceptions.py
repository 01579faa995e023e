"""The hierarchy, and the one table that translates foreign errors into it."""

from __future__ import annotations

import copy
import errno
import io
import pickle
import re
import time
import types

import pytest

from genro_storage import exceptions
from genro_storage.exceptions import (
    MountNotFoundError,
    MountRootNotFoundError,
    StorageChangedError,
    StorageCollisionError,
    StorageConfigError,
    StorageConflictError,
    StorageConnectionError,
    StorageError,
    StorageExistsError,
    StorageFullError,
    StorageIOError,
    StorageIsDirectoryError,
    StorageMissingExtraError,
    StorageNotDirectoryError,
    StorageNotEmptyError,
    StorageNotFoundError,
    StoragePathError,
    StoragePermissionError,
    StorageTimeoutError,
    StorageUnsupportedError,
    StorageValueError,
    StorageVersionError,
    translate,
)

KINDS = {
    StorageError: (Exception,),
    StorageNotFoundError: (FileNotFoundError,),
    MountNotFoundError: (FileNotFoundError, KeyError, StorageNotFoundError),
    StorageConflictError: (OSError,),
    StorageExistsError: (FileExistsError, StorageConflictError),
    StorageCollisionError: (FileExistsError, StorageConflictError, StorageExistsError),
    StoragePermissionError: (PermissionError,),
    StorageUnsupportedError: (PermissionError, io.UnsupportedOperation, ValueError),
    StorageIsDirectoryError: (IsADirectoryError, ValueError),
    StorageNotDirectoryError: (NotADirectoryError, ValueError),
    StorageNotEmptyError: (OSError,),
    StorageFullError: (OSError,),
    StorageTimeoutError: (TimeoutError,),
    StorageConnectionError: (ConnectionError,),
    StorageIOError: (OSError,),
    StorageChangedError: (OSError, StorageIOError),
    StorageValueError: (ValueError,),
    StoragePathError: (ValueError, StorageValueError),
    StorageVersionError: (IndexError,),
    StorageConfigError: (ValueError,),
    MountRootNotFoundError: (FileNotFoundError, StorageConfigError, StorageNotFoundError),
    StorageMissingExtraError: (ImportError,),
}
NUMBERS = {
    StorageNotFoundError: errno.ENOENT,
    StorageConflictError: errno.EBUSY,
    StorageExistsError: errno.EEXIST,
    StoragePermissionError: errno.EACCES,
    StorageUnsupportedError: errno.ENOTSUP,
    StorageIsDirectoryError: errno.EISDIR,
    StorageNotDirectoryError: errno.ENOTDIR,
    StorageNotEmptyError: errno.ENOTEMPTY,
    StorageFullError: errno.ENOSPC,
    StorageTimeoutError: errno.ETIMEDOUT,
    StorageIOError: errno.EIO,
}
kinds = pytest.mark.parametrize("kind", list(KINDS), ids=lambda kind: kind.__name__)


def test_every_class_is_in_the_table_of_this_test():
    public = {getattr(exceptions, name) for name in exceptions.__all__}
    public -= {translate, exceptions.translating}
    assert public == set(KINDS)


def test_the_docstring_draws_every_class():
    drawn = set(re.findall(r"[A-Za-z]+Error", exceptions.__doc__))
    assert {kind.__name__ for kind in KINDS} <= drawn


@kinds
def test_a_class_is_caught_as_what_people_would_catch(kind):
    assert issubclass(kind, StorageError)
    for base in KINDS[kind]:
        with pytest.raises(base):
            raise kind("it went wrong", node="m:a")


@kinds
def test_a_class_is_no_other_kind_of_error(kind):
    own = {StorageError, kind, *KINDS[kind]}
    others = {other for other in KINDS if issubclass(kind, other)} - own
    assert others == set()


@kinds
def test_the_message_is_what_was_said(kind):
    error = kind("m:a: it went wrong", node="m:a")
    assert str(error) == "m:a: it went wrong"
    assert error.node == "m:a"
    assert error.args == ("m:a: it went wrong",)


@kinds
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_an_error_survives_pickling(kind, protocol):
    error = kind("m:a: it went wrong", node="m:a", errno=123 if issubclass(kind, OSError) else None)
    again = pickle.loads(pickle.dumps(error, protocol))
    assert type(again) is kind
    assert (str(again), again.node, again.args) == (str(error), error.node, error.args)
    assert getattr(again, "errno", None) == getattr(error, "errno", None)


@kinds
def test_an_error_survives_copying(kind):
    error = kind("it went wrong", node="m:a")
    assert (str(copy.copy(error)), copy.copy(error).node) == (str(error), "m:a")


@pytest.mark.parametrize("kind", list(NUMBERS), ids=lambda kind: kind.__name__)
def test_an_os_error_has_its_number_and_its_place(kind):
    error = kind("it went wrong", node="m:a")
    assert isinstance(error, OSError)
    assert (error.errno, error.filename, error.strerror) == (NUMBERS[kind], "m:a", "it went wrong")
    assert kind("x", errno=7).errno == 7


class HttpError(Exception):
    def __init__(self, **attributes):
        super().__init__("no")
        vars(self).update(attributes)


TRANSLATIONS = [
    (FileNotFoundError(2, "x"), StorageNotFoundError),
    (FileNotFoundError("no number"), StorageNotFoundError),
    (FileExistsError(), StorageExistsError),
    (IsADirectoryError(), StorageIsDirectoryError),
    (NotADirectoryError(), StorageNotDirectoryError),
    (PermissionError(errno.EACCES, "x"), StoragePermissionError),
    (PermissionError(errno.EPERM, "x"), StoragePermissionError),
    (TimeoutError(), StorageTimeoutError),
    (ConnectionResetError(), StorageConnectionError),
    (BrokenPipeError(), StorageConnectionError),
    (io.UnsupportedOperation("no"), StorageUnsupportedError),
    (NotImplementedError(), StorageUnsupportedError),
    (ModuleNotFoundError("no module"), StorageMissingExtraError),
    (UnicodeEncodeError("ascii", "é", 0, 1, "no"), StoragePathError),
    (OSError(errno.ENOTEMPTY, "x"), StorageNotEmptyError),
    (OSError(errno.ENOSPC, "x"), StorageFullError),
    (OSError(errno.EDQUOT, "x"), StorageFullError),
    (OSError(errno.EROFS, "x"), StoragePermissionError),
    (OSError(errno.ENAMETOOLONG, "x"), StoragePathError),
    (OSError(errno.EINVAL, "x"), StorageValueError),
    (OSError(errno.ELOOP, "x"), StoragePermissionError),
    (OSError(errno.EHOSTUNREACH, "x"), StorageConnectionError),
    (OSError(errno.EIO, "x"), StorageIOError),
    (OSError("Forbidden"), StorageIOError),
    (ValueError("odd"), StorageValueError),
    (RuntimeError("odd"), StorageIOError),
    (KeyError("odd"), StorageIOError),
    (HttpError(status=404), StorageNotFoundError),
    (HttpError(status_code=403), StoragePermissionError),
    (HttpError(code=401), StoragePermissionError),
    (HttpError(code=503), StorageConnectionError),
    (HttpError(code=599), StorageConnectionError),
    (HttpError(code=418), StorageIOError),
    (HttpError(code=200_404), StorageIOError),
    (HttpError(response=types.SimpleNamespace(status_code=404)), StorageNotFoundError),
    (HttpError(response={"ResponseMetadata": {"HTTPStatusCode": 412}}), StorageExistsError),
    (HttpError(response={"ResponseMetadata": {"HTTPStatusCode": 507}}), StorageFullError),
    (HttpError(response={}), StorageIOError),
]


@pytest.mark.parametrize(
    ("foreign", "expected"), TRANSLATIONS, ids=[f"{error!r}"[:40] for error, _ in TRANSLATIONS]
)
def test_a_foreign_error_becomes_ours(foreign, expected):
    ours = translate(foreign, node="m:a.txt", action="reading")
    assert type(ours) is expected
    assert str(ours).startswith("m:a.txt: ")
    assert "(reading)" in str(ours)
    assert ours.node == "m:a.txt"


def test_one_of_ours_comes_back_as_it_is():
    error = StorageConfigError("wrong")
    assert translate(error, node="m:a", action="reading") is error


def test_the_number_of_the_system_is_kept():
    assert translate(OSError(errno.EROFS, "x"), node="m:a", action="a").errno == errno.EROFS


def test_a_physical_path_is_not_shown():
    foreign = FileNotFoundError(2, "No such file", "/srv/tenants/42/a.txt")
    assert "/srv" not in str(translate(foreign, node="m:a.txt", action="reading"))


def test_two_reasons_for_a_refusal_are_told_apart():
    refused = translate(PermissionError(errno.EACCES, "x"), node="m:a", action="a")
    not_permitted = translate(PermissionError(errno.EPERM, "x"), node="m:a", action="a")
    assert "permission denied" in str(refused)
    assert "operation not permitted" in str(not_permitted)


def test_translating_names_node_and_action_and_keeps_the_cause():
    cause = OSError(errno.ENOSPC, "No space left on device")
    with (
        pytest.raises(StorageFullError, match=r"docs:a\.txt.*\(writing\)") as caught,
        exceptions.translating("docs:a.txt", "writing"),
    ):
        raise cause
    assert caught.value.__cause__ is cause


def test_translating_leaves_ours_and_interrupts_as_they_are():
    ours = StorageFullError("full")
    with pytest.raises(StorageFullError) as caught, exceptions.translating("x", "y"):
        raise ours
    assert caught.value is ours
    with pytest.raises(KeyboardInterrupt), exceptions.translating("x", "y"):
        raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("node", "given", "said"),
    [
        ("up:", "up:: not found", "up: not found"),
        ("up:", "up:: is the root of a mount", "up: is the root of a mount"),
        ("up:", "up:: : y", "up: : y"),
        ("my files:", "my files:: not found", "my files: not found"),
        ("up:a", "up:: not found", "up:: not found"),
        ("up:: y", "up:: y: not found", "up:: y: not found"),  # the file ": y"
        ("up::", "up::: not found", "up::: not found"),  # the file ":"
        ("up:a:", "up:a:: not found", "up:a:: not found"),
        ("./x:", "./x:: not found", "./x:: not found"),
        ("up:", "up: [::] is x:: y", "up: [::] is x:: y"),
        (None, "std:: vector", "std:: vector"),
    ],
)
def test_the_root_of_a_mount_has_one_colon(node, given, said):
    error = StorageError(given, node=node)
    assert str(error) == said
    assert pickle.loads(pickle.dumps(error)).message == said
    assert translate(FileNotFoundError(2, "x", "y"), node="up:", action="reading").message == (
        "up: not found (reading)"
    )


def test_what_a_server_says_is_cut():
    said = translate(OSError("begin " + "x" * 10**6), node="up:a", action="reading").message
    assert "begin xxx" in said and said.endswith("x…") and len(said) < 600
    short = translate(OSError("y" * 500), node="up:a", action="reading").message
    assert short.endswith("y" * 500)


def test_a_hostile_text_takes_no_time():
    start = time.process_time()
    for text in ("a -> " * 200_000 + "/:: ", ":: " * 200_000):
        StorageError(text, node="up:")
    assert time.process_time() - start < 1
