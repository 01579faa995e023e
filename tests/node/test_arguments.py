"""What people pass that is not what was meant: paths of their machine, durations, misspelt keywords."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from genro_storage import MountNotFoundError, StorageManager, StorageValueError

LOCAL = r"a path of this machine is reached by a mount of type 'local', .*node\.local_path\(\)"


@pytest.fixture
def storage():
    with StorageManager() as manager:
        manager.configure([
            {"name": "m", "type": "memory"},
            {
                "name": "up", "type": "s3", "bucket": "b", "region": "eu-west-1",
                "key": "AKIDEXAMPLE", "secret": "example",
            },
        ])  # fmt: skip
        manager.node("m:a.csv").write_text("x")
        yield manager


@pytest.mark.parametrize(
    "verb", ["copy_to", "plan_copy", "move_to", "rename", "replace", "samefile"]
)
def test_a_path_of_this_machine_is_no_node_and_the_way_there_is_told(storage, tmp_path, verb):
    node, target = storage.node("m:a.csv"), tmp_path / "out.csv"
    with pytest.raises(TypeError, match=rf"m:a\.csv: .*'mount:path', not \w*Path; {LOCAL}"):
        getattr(node, verb)(target)
    for text in (str(target), "./out.csv", "../out.csv", "~/out.csv", "C:\\out.csv", "c:/out.csv"):
        with pytest.raises(MountNotFoundError, match=rf"Mount point '.*' not found.*; {LOCAL}"):
            getattr(node, verb)(text)
    for other in (None, 3, b"m:b"):
        with pytest.raises(TypeError, match=rf"m:a\.csv: .*, not {type(other).__name__}$"):
            getattr(node, verb)(other)
    assert node.read_text() == "x"
    assert not target.exists()


def test_the_name_of_a_mount_that_is_missing_is_no_local_path(storage):
    for text in ("nope:a", "nope", "a/b"):
        with pytest.raises(MountNotFoundError) as caught:
            storage.node(text)
        assert "this machine" not in str(caught.value)


@pytest.mark.parametrize("verb", ["relative_to", "is_relative_to"])
def test_what_a_node_is_relative_to_is_a_node(storage, verb):
    for other, more in ((Path("/srv"), LOCAL), ("m:", "")):
        with pytest.raises(TypeError, match=rf"m:a\.csv: .*is a node, not \w+.*{more}"):
            getattr(storage.node("m:a.csv"), verb)(other)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"content_typ": "a/b"}, "'content_typ'; did you mean 'content_type'?"),
        ({"if_absnt": True}, "'if_absnt'; did you mean 'if_absent'?"),
        ({"colour": "blue"}, "'colour'"),
        ({"zzz": 1, "tag": {}}, "'tag'; did you mean 'tags'?, 'zzz'"),
        ({"offered": True}, "'offered'"),
    ],
)
def test_an_unknown_keyword_of_a_write_names_the_node_and_what_may_be_meant(
    storage, options, words
):
    node = storage.node("m:a.csv")
    expected = re.escape(f"m:a.csv: unknown keyword of a write: {words}") + "$"
    for step in (
        lambda: node.write_bytes(b"y", **options),
        lambda: node.write_text("y", **options),
        lambda: node.open("w", **options),
    ):
        with pytest.raises(TypeError, match=expected):
            step()
    assert node.read_text() == "x"


@pytest.mark.parametrize(
    ("given", "seconds"),
    [(90, 90), (90.7, 90), ("90", 90), ("1h", 3600), ("1m 30s", 90), (timedelta(minutes=2), 120)],
)
def test_how_long_a_url_lasts_is_told_as_in_a_configuration(storage, given, seconds):
    node = storage.node("up:a.txt")
    asked = parse_qs(urlsplit(node.url(expires_in=given)).query)
    assert asked["X-Amz-Expires"] == [str(seconds)]
    for made in (
        node.upload_url(expires_in=given),
        node.upload_form(max_size=1, expires_in=given),
        node.resume_upload("id").sign_part(1, expires_in=given),
    ):
        left = made.expires_at - datetime.now(UTC)
        assert timedelta(seconds=seconds - 5) < left <= timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("soon", "a duration is a number of seconds, or a text such as"),
        ("", "a duration is"),
        ("8d", "1 to 604800 seconds"),
        ("0s", "1 to 604800 seconds"),
        (timedelta(0), "1 to 604800 seconds"),
        (timedelta(seconds=-1), "1 to 604800 seconds"),
        (None, "1 to 604800 seconds"),
        (True, "1 to 604800 seconds"),
    ],
)
def test_how_long_no_url_lasts(storage, given, words):
    node = storage.node("up:a.txt")
    for step in (
        lambda: node.url(expires_in=given),
        lambda: node.upload_url(expires_in=given),
        lambda: node.upload_form(max_size=1, expires_in=given),
        lambda: node.resume_upload("id").sign_part(1, expires_in=given),
    ):
        with pytest.raises(StorageValueError, match=rf"up:a\.txt: .*expires_in is .*; .*{words}"):
            step()


def test_other_durations_are_told_the_same_way(storage):
    for given in (0, "1h", timedelta(hours=1)):
        assert storage.cleanup("m", given) == 0
    for given in (Decimal(5), Fraction(1, 2), 1e300, float("inf"), "99999999w"):
        assert storage.cleanup("m", given) == 0
    assert storage.check("m", timeout="5s")[0].ok
    assert storage.check("m", timeout=Decimal(5))[0].ok
    for wrong in ("soon", None, True, float("nan"), Decimal("nan"), Fraction(10**400), 1j, []):
        with pytest.raises(StorageValueError, match="older_than is"):
            storage.cleanup("m", wrong)
        with pytest.raises(StorageValueError, match="timeout is"):
            storage.check("m", timeout=wrong)
    for name in ("timeout", "deadline"):
        with pytest.raises(StorageValueError, match=f"m:a.csv: {name} is 'soon'"):
            storage.node("m:a.csv").fill_from_url("http://127.0.0.1:9/", **{name: "soon"})


@pytest.mark.parametrize(
    ("call", "near", "given"),
    [
        ("copy_to", "'deleet'; did you mean 'delete'?", {"deleet": True}),
        ("plan_copy", "'max_sise'; did you mean 'max_size'?", {"max_sise": 3}),
        ("plan_copy", "'retries'", {"retries": 3}),
        ("sync", "'on_eror'; did you mean 'on_error'?", {"on_eror": "collect"}),
        ("sync", "'exlude'; did you mean 'exclude'?", {"exlude": "*"}),
        ("check", "'max_agee'; did you mean 'max_age'?", {"max_agee": "1d"}),
    ],
    ids=str,
)
def test_a_misspelt_keyword_is_told_with_the_one_that_is_meant(call, near, given):
    with StorageManager() as storage:
        storage.add_mount({"name": "m", "type": "memory"})
        storage.node("m:a/x").write_text("x")
        with pytest.raises(TypeError) as caught:
            getattr(storage.node("m:a"), call)("m:b", **given)
        assert str(caught.value) == f"m:a: unknown keyword of {call}: {near}"
        assert not storage.node("m:b").exists
