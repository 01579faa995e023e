"""``mounts``, ``config check`` and ``config schema``."""

from __future__ import annotations

import os

import pytest


def test_mounts_lists_them(run, work):
    assert run("mounts").lines == [
        "NAME    TYPE      PERMISSIONS  ROOT",
        "docs    local     delete       docs",
        "empty   local     delete       empty",
        "memory  memory    delete",
        "fixed   relative  readonly     docs:sub",
    ]


def test_mounts_json_says_what_each_can_do(run):
    found = {mount["name"]: mount for mount in run("mounts", "--json").json["mounts"]}
    assert found["fixed"]["type"] == "relative"
    assert "write" in found["docs"]["capabilities"]
    assert "write" not in found["fixed"]["capabilities"]


def test_without_a_configuration_mounts_says_how_to_give_one(run, monkeypatch):
    monkeypatch.delenv("GENRO_STORAGE_CONFIG")
    done = run("mounts")
    assert done.code == 3
    assert "GENRO_STORAGE_CONFIG" in done.err


def test_config_check_finds_nothing_wrong(run):
    done = run("config", "check")
    assert done.code == 0
    assert done.lines[1].split() == ["docs", "local", "delete", "yes", "docs"]
    assert done.lines[-1] == "mounts.yaml: 4 mounts, no problem"


def test_config_check_shows_every_problem_and_makes_nothing(run, work):
    (work / "bad.yaml").write_text(
        "- {name: a, type: local, path: nope}\n"
        "- {name: b, type: local, path: later, create: true}\n"
        "- {name: c, path: 'zz:x'}\n"
        "- {name: d, type: local, path: mounts.yaml}\n"
        "- {name: e, type: memory}\n"
    )
    done = run("config", "check", "bad.yaml")
    assert done.code == 3
    assert [line.split()[3] for line in done.lines[1:]] == ["NO", "will", "NO", "NO", "yes"]
    assert len(done.err.splitlines()) == 3
    assert not (work / "later").exists()


def test_what_is_said_of_an_archive_that_its_first_file_makes(run, work):
    archives = {
        "made": "{name: made, type: tar, file: made.tar.gz, create: true}",
        "added": "{name: added, type: tar, file: 'docs:added.tar', mode: a}",
        "packed": "{name: packed, type: zip, file: packed.zip}",
        "zipped": "{name: zipped, type: zip, file: zipped.zip, create: true}",
    }
    with (work / "mounts.yaml").open("a") as stream:
        stream.writelines(f"  - {line}\n" for line in archives.values())

    def permissions(*command):
        rows = run(*command, "--json").json["mounts"]
        return {row["name"]: row["permissions"] for row in rows if row["name"] in archives}

    for there in (False, True):
        done = run("config", "check", "--json")
        assert done.code == 0
        assert {row["note"] for row in done.json["mounts"] if row["name"] in archives} == (
            {None} if there else {"not there yet"}
        )
        assert (
            permissions("config", "check")
            == permissions("mounts")
            == dict.fromkeys(archives, "delete")
        )
        assert {row["state"] for row in run("check", "--json").json["mounts"]} == {"reachable"}
        for name in archives:
            assert (work / f"{name}.zip").exists() is (there and name in ("packed", "zipped"))
            assert run("cp", "docs:a.txt", f"{name}:").code == 0


def test_config_check_shows_all_that_is_wrong_with_the_text(run, work):
    (work / "bad.yaml").write_text("- {name: a, typ: local}\n- {name: 'b:c', type: memory}\n")
    done = run("config", "check", "bad.yaml")
    assert done.code == 3
    assert "did you mean it by 'typ'?" in done.err
    assert "cannot contain ':'" in done.err


@pytest.mark.parametrize("name", ["nope.yaml", "docs"])
def test_a_configuration_that_cannot_be_read_is_a_configuration_error(run, name):
    assert run("--config", name, "mounts").code == 3
    assert run("config", "check", name).code == 3


def test_no_secret_is_shown(run, work):
    (work / "secret.yaml").write_text(
        "- name: web\n"
        "  type: fsspec\n"
        "  filesystem: memory\n"
        "  path: 'http://user:hunter2@host/x?token=hunter2'\n"
        "  options: {password: hunter2}\n"
    )
    for command in (["mounts"], ["config", "check"], ["mounts", "--json"]):
        done = run("--config", "secret.yaml", *command)
        assert "hunter2" not in done.out + done.err


def test_config_check_json_is_one_document(run):
    found = run("config", "check", "--json").json
    assert found["ok"] is True
    assert found["mounts"][0] == {
        "name": "docs",
        "type": "local",
        "permissions": "delete",
        "root": "docs",
        "reachable": True,
        "problem": None,
        "note": None,
    }


def test_config_schema_is_the_schema(run):
    assert run("config", "schema").json["title"] == "genro_storage configuration"


def test_config_check_without_a_file_is_wrong_usage(run, monkeypatch):
    monkeypatch.delenv("GENRO_STORAGE_CONFIG")
    assert run("config", "check").code == 2


def test_a_directory_of_another_mount_may_come_later(run, work):
    (work / "later.yaml").write_text(
        "- {name: docs, type: local, path: docs}\n- {name: new, path: 'docs:not/yet'}\n"
    )
    done = run("config", "check", "later.yaml")
    assert done.code == 0
    assert "not there yet" in done.out


def test_where_each_mount_is_reads_as_people_write_it(run, work):
    (work / "all.yaml").write_text(
        "- {name: a, type: smb, host: 'fe80::1', share: docs, path: /x/y}\n"
        "- {name: b, type: webdav, url: 'https://h/dav', path: P/2026}\n"
        "- {name: c, type: github, org: o, repo: r, prefix: mails, ref: main}\n"
        "- {name: d, type: s3, bucket: b, prefix: /p/, endpoint_url: 'http://h:9000'}\n"
        "- {name: e, type: sftp, host: h, port: 2222, path: /srv}\n"
        "- {name: f, type: local, path: ., base_url: 'http://u:p@h/x?y'}\n"
        "- {name: g, type: zip, file: ./a.zip}\n"
    )
    rows = run("--config", "all.yaml", "mounts", "--json").json["mounts"]
    assert [row["root"] for row in rows] == [
        "[fe80::1]:445 docs/x/y",
        "https://h/dav P/2026",
        "o/r/mails https://api.github.com main",
        "s3://b/p at http://h:9000",
        "h:2222 /srv",
        ". http://h/x",
        "./a.zip",
    ]


def test_a_problem_names_its_mount_once(run, work):
    (work / "bad.yaml").write_text(
        "- {name: a, type: git, path: ./nope}\n- {name: b, type: zip, mode: r, file: ./b.zip}\n"
    )
    lines = run("config", "check", "bad.yaml").err.splitlines()
    for number, (line, name) in enumerate(zip(lines, "ab", strict=True), 1):
        assert line.startswith(f"error: bad.yaml: line {number}: mount '{name}': ")
        assert line.count(f"'{name}'") == 1


@pytest.mark.parametrize(
    ("mount", "root"),
    [
        ("type: s3, bucket: b", "s3://b"),
        ("type: s3, url: 's3://b/p/q'", "s3://b/p/q"),
        (
            "type: s3, credentials_url: 'https://h/c', credentials_url_secret: x",
            "s3:// at https://h/c",
        ),
        ("type: gcs, bucket: b, base_path: p, anon: true", "gs://b/p"),
        ("type: gcs, bucket: b, endpoint_url: 'http://h:1', anon: true", "gs://b at http://h:1"),
        ("type: azure, container: c, account_name: me, anon: true", "az://c at me"),
        (
            "type: azure, container: c, base_path: p, anon: true, endpoint_url: 'http://h:1/me'",
            "az://c/p at http://h:1/me",
        ),
    ],
)
def test_a_place_in_an_object_store_is_called_by_its_url(run, work, mount, root):
    (work / "store.yaml").write_text(f"- {{name: m, {mount}}}\n")
    (row,) = run("--config", "store.yaml", "mounts", "--json").json["mounts"]
    assert row["root"] == root
    assert run("--config", "store.yaml", "mounts").lines[1].endswith(f"  {root}")


def test_config_check_tells_missing_variables_with_all_else_and_where(run, work, monkeypatch):
    monkeypatch.delenv("NO_SUCH", raising=False)
    (work / "bad.yaml").write_text(
        "mounts:\n"
        "  - name: a\n"
        "    type: s3\n"
        "    bucket: ${NO_SUCH}\n"
        "    regoin: eu\n"
        "  - {name: 'b:c', type: memory}\n"
        "  - {name: d, type: s3, bucket: b, provider: minoi}\n"
        "  - {name: e, type: '${NO_SUCH}'}\n"
    )
    done = run("config", "check", "bad.yaml")
    assert done.code == 3
    head, *lines = done.err.splitlines()
    assert head == "error: bad.yaml: the configuration has 5 problems:"
    assert [line.split(":")[0] for line in lines] == [f"  line {n}" for n in (4, 5, 6, 7, 8)]
    assert "mount 'a': key 'bucket': the environment variable 'NO_SUCH' is not set" in lines[0]
    assert "unknown option 'regoin'; did you mean 'region'?" in lines[1]
    assert "cannot contain ':'" in lines[2]
    assert lines[3].endswith("; did you mean 'minio'?")
    assert "mount 'e': key 'type': the environment variable" in lines[4]


def test_config_check_says_where_a_directory_is_missing(run, work):
    (work / "bad.yaml").write_text(
        "mounts:\n- {name: a, type: memory}\n- name: b\n  type: local\n  path: lost\n"
    )
    err = run("config", "check", "bad.yaml").err
    assert err.startswith("error: bad.yaml: line 3: mount 'b' (local): the directory ")


def test_config_check_says_nothing_of_what_a_variable_would_settle(run, work, monkeypatch):
    monkeypatch.delenv("NO_SUCH", raising=False)
    (work / "bad.yaml").write_text(
        "- {name: a, type: s3, bucket: '${NO_SUCH}'}\n"
        "- {name: b, type: azure, account_name: x, container: '${NO_SUCH}'}\n"
        "- {name: c, type: s3, bucket: b, endpoint_url: '${NO_SUCH}'}\n"
        "- {name: d, type: s3, bucket: b, provider: minio, endpoint_url: '${NO_SUCH}'}\n"
        "- ${NO_SUCH}\n"
        "- {name: f, type: s3, bucket: b, config: {k: ['${NO_SUCH}']}}\n"
    )
    done = run("config", "check", "bad.yaml")
    assert done.code == 3
    head, *lines, last = done.err.splitlines()
    assert head == "error: bad.yaml: the configuration has 7 problems:"
    starts = [
        line.partition(": the environment variable 'NO_SUCH' is not set")[0] for line in lines
    ]
    assert starts == [
        "  line 1: mount 'a': key 'bucket'",
        "  line 2: mount 'b': key 'container'",
        "  line 3: mount 'c': key 'endpoint_url'",
        "  line 4: mount 'd': key 'endpoint_url'",
        "  line 5: mount #5",
        "  line 6: mount 'f': key 'config.k[0]'",
    ]
    assert last.startswith("  line 6: mount 'f' (s3): unknown option 'k'; known options: ")


@pytest.mark.parametrize("command", [["config", "check"], ["mounts"], ["check"]])
def test_a_configuration_is_read_once(start, work, command):
    """Else a pipe hangs, and problems are shown at lines of another file."""
    pipe = work / "pipe.yaml"
    os.mkfifo(pipe)
    process = start("--config", pipe, *command)
    pipe.write_text("- {name: docs, type: local, path: docs}\n- {name: b, type: memory}\n")
    out, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (0, b""), out
    assert out.splitlines()[1].startswith(b"docs  local ")
