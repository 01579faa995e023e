"""``cat``, ``stat`` and ``hash``."""

from __future__ import annotations

import hashlib
import shutil
import subprocess

import pytest


def test_cat_gives_every_byte(start, work):
    out, _ = start("cat", "docs:sub/b.bin", "docs:a.txt").communicate()
    assert out == bytes(range(256)) * 8 + b"hello\n"


def test_cat_goes_on_after_a_missing_file(run):
    done = run("cat", "docs:nope", "docs:a.txt")
    assert (done.code, done.out) == (4, "hello\n")
    assert done.err == "error: docs:nope: not found (opening for reading)\n"


def test_cat_of_a_directory_is_an_error(run):
    assert run("cat", "docs:sub").code == 1


def test_stat_json_is_all_of_the_entry(run, work):
    found = run("stat", "--json", "fixed:b.bin").json
    assert found["path"] == "fixed:b.bin"
    assert found["size"] == 2048
    assert found["local_path"] == str(work / "docs" / "sub" / "b.bin")
    assert found["permissions"] == "readonly"
    assert "write" not in found["capabilities"]
    assert found["metadata"] == {}


def test_stat_shows_what_is_known(run):
    lines = run("stat", "docs:a.txt").lines
    assert lines[0].split() == ["path", "docs:a.txt"]
    assert any(line.startswith("size") and line.endswith("6 bytes") for line in lines)


@pytest.mark.parametrize("algorithm", ["md5", "sha256", "blake2b"])
def test_hash_prints_lines_that_coreutils_check(run, work, algorithm):
    done = run("hash", "-a", algorithm, "docs/a.txt", "docs/sub/b.bin")
    expected = hashlib.new(algorithm, b"hello\n").hexdigest()
    assert done.lines[0] == f"{expected}  docs/a.txt"
    tool = shutil.which({"md5": "md5sum", "sha256": "sha256sum"}.get(algorithm, "b2sum"))
    if tool is not None:
        subprocess.run([tool, "--check", "--strict"], input=done.out, text=True, check=True)


def test_hash_of_a_directory_is_checked_by_coreutils_too(run, work):
    (work / "docs" / "odd\nname\\x").write_text("odd")
    done = run("hash", "docs")
    assert done.lines[-1].startswith("# tree ")
    if shutil.which("md5sum"):
        subprocess.run(["md5sum", "--check"], input=done.out, text=True, check=True)


def test_relative_names_are_as_seen_from_one_directory(run):
    done = run("hash", "--relative", "docs:", "docs:sub")
    assert (done.code, done.out) == (2, "")
    assert "give one at a time" in " ".join(done.err.split())
    done = run("hash", "--relative", "docs:sub", "docs:a.txt", "docs:nope")
    assert (done.code, [line.split()[-1] for line in done.lines[::2]]) == (4, ["b.bin", "a.txt"])


def test_relative_names_are_checked_by_coreutils_in_the_directory(run, work):
    (work / "docs" / "odd\nname\\x").write_text("odd")
    assert run("hash", "--relative", "docs:a.txt").lines[0].endswith("  a.txt")
    assert run("hash", "--relative", "--json", "docs:sub").json["files"][0]["path"] == "b.bin"
    done = run("hash", "--relative", "docs:")
    assert done.lines[0].endswith("  a.txt") and done.lines[-2].endswith("  sub/b.bin")
    if shutil.which("md5sum"):
        check = ["md5sum", "--check"]
        options = {"input": done.out, "text": True, "cwd": work / "docs"}
        assert (
            subprocess.run(check, check=True, capture_output=True, **options).stdout.count(": OK")
            == 3
        )
        (work / "docs" / "a.txt").write_text("changed")
        assert subprocess.run(check, check=False, capture_output=True, **options).returncode == 1


@pytest.mark.parametrize(
    ("count", "said"), [(0, "0 bytes"), (1, "1 byte"), (2048, "2.0K (2048 bytes)")]
)
def test_sizes_have_units(run, work, count, said):
    (work / "docs" / "x").write_bytes(bytes(count))
    assert f"size         {said}\n" in run("stat", "docs:x").out


def test_equal_trees_have_equal_digests_on_every_mount(run, work):
    (work / "docs" / "sub.txt").write_text("sorts before what is in sub/, or after")
    shutil.copytree(work / "docs", work / "empty" / "copy")
    trees = run("hash", "--json", "--tree", "docs:", "empty:copy", "./docs").json["trees"]
    assert len({tree["digest"] for tree in trees}) == 1
    assert {tree["files"] for tree in trees} == {3}
    lines = b"".join(
        f"{name}\0{hashlib.md5((work / 'docs' / name).read_bytes()).hexdigest()}\n".encode()
        for name in ("a.txt", "sub.txt", "sub/b.bin")
    )
    assert trees[0]["digest"] == hashlib.md5(lines).hexdigest()


def test_hash_tree_prints_the_whole_alone(run):
    done = run("hash", "--tree", "docs:")
    assert len(done.lines) == 1
    assert done.lines[0].endswith("  docs:")


def test_an_entry_without_a_digest_is_a_failure(run, work):
    (work / "docs" / "link").symlink_to("nowhere")
    done = run("hash", "docs:")
    assert done.code == 1
    assert "docs:link" in done.err
    assert len(done.lines) == 3


def test_an_unknown_algorithm_is_wrong_usage(run):
    done = run("hash", "-a", "md4711", "docs:a.txt")
    assert done.code == 2
    assert "sha256" in done.err


def test_stat_shows_the_permissions_that_the_storage_has(run, work):
    with (work / "mounts.yaml").open("a") as stream:
        stream.write("  - {name: text, type: base64}\n")
    for path, permissions in (("docs:a.txt", "delete"), ("text:aGk=", "readonly")):
        assert run("stat", "--json", path).json["permissions"] == permissions
        assert f"permissions  {permissions}" in run("stat", path).out
        (row,) = [r for r in run("mounts", "--json").json["mounts"] if path.startswith(r["name"])]
        assert row["permissions"] == permissions
