"""``doctor``: a table of findings, or JSON, and an exit code that scripts can use."""

from __future__ import annotations


def test_doctor_shows_what_is_in_force_and_why(run):
    done = run("doctor", "docs:")
    assert done.code == 0
    assert done.lines[0].split() == ["STATE", "WHAT", "VALUE", "WHY"]
    rows = {line.split()[1]: line.split() for line in done.lines[1:]}
    assert rows["storage"][:3] == ["ok", "storage", "reachable"]
    assert rows["get"][0] == "ok" and rows["get"][-1] == "a.txt"
    assert rows["put"][0] == "-" and "--write" in rows["put"]


def test_doctor_writes_only_when_told(run, work):
    found = run("doctor", "empty", "--write", "--json").json
    assert (found["mount"], found["ok"]) == ("empty", True)
    tried = [each["name"] for each in found["findings"] if each["value"] == "works"]
    assert tried == ["list", "put", "get", "delete"]
    assert list((work / "empty").iterdir()) == []


def test_doctor_of_a_mount_that_may_only_read(run):
    found = run("doctor", "fixed", "--write", "--json").json
    assert found["ok"] is True
    states = {each["name"]: each["value"] for each in found["findings"]}
    assert states["put"] == "not allowed"


def test_doctor_fails_where_something_is_wrong(run, work):
    (work / "far.yaml").write_text(
        "- {name: far, type: s3, bucket: bucket, endpoint_url: 'http://127.0.0.1:9', key: KEYKEY,\n"
        "   secret: SECRET, retries: 0}\n"
    )
    done = run("--config", "far.yaml", "doctor", "far")
    assert done.code == 1
    assert any(line.split()[:2] == ["WRONG", "storage"] for line in done.lines)
    assert "SECRET" not in done.out + done.err


def test_doctor_of_an_unknown_mount(run):
    done = run("doctor", "nope")
    assert done.code == 4
    assert "'nope'" in done.err
