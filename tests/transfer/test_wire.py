from __future__ import annotations

import io
import itertools
import json
import os
import tracemalloc
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from genro_storage.exceptions import StorageValueError
from genro_storage.info import Checksum, FileInfo
from genro_storage.paths import is_addressable, is_plain, join
from genro_storage.strategy import SkipStrategy
from genro_storage.transfer.planning import actions as known_actions
from genro_storage.transfer.planning.actions import (
    CompareFile,
    Conflict,
    CopyFile,
    DeleteDirectory,
    DeleteFile,
    Filtered,
    MakeDirectory,
)
from genro_storage.transfer.planning.wire import (
    PlanHeader,
    action_from_dict,
    action_to_dict,
    dump_plan,
    load_plan,
)

HEADER = PlanHeader(
    "src:a/b", "dst:", SkipStrategy.SIZE, datetime(2026, 1, 31, 12, 30, 1, 5, tzinfo=UTC)
)
FIRST = {"plan": 1, "source": "src:a/b", "target": "dst:", "skip": "size"}
FIRST["created"] = "2026-01-31T12:30:01.000005+00:00"
COPY = {"action": "copy", "relpath": "x", "source": {"size": 3}, "reason": "new"}


def dumped(actions, header=HEADER, **options):
    stream = io.StringIO()
    count = dump_plan(header, actions, stream, **options)
    text = stream.getvalue()
    assert count == text.count("\n") - 2
    return text


def loaded(text, **options):
    header, actions = load_plan(io.StringIO(text), **options)
    return header, list(actions)


def lines(*raws):
    return "".join((raw if isinstance(raw, str) else json.dumps(raw)) + "\n" for raw in raws)


#: How long a busy machine takes to think of an example is not what is tested.
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


# -- out and in -----------------------------------------------------------------------------------

# Names as systems have them: any bytes, any text, without the halves of one letter side by side.
_names = st.one_of(
    st.binary(min_size=1, max_size=8).map(os.fsdecode),
    st.text("aB0 .\\:é\u0301\u2028\n\x01\U0001f600", min_size=1, max_size=5),
    st.sampled_from(["a\\b", "...", "..a", "a b", "\u2028", "\x1f\n\r", "\U0001f600", "e\u0301"]),
).filter(lambda name: "/" not in name and is_plain(name) and is_addressable(name))
_relpaths = st.lists(_names, max_size=3).map("/".join).filter(is_plain)
_texts = st.text('a"\\{é\u2028\n\x00\U0001f600\udcff', max_size=4)
_sizes = st.integers(0, (1 << 63) - 1)
_times = st.floats(-1e11, 1e12)
_checksums = st.builds(
    Checksum,
    st.sampled_from(["md5", "sha256", "crc64nvme", "sha3_256"]),
    st.binary(min_size=1, max_size=4).map(bytes.hex),
)


def _infos(path):
    return st.builds(
        FileInfo,
        st.just(path),
        st.sampled_from(["file", "directory", "link", "other"]),
        st.none() | _sizes,
        st.none() | _times,
        st.none() | _texts,
        st.none() | _checksums,
        st.none() | _texts,
        st.none() | st.dictionaries(_texts, _texts, max_size=2),
        st.none() | _texts,
        st.booleans(),
    )


_KINDS = ["is_directory", "not_directory", "incomparable", "path"]


@st.composite
def _actions(draw, roots=("a/b", "")):
    kind = draw(st.sampled_from(known_actions.Action.__args__))
    relpath = draw(_relpaths)
    if kind is MakeDirectory:
        return MakeDirectory(relpath)
    if kind is Conflict:
        relpath = draw(st.sampled_from([relpath, "../x", "/x"]))
        return Conflict(relpath, draw(_texts), draw(st.sampled_from(_KINDS)))
    if kind in (DeleteFile, DeleteDirectory):
        relpath = relpath or "x"
        return kind(relpath, draw(_infos(join(roots[1], relpath))))
    source = draw(_infos(join(roots[0], relpath)))
    if kind is Filtered:
        return Filtered(relpath, source, draw(_texts))
    target = _infos(join(roots[1], relpath))
    if kind is CompareFile:
        return CompareFile(relpath, source, draw(target))
    return kind(relpath, source, draw(st.none() | target), draw(_texts))


@unhurried
@given(st.lists(_actions(), max_size=3))
def test_what_is_written_is_read_again(actions):
    text = dumped(actions)
    assert text.isascii()
    assert loaded(text) == (HEADER, actions)


@unhurried
@given(_actions())
def test_an_action_is_plain_values(action):
    raw = json.loads(json.dumps(action_to_dict(action, ("a/b", ""))))
    assert action_from_dict(raw, ("a/b", "")) == action


def test_a_plan_is_lines_that_people_can_read():
    info = FileInfo("a/b/x", "file", 3, 1.5, checksum=Checksum("md5", "0a"))
    actions = [CopyFile("x", info, FileInfo("x", "file", 2), "size differs"), MakeDirectory("d")]
    copy = {"action": "copy", "relpath": "x", "source": {"size": 3, "mtime": 1.5}}
    copy["source"]["checksum"] = ["md5", "0a"]
    copy |= {"target": {"size": 2}, "reason": "size differs"}
    assert dumped(actions) == lines(FIRST, copy, {"action": "mkdir", "relpath": "d"}, {"end": 2})


def test_every_action_can_be_in_a_plan():
    assert {type(action_from_dict(raw)) for raw in EXAMPLES} == {*known_actions.Action.__args__}


EXAMPLES = [
    COPY,
    {**COPY, "action": "skip"},
    {"action": "mkdir", "relpath": ""},
    {"action": "filtered", "relpath": "x", "source": {}, "reason": "no"},
    {"action": "compare", "relpath": "x", "source": {}, "target": {}},
    {"action": "delete", "relpath": "x", "target": {}},
    {"action": "rmdir", "relpath": "x", "target": {"type": "directory"}},
    {"action": "conflict", "relpath": "../x", "message": "no", "kind": "path"},
]


def test_a_time_is_written_in_utc():
    local = HEADER.created.astimezone(timezone(timedelta(hours=5)))
    header = PlanHeader(HEADER.source, HEADER.target, HEADER.skip, local)
    assert dumped([], header) == dumped([])
    with pytest.raises(StorageValueError, match="timezone"):
        dumped([], PlanHeader("a:", "b:", HEADER.skip, local.replace(tzinfo=None)))


@pytest.mark.parametrize(
    "terms",
    [
        {"version": "v1"},
        {"if_absent": True},
        {"delete": True, "max_delete": 0},
        {"version": "", "if_absent": True, "delete": True, "max_delete": 3},
    ],
    ids=str,
)
def test_the_terms_of_a_plan_are_in_its_header(terms):
    header = replace(HEADER, **terms)
    text = dumped([], header)
    assert text == lines({**FIRST, **terms}, {"end": 0})
    assert loaded(text) == (header, [])


def test_the_roots_may_be_told():
    """Places of this machine are shown without a mount's name."""
    header = PlanHeader("/tmp/x", "dst:y", HEADER.skip, HEADER.created)
    actions = [CopyFile("f", FileInfo("x/f", "file"), FileInfo("y/f", "file"), "")]
    text = dumped(actions, header, roots=("x", "y"))
    assert loaded(text, roots=lambda found: (found.source[5:], "y")) == (header, actions)


def test_memory_is_that_of_one_action(tmp_path):
    count = 5_000
    actions = (CopyFile(f"{n}", FileInfo(f"{n}", "file", n), None, "new") for n in range(count))
    header = PlanHeader("a:", "b:", HEADER.skip, HEADER.created)
    tracemalloc.start()
    try:
        with open(tmp_path / "plan", "w", encoding="ascii") as stream:
            dump_plan(header, actions, stream)
        with open(tmp_path / "plan", encoding="ascii") as stream:
            assert sum(1 for _ in load_plan(stream)[1]) == count
        assert tracemalloc.get_traced_memory()[1] < 300_000
    finally:
        tracemalloc.stop()


# -- what cannot be written -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (MakeDirectory("a\\..\\b"), "could lead out of the tree"),
        (MakeDirectory("\ud83d\ude00"), "two halves of one character"),
        (CopyFile("x", FileInfo("y", "file"), None, ""), r"has the path 'y', and its action 'x'"),
        (CopyFile("x", FileInfo("x", "file", -1), None, ""), "-1 is no size"),
        (CopyFile("x", FileInfo("x", "file", None, float("nan")), None, ""), "nan is no time"),
        ("copy", "str is no action"),
    ],
)
def test_what_could_not_be_read_is_not_written(action, message):
    with pytest.raises(StorageValueError, match=message):
        action_to_dict(action)


# -- what is wrong in a plan ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"the end of the plan is missing"),
        (lines(FIRST)[:-1], r"it breaks off"),
        (lines("nonsense"), r"it is no JSON \(Expecting value\)"),
        (lines([1]), r"it is no object"),
        (lines({"source": "a:"}), r"it does not begin a plan"),
        (lines({**FIRST, "plan": 2}), r"a plan of version 2, and 1 is what is known here"),
        (lines({**FIRST, "plan": True}), r"a plan of version True"),
        (lines({**FIRST, "more": 1}), r"unknown: 'more'"),
        (lines({k: v for k, v in FIRST.items() if k != "skip"}), r"missing: 'skip'"),
        (lines({**FIRST, "skip": "siz"}), r"unknown skip strategy 'siz'; did you mean 'size'"),
        (lines({**FIRST, "source": ""}), r"'source' is no place"),
        (lines({**FIRST, "target": "a:\0"}), r"'target' is no place"),
        (lines({**FIRST, "source": None}), r"None is no text"),
        (lines({**FIRST, "created": "now"}), r"'created' is no time: 'now'"),
        (lines({**FIRST, "created": "2026-01-01"}), r"'created' has no timezone"),
        (lines({**FIRST, "created": "0001-01-01T00:00+23:00"}), r"'created' is no time"),
        (lines({**FIRST, "version": 1}), r"1 is no text"),
        (lines({**FIRST, "if_absent": 1}), r"1 is neither true nor false"),
        (lines({**FIRST, "delete": None}), r"None is neither true nor false"),
        (lines({**FIRST, "max_delete": -1}), r"-1 is no number of files"),
        (lines({**FIRST, "max_delete": True}), r"True is no number of files"),
        ("x" * (1 << 21), r"it is too long"),
        ("[" * 500_000 + "\n", r"it is no JSON \(nested too deep\)"),
        (f'{{"plan": {"9" * 5000}}}\n', r"it holds a huge number"),
        ('{"plan": 1, "plan": 1}\n', r"a key is there twice"),
    ],
    ids=itertools.count(),
)
def test_a_header_that_is_wrong_is_refused_at_once(text, message):
    with pytest.raises(StorageValueError, match=f"^line 1 of the plan: .*{message}"):
        load_plan(io.StringIO(text))


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({}, "there is no action None; known are copy, skip"),
        ({"action": "rm"}, "there is no action 'rm'"),
        ({"action": ["copy"]}, r"there is no action \['copy'\]"),
        ({**COPY, "path": "x"}, "unknown: 'path'"),
        ({**COPY, "y" * 9999: "x"}, "unknown: 'yyy"),
        ({k: v for k, v in COPY.items() if k != "source"}, "missing: 'source'"),
        ({**COPY, "relpath": 1}, "1 is no text"),
        *(
            ({**COPY, "relpath": path}, "could lead out of the tree")
            for path in (
                *("..", "../x", "x/../y", "x/..", "/etc/passwd", "x/", "x//y", ".", "./x", "x/./y"),
                *("C:/x", "c:", "..\\x", "x\\..\\y", "x\0"),
            )
        ),
        ({**COPY, "source": None}, "None is no entry"),
        ({**COPY, "source": {"path": "../x"}}, "unknown: 'path'"),
        ({**COPY, "source": {"size": -1}}, "-1 is no size"),
        ({**COPY, "source": {"size": True}}, "True is no size"),
        ({**COPY, "source": {"size": 1.0}}, "1.0 is no size"),
        ({**COPY, "source": {"size": 1 << 63}}, "is no size"),
        ({**COPY, "source": {"mtime": "1"}}, "'1' is no time"),
        ({**COPY, "source": {"mtime": 10**400}}, "is no time"),
        ({**COPY, "source": {"type": "socket"}}, "no entry of type 'socket'"),
        ({**COPY, "source": {"symlink": 1}}, "1 is neither true nor false"),
        ({**COPY, "source": {"checksum": "md5"}}, "'md5' is no checksum"),
        ({**COPY, "source": {"checksum": ["md5", "XY"]}}, "is no checksum"),
        ({**COPY, "source": {"checksum": ["../md5", "00"]}}, "is no checksum"),
        ({**COPY, "source": {"metadata": ["a"]}}, "is no metadata"),
        ({**COPY, "source": {"metadata": {"a": 1}}}, "1 is no text"),
        ({**COPY, "target": 0}, "0 is no entry"),
        ({**COPY, "reason": None}, "None is no text"),
        ({**EXAMPLES[-1], "kind": "odd"}, "there is no conflict 'odd'"),
        ({**EXAMPLES[-3], "relpath": ""}, "the root of a copy is never deleted"),
        ({**EXAMPLES[-2], "relpath": ""}, "the root of a copy is never deleted"),
        ({**EXAMPLES[-3], "target": None}, "None is no entry"),
        ({"end": 1}, "there are 0 actions and not 1"),
        ({"end": False}, "there are 0 actions and not False"),
        ({"end": 0, "more": 1}, "unknown: 'more'"),
        ('{"action": "copy", "relpath": "x", "source": {"size": NaN}}', "NaN is no number"),
        ('{"action": "mkdir", "relpath": "x", "relpath": "y"}', "a key is there twice"),
        ("", "it is no JSON"),
    ],
    ids=itertools.count(),
)
def test_a_line_that_is_wrong_is_named(raw, message):
    good = {"action": "mkdir", "relpath": "d"}
    message = message.replace("there are 0", "there are 2")
    with pytest.raises(StorageValueError, match=f"^line 4 of the plan: .*{message}") as caught:
        loaded(lines(FIRST, good, COPY, raw, {"end": 3}))
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("cut", range(1, len(lines(COPY, {"end": 1}))))
def test_a_plan_that_breaks_off_anywhere_is_not_whole(cut):
    text = lines(FIRST, COPY, {"end": 1})
    with pytest.raises(StorageValueError, match=r"breaks off|is missing|is no JSON"):
        loaded(text[:-cut])


def test_nothing_comes_after_the_end():
    with pytest.raises(StorageValueError, match="line 4 of the plan: it comes after the end"):
        loaded(lines(FIRST, COPY, {"end": 1}, COPY))


def test_what_is_no_text_is_told(tmp_path):
    (tmp_path / "plan").write_bytes(b"\xff\xfe")
    with (
        open(tmp_path / "plan", encoding="utf-8") as stream,
        pytest.raises(StorageValueError, match="line 1 of the plan: it is no text"),
    ):
        load_plan(stream)


@unhurried
@given(st.text('{}[]":,\n0a', max_size=30))
def test_any_text_is_a_plan_or_refused(text):
    with pytest.raises(StorageValueError, match="of the plan: "):
        loaded(lines(FIRST) + text)
