"""What filesystems answer about a file, normalised; and which of them can only be read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from fsspec.spec import AbstractFileSystem
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from genro_storage.backends.fsspec import FsspecBackend
from genro_storage.backends.fsspec_info import file_info, moment, profile_of

_AT = 1_700_000_000.0


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("LastModified", datetime.fromtimestamp(_AT, UTC), _AT),
        ("mtime", _AT, _AT),
        ("mtime", int(_AT), _AT),
        ("updated", "2023-11-14T22:13:20Z", _AT),
        ("updated", "2023-11-14T22:13:20.000+00:00", _AT),
        ("last_modified", datetime.fromtimestamp(_AT, timezone(timedelta(hours=5))), _AT),
        ("modified", datetime.fromtimestamp(_AT, UTC).replace(tzinfo=None), _AT),
        ("modified", "Tue, 14 Nov 2023 22:13:20 GMT", _AT),
        ("modify", "20231114221320", _AT),
        ("created", _AT, None),
        ("mtime", None, None),
        ("mtime", float("nan"), None),
        ("mtime", True, None),
        ("mtime", "yesterday", None),
        ("mtime", (2023, 11, 14), None),
    ],
)
def test_every_notation_of_a_time_becomes_seconds_or_none(key, value, expected):
    assert file_info("f", {"type": "file", "size": 1, key: value}).mtime == expected


def test_an_unreadable_time_gives_way_to_a_readable_one():
    assert file_info("f", {"type": "file", "LastModified": "", "mtime": 3}).mtime == 3.0
    assert moment(datetime(1970, 1, 1)) == 0.0  # noqa: DTZ001 - the case in question


_JUNK = st.one_of(
    st.text(), st.binary(), st.integers(), st.floats(), st.datetimes(), st.booleans(), st.none()
)


# The first example of a process builds hypothesis's character tables, which takes a second.
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(raw=st.dictionaries(st.sampled_from(["type", "size", "mtime", "updated", "ETag"]), _JUNK))
def test_no_answer_of_a_filesystem_breaks_the_normaliser(raw):
    info = file_info("f", raw)
    assert info.mtime is None or isinstance(info.mtime, float)
    assert info.size is None or isinstance(info.size, int)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(at=st.datetimes(timezones=st.timezones()))
def test_a_time_means_the_same_as_datetime_and_as_text(at):
    assert moment(at) == at.timestamp()
    assert abs(moment(at.isoformat()) - at.timestamp()) < 1e-3


def test_sizes_etags_and_types_are_normalised():
    info = file_info(
        "f", {"type": "file", "Size": "12", "ETag": '"abc-2"', "ContentType": "text/plain"}
    )
    assert (info.size, info.etag, info.content_type) == (12, "abc-2", "text/plain")
    assert info.checksum is None
    assert file_info("d", {"type": "directory", "size": 0}).size is None
    assert file_info("p", {"type": "fifo"}).type == "other"
    assert file_info("f", {"type": "file", "size": None}).size is None


@pytest.mark.parametrize("protocol", ["http", "git", "tar"])
def test_filesystems_that_can_only_be_read_are_known(protocol):
    class Pretending(AbstractFileSystem):
        pass

    Pretending.protocol = protocol
    assert profile_of(Pretending()).readonly
    assert FsspecBackend(Pretending()).capabilities.readonly
