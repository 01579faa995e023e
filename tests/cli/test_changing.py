"""``rm``, ``mkdir`` and ``cleanup``."""

from __future__ import annotations

import os

import pytest


def test_rm_removes_a_file(run, work):
    assert run("rm", "docs:a.txt", "docs/sub/b.bin").code == 0
    assert not (work / "docs" / "a.txt").exists()
    assert list((work / "docs" / "sub").iterdir()) == []


@pytest.mark.parametrize("target", ["docs:sub", "docs/sub", "docs/sub/"])
def test_rm_refuses_a_directory_without_r(run, work, target):
    done = run("rm", target)
    assert done.code == 1
    assert "-r" in done.err
    assert run("rm", "-r", target).code == 0
    assert not (work / "docs" / "sub").exists()


@pytest.mark.parametrize("arguments", [["docs:"], ["-r", "docs:"], ["--root", "docs:"]])
def test_rm_refuses_the_root_of_a_mount(run, work, arguments):
    done = run("rm", *arguments)
    assert done.code == 5
    assert (work / "docs" / "a.txt").exists()


def test_rm_empties_a_mount_where_that_is_meant(run, work):
    assert run("rm", "-r", "--root", "docs:").code == 0
    assert list((work / "docs").iterdir()) == []


@pytest.mark.parametrize("target", [".", "..", "/", "~", "./"])
def test_rm_refuses_a_local_directory_without_a_name(run, work, target, monkeypatch):
    monkeypatch.setenv("HOME", str(work))
    # The dry run only, should this ever fail.
    done = run("rm", "-r", "-f", "--root", "--dry-run", target)
    assert done.code == 5
    assert done.out == ""


def test_rm_advises_nothing_that_it_would_refuse(run, work, monkeypatch):
    monkeypatch.setenv("HOME", str(work))
    for target in ("~", ".", str(work)):
        done = run("rm", "--dry-run", target)
        assert done.code == 5
        assert "refusing to remove it" in done.err and " -r " not in done.err
    root = run("rm", "docs:").err
    assert root == "error: docs: is the root of a mount; -r --root empties the whole mount\n"


def test_rm_of_a_missing_path_is_an_error_unless_forced(run):
    assert run("rm", "docs:nope", "nope").code == 4
    assert run("rm", "-f", "docs:nope", "nope").code == 0


def test_rm_dry_run_lists_and_removes_nothing(run, work):
    (work / "docs" / "link").symlink_to("../empty")
    (work / "empty" / "file").write_text("x")
    done = run("rm", "-r", "-n", "docs")
    assert done.lines == [
        f"would remove docs{each}" for each in ("", "/a.txt", "/link", "/sub", "/sub/b.bin")
    ]
    assert (work / "docs" / "a.txt").exists()
    assert run("rm", "-n", "-r", "--json", "docs/sub").json == {
        "dry_run": True,
        "removed": ["docs/sub", "docs/sub/b.bin"],
    }


def test_rm_removes_a_link_and_not_what_it_leads_to(run, work):
    (work / "empty" / "link").symlink_to("../docs")
    assert run("rm", "empty:link").code == 0
    assert (work / "docs" / "a.txt").exists()


def test_rm_in_a_readonly_mount_is_refused(run, work):
    assert run("rm", "fixed:b.bin").code == 5
    assert run("rm", "-n", "fixed:b.bin").code == 5


def test_mkdir_makes_directories(run, work):
    assert run("mkdir", "docs:x", "y").code == 0
    assert run("mkdir", "docs:x").code == 1
    assert run("mkdir", "docs:p/q").code == 4
    assert run("mkdir", "-p", "docs:p/q", "docs:x", "docs:").code == 0
    assert run("mkdir", "--json", "docs:z").json == {"directories": ["docs:z"]}
    assert (work / "docs" / "p" / "q").is_dir()
    assert (work / "y").is_dir()


def test_cleanup_says_how_many_went(run):
    assert run("cleanup", "docs").out == "nothing to remove\n"
    unnamed = {"names": [], "left_names": []}
    assert run("cleanup", "docs:", "--json").json == {
        "mount": "docs",
        "removed": 0,
        "left": 0,
        **unnamed,
    }


def test_cleanup_removes_what_a_killed_writer_left(run, work, start):
    left = work / "docs/.genro-tmp-0123456789abcdef0123-0"
    left.write_text("part")
    os.utime(left, (0, 0))
    assert run("cleanup", "docs").out == "1 temporary file removed\n"
    assert not left.exists()


def test_cleanup_says_how_many_were_too_young_and_what_takes_them(run, work):
    young = work / "docs/sub/.genro-tmp-0123456789abcdef0123-0"
    young.write_text("part")
    out = run("cleanup", "docs").out
    assert out.startswith("0 temporary files removed; 1 is left, being younger than 3600 s")
    assert "--older-than" in out
    unnamed = {"names": [], "left_names": []}
    assert run("cleanup", "docs", "--json").json == {
        "mount": "docs",
        "removed": 0,
        "left": 1,
        **unnamed,
    }
    assert young.exists()
    for duration in ("1h", "2m 30s", "90"):
        assert run("cleanup", "docs", "--older-than", duration).code == 0
        assert young.exists()
    assert run("cleanup", "docs", "--older-than", "0s").out == "1 temporary file removed\n"
    assert not young.exists()


@pytest.mark.parametrize(("mount", "code"), [("doc", 4), ("docs:sub", 4), ("fixed", 5)])
def test_cleanup_of_what_cannot_be_cleaned_is_an_error(run, mount, code):
    assert run("cleanup", mount).code == code


@pytest.mark.parametrize("spelled", ["{home}", "{home}/", "{home}/..", "~/", "{home}/../{name}"])
def test_rm_refuses_the_home_directory_and_what_holds_it(run, tmp_path, monkeypatch, spelled):
    home = tmp_path / "people" / "me"
    (home / "kept").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    result = run("rm", "-r", "-f", spelled.format(home=home, name=home.name))
    assert result.code == 5
    assert "refusing" in result.err
    assert (home / "kept").is_dir()


def test_rm_refuses_the_current_directory_by_its_name(run, work):
    result = run("rm", "-r", os.getcwd())
    assert result.code == 5
    assert "the current directory" in result.err
    assert os.listdir(".")


def test_rm_of_a_root_written_with_a_dot_says_how_it_is_meant(run):
    result = run("rm", "-r", "docs:.")
    assert result.code == 5
    assert "-r --root" in result.err
    assert run("cat", "docs:a.txt").out == "hello\n"


def test_mkdir_names_the_missing_directory_above_and_the_option(run, work):
    for place in ("docs:x/y/z", "docs/x/y/z"):
        done = run("mkdir", place)
        assert done.code == 4
        above = place.removesuffix("/z")
        assert done.err == (
            f"error: {place}: the directory above, {above}, is missing; -p makes it\n"
        )
    assert run("mkdir", "-p", "docs:x/y/z").code == 0


@pytest.mark.services
@pytest.mark.parametrize("command", [["mkdir"], ["mkdir", "-p"], ["cp", "docs:a.txt"]])
def test_the_root_of_a_bucket_that_is_not_there_is_named(run, work, moto_server, command):
    place = moto_server.mount(bucket="nobody-made-it")
    shown = "".join(f"  {key}: {value}\n" for key, value in place.items())
    config = f"- name: docs\n  type: local\n  path: {work / 'docs'}\n- name: up\n{shown}"
    (work / "mounts.yaml").write_text(config)
    done = run("-c", str(work / "mounts.yaml"), *command, "up:")
    assert done.code == 4
    assert "the bucket 'nobody-made-it' does not exist" in done.err
    assert "is there already" not in done.err and "is a directory" not in done.err


@pytest.mark.parametrize("given", ["99999999w", "1e300", "inf", "9" * 400 + "w"])
def test_an_age_that_nothing_has_is_wrong_usage(run, given):
    done = run("cleanup", "docs", "--older-than", given)
    assert (done.code, done.out) == (2, "")
    assert "it is longer than a thousand years" in done.err
