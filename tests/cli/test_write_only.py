"""Credentials that may write, and neither list nor look."""

from __future__ import annotations

import hashlib
import json

import pytest

from tests.services.answers import Answer, AnswerServer

DENIED = Answer(
    403,
    b'<?xml version="1.0"?><Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>',
    (("Content-Type", "application/xml"),),
)


@pytest.fixture
def stored(work):
    """A drop box on S3, as the mount drop: what arrived in it, by path."""
    arrived = {}

    def answer(request):
        if request.method != "PUT":
            return DENIED
        arrived[request.path.split("?")[0]] = request.body
        return Answer(200, b"", (("ETag", f'"{hashlib.md5(request.body).hexdigest()}"'),))

    with AnswerServer(answer) as server:
        mount = {"name": "drop", "type": "s3", "bucket": "b", "region": "us-east-1", "retries": 0}
        mount |= {"endpoint_url": server.url, "key": "k", "secret": "s"}
        (work / "mounts.yaml").write_text(json.dumps([mount]))
        yield arrived


def test_files_are_copied_there(run, stored):
    done = run("cp", "-", "drop:x", input=b"from a pipe")
    assert (done.code, done.err) == (0, "")
    done = run("cp", "docs/a.txt", "drop:y")
    assert (done.code, done.err) == (0, "")
    assert stored == {"/b/x": b"from a pipe", "/b/y": b"hello\n"}


def test_mkdir_does_not_insist_on_looking_at_the_root(run, stored):
    assert run("mkdir", "-p", "drop:").code == 0
    done = run("mkdir", "drop:")
    assert (done.code, len(done.err.splitlines())) == (5, 1)
