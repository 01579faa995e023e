"""``url``, ``upload-url``, ``versions`` and ``restore``: on servers, with clients that are not ours."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import urllib.request

import pytest

from genro_storage import StorageManager

OFFLINE = "- {name: up, type: s3, bucket: b, region: eu-west-1, key: AKIDEXAMPLE, secret: hidden}\n"


@pytest.fixture
def mounted(work):
    """Make one mount, ``up``, the configuration."""

    def make(mount):
        (work / "mounts.yaml").write_text(json.dumps([{"name": "up", **mount}]))

    return make


@pytest.fixture
def offline(work):
    (work / "mounts.yaml").write_text(OFFLINE)


# -- without a server -----------------------------------------------------------------------------


def test_url_prints_nothing_else(run, offline):
    done = run("url", "up:a b.txt", "--expires", "2m", "--download-name", "c.txt")
    assert done.err == ""
    (line,) = done.lines
    assert line.startswith("https://") and "/a%20b.txt?" in line
    assert "X-Amz-Expires=120" in line and "c.txt" in line and "hidden" not in line
    found = run("url", "--json", "--method", "PUT", "up:x", "--expires", "7d").json
    assert (found["path"], found["method"], found["expires_in"]) == ("up:x", "PUT", 7 * 86400)
    assert "X-Amz-Expires=604800" in found["url"]


@pytest.mark.parametrize(
    "mount",
    [
        {"type": "http", "base_url": "https://example.org/files/"},
        {"type": "http", "base_url": "https://example.org/", "username": "u", "password": "secret"},
        {
            "type": "s3", "bucket": "b", "region": "eu-west-1", "anon": True,
            "public_base_url": "https://cdn.example.org",
        },
    ],
)  # fmt: skip
def test_a_url_that_is_not_signed_never_expires(run, mounted, mount):
    mounted(mount)
    found = run("url", "--json", "up:x").json
    assert found["expires_in"] is None
    assert found["url"].startswith("https://") and "secret" not in found["url"]


def test_url_of_a_version_names_it(run, offline):
    assert "versionId=abc" in run("url", "up:x", "--version", "abc").out


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["up:"], 5, "up: is the root of the mount; name a file in it"),
        (["up:x", "--expires", "8d"], 1, "1 to 604800 seconds"),
        (["up:x", "--expires", "soon"], 2, "a duration such as 30s"),
        (["up:x", "--expires", "0"], 1, "1 to 604800 seconds"),
        (["up:x", "--expires", "nan"], 2, "it must be 0 or more"),
        (["up:x", "--method", "POST"], 2, "not one of"),
        (["./local"], 5, "this mount has no URLs"),
        (["nope:x"], 4, "'nope' not found"),
    ],
)
def test_without_a_url_nothing_is_printed(run, offline, arguments, code, said):
    done = run("url", *arguments)
    assert (done.code, done.out) == (code, "")
    assert said in done.err


def test_upload_url_prints_the_request(run, offline):
    done = run("upload-url", "up:a.png", "--content-length", "5", "--metadata", "k=v=w")
    first, *headers = done.lines
    assert first.startswith("PUT https://")
    assert headers == ["Content-Type: image/png", "Content-Length: 5", "x-amz-meta-k: v=w"]
    found = run("upload-url", "up:a.png", "--json", "--checksum", "md5:" + "ab" * 16).json
    assert found["method"] == "PUT" and "Content-MD5" in found["headers"]
    assert found["expires_at"] > 0


@pytest.mark.parametrize(
    "arguments", [["--checksum", "md5"], ["--metadata", "k"], ["--content-length", "-1"]]
)
def test_wrong_terms_of_an_upload_are_wrong_usage(run, offline, arguments):
    assert run("upload-url", "up:x", *arguments).code == 2


@pytest.mark.parametrize("command", [["versions"], ["restore", "--version", "0"]])
def test_mounts_without_versions_say_so(run, command):
    done = run(*command, "docs:a.txt")
    assert (done.code, done.out) == (5, "")
    assert "version" in done.err


# -- with a server --------------------------------------------------------------------------------


@pytest.mark.services
def test_the_url_serves_the_file_and_the_line_for_curl_stores_it(run, mounted, work, rclone_s3):
    mounted(rclone_s3.mount())
    if shutil.which("curl") is None:
        pytest.skip("needs curl")
    name = "it's {a,b} [1-2].txt"
    (work / name).write_text("by curl")
    line = run("upload-url", "--curl", f"up:cli/{name}", "--metadata", "who=me").out
    subprocess.run(["bash", "-c", line], check=True, capture_output=True)
    assert run("cat", f"up:cli/{name}").out == "by curl"
    with urllib.request.urlopen(run("url", f"up:cli/{name}").out.strip()) as answer:
        assert answer.read() == b"by curl"
    gone = run("url", "--method", "DELETE", f"up:cli/{name}").out.strip()
    subprocess.run(["curl", "-fsg", "-X", "DELETE", gone], check=True)
    assert run("cat", f"up:cli/{name}").code == 4


@pytest.mark.services
def test_versions_are_listed_read_and_restored(run, mounted, moto_server):
    mounted(moto_server.mount(bucket=moto_server.versioned_bucket()))
    for content in (b"one", b"second"):
        assert run("cp", "-", "up:x", input=content).code == 0
    assert run("rm", "up:x").code == 0
    found = run("versions", "up:x", "--json").json["versions"]
    assert [row["index"] for row in found] == [0, 1, None]
    assert [row["size"] for row in found][:2] == [3, 6]
    assert [row["latest"] for row in found] == [False, False, True]
    assert [row["delete_marker"] for row in found] == [False, False, True]
    lines = run("versions", "up:x").lines
    assert lines[0].split() == ["INDEX", "TIME", "SIZE", "MARK", "VERSION"]
    assert lines[1].split()[0] == "0" and lines[1].split()[2:] == ["3", "B", found[0]["version"]]
    assert lines[3].startswith("-") and "latest, delete marker" in lines[3]
    assert run("cat", "--version", "0", "up:x").out == "one"
    assert run("cat", "--version", found[1]["version"], "up:x").out == "second"
    assert run("cat", "up:x").code == 4
    for command in ("cat", "restore"):
        done = run(command, "up:x", "--version", found[2]["version"])
        assert done.code == 4
        assert f"version '{found[2]['version']}' is a delete marker and has no content" in done.err
    with urllib.request.urlopen(run("url", "up:x", "--version", "-1").out.strip()) as answer:
        assert answer.read() == b"second"
    assert run("restore", "up:x", "--version", "0").code == 0
    assert run("cat", "up:x").out == "one"
    assert run("restore", "up:x", "--version", "9").code == 1
    assert run("versions", "up:nope").code == 4


@pytest.mark.services
def test_unfinished_uploads_are_called_what_they_are(run, mounted, moto_server):
    mounted(moto_server.mount(bucket=moto_server.versioned_bucket()))
    assert run("cleanup", "up").out == "nothing to remove\n"
    with StorageManager() as manager:
        manager.configure("mounts.yaml")
        for name in ("big", "d/more"):
            manager.node(f"up:{name}").begin_upload()
    found = {each["name"]: each for each in run("doctor", "up", "--json").json["findings"]}
    detail = found["unfinished uploads"]["detail"]
    assert re.match(r"the oldest was begun \d{4} days ago; ", detail), detail
    with StorageManager() as manager:
        manager.configure("mounts.yaml")
        assert manager.cleanup("up", float("inf")).left == 2
    done = run("cleanup", "up:", "--older-than", "1000000000")  # moto dates all of them 2010
    assert done.lines[0] == "left an unfinished upload of up:big"
    assert done.lines[-1].startswith(
        "0 unfinished uploads removed; 2 are left, being younger than "
    )
    done = run("cleanup", "up", "--older-than", "0")
    assert done.lines[-1] == "2 unfinished uploads removed"
