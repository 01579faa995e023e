"""HTTP clients that are not ours: what a URL is worth shows in the hands of somebody else."""

from __future__ import annotations

import shutil
import subprocess
import urllib.error
import urllib.request
import uuid
from typing import TYPE_CHECKING, NamedTuple

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["CLIENTS", "Reply", "by_curl", "by_urllib", "post_form"]


class Reply(NamedTuple):
    """What the server has answered; headers in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


def by_urllib(
    method: str, url: str, headers: Mapping[str, str] | None = None, body: bytes | None = None
) -> Reply:
    given = dict(headers or {})
    if body is not None:  # otherwise it would call it a form
        given = {"Content-Type": "application/octet-stream", **given}
    request = urllib.request.Request(url, body, given, method=method)
    try:
        answer = urllib.request.urlopen(request, timeout=20)
    except urllib.error.HTTPError as error:
        answer = error
    with answer:
        found = {name.lower(): text for name, text in answer.headers.items()}
        return Reply(answer.status, found, answer.read())


def by_curl(
    method: str, url: str, headers: Mapping[str, str] | None = None, body: bytes | None = None
) -> Reply:
    program = shutil.which("curl")
    if program is None:
        pytest.skip("the program curl is not installed; install it with: apt-get install curl")
    command = [
        program,
        "--silent",
        "--show-error",
        "--max-time",
        "20",
        "--include",
        "--noproxy",
        "*",
    ]
    command += ["--head"] if method == "HEAD" else ["--request", method]
    # No header that it would add by itself.
    for name in ("Content-Type", "Expect"):
        command += ["--header", f"{name}:"]
    for name, text in (headers or {}).items():
        command += ["--header", f"{name}: {text}"]
    if body is not None:
        command += ["--data-binary", "@-"]
    done = subprocess.run([*command, url], input=body or b"", capture_output=True, check=True)
    head, _, content = done.stdout.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    found = {name.lower(): text for name, _, text in (line.partition(": ") for line in lines)}
    return Reply(int(first.split()[1]), found, content)


CLIENTS: dict[str, Callable[..., Reply]] = {"urllib": by_urllib, "curl": by_curl}


def post_form(url: str, fields: Mapping[str, str], body: bytes) -> Reply:
    """As a browser sends a form: the fields in their order, and the file last."""
    mark = uuid.uuid4().hex
    parts = [
        f'--{mark}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{text}\r\n'
        for name, text in fields.items()
    ]
    parts.append(f'--{mark}\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n')
    sent = "".join(parts).encode() + body + f"\r\n--{mark}--\r\n".encode()
    return by_urllib("POST", url, {"Content-Type": f"multipart/form-data; boundary={mark}"}, sent)
