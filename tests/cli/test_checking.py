"""``check``: a table of the mounts, and an exit code that scripts can use."""

from __future__ import annotations


def test_check_shows_each_mount(run):
    done = run("check")
    assert done.code == 0
    assert done.lines[0].split() == ["NAME", "TYPE", "STATE", "TIME", "REASON"]
    assert [line.split()[:3] for line in done.lines[1:]] == [
        ["docs", "local", "reachable"],
        ["empty", "local", "reachable"],
        ["memory", "memory", "reachable"],
        ["fixed", "relative", "reachable"],
    ]
    assert all(line.split()[4] in ("ms", "s") for line in done.lines[1:])


def test_check_of_one_in_json(run):
    found = run("check", "docs:", "--json").json
    assert found["ok"] is True
    (mount,) = found["mounts"]
    assert (mount["name"], mount["state"], mount["reason"]) == ("docs", "reachable", "")
    assert mount["seconds"] >= 0


def test_check_reads_the_whole_configuration_first(run, work):
    (work / "far.yaml").write_text(
        "- {name: here, type: memory}\n- {name: gone, type: local, path: lost}\n"
    )
    done = run("--config", "far.yaml", "check", "here")
    assert done.code == 3
    assert "gone" in done.err


def test_check_fails_with_the_code_of_the_first_failure(run, work, monkeypatch):
    from genro_storage.backends.local import LocalBackend

    def refuse(self):
        raise PermissionError(13, "not yours")

    monkeypatch.setattr(LocalBackend, "check", refuse)
    done = run("check", "docs", "memory")
    assert done.code == 5
    assert "denied" in done.out and "not yours" in done.out


def test_check_of_an_unknown_mount(run):
    done = run("check", "nope")
    assert done.code == 4
    assert "'nope'" in done.err


def test_check_without_a_configuration(run, monkeypatch):
    monkeypatch.delenv("GENRO_STORAGE_CONFIG")
    done = run("check")
    assert done.code == 3
    assert "GENRO_STORAGE_CONFIG" in done.err


def test_check_may_wait_as_long_as_it_takes(run):
    assert run("check", "--timeout", "inf", "docs").code == 0
