"""The program of the GitHub stand-in: ``python github_app.py PORT DIRECTORY``.

Written after the reference at docs.github.com/rest, from the repositories themselves through
pygit2 and git, and not after what any client of it expects.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, unquote

import pygit2

Environ = dict[str, Any]
StartResponse = Callable[[str, list[tuple[str, str]]], object]

_CHUNK = 65_536
_log_lock = threading.Lock()


def _text(raw: bytes) -> str:
    # As JSON can only hold text, GitHub shows other names damaged.
    return raw.decode("utf-8", "replace")


@dataclass
class Answer:
    """What is sent back."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    pause: float = 0.0


class RefusalError(Exception):
    """Ends a request early."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


def refusal(status: int, message: str, **more: Any) -> RefusalError:
    said = {"message": message, "documentation_url": "https://docs.github.com", **more}
    return RefusalError(answer(said, status))


def answer(value: Any, status: int = 200) -> Answer:
    body = json.dumps(value).encode()
    headers = {"Content-Type": "application/json; charset=utf-8"}
    if status == 200:
        headers["ETag"] = f'W/"{hashlib.sha256(body).hexdigest()}"'
    return Answer(status, body, headers)


class Request:
    """One request: where it goes, what it accepts, and how the server is to misbehave."""

    def __init__(self, environ: Environ, directory: Path) -> None:
        raw, _, query = str(environ["REQUEST_URI"]).partition("?")
        self.path = raw
        self.directory = directory
        self.parts = [unquote(part, errors="surrogateescape") for part in raw.split("/")[1:]]
        self.query = {
            name: values[-1] for name, values in parse_qs(query, errors="surrogateescape").items()
        }
        self.uri = str(environ["REQUEST_URI"])
        self.accept = str(environ.get("HTTP_ACCEPT", ""))
        self.authorization = str(environ.get("HTTP_AUTHORIZATION", ""))
        self.if_none_match = str(environ.get("HTTP_IF_NONE_MATCH", ""))
        self.range = str(environ.get("HTTP_RANGE", ""))
        self.origin = f"http://{environ['HTTP_HOST']}"
        control = directory / "control.json"
        self.control: dict[str, Any] = json.loads(control.read_text()) if control.exists() else {}

    # -- who may ask, and how often -----------------------------------------------------------

    def token(self) -> str | None:
        kind, _, value = self.authorization.partition(" ")
        if kind == "Basic":
            return base64.b64decode(value).decode().partition(":")[2]
        return value or None

    def admit(self) -> None:
        token = self.token()
        if token is not None and token != self.control.get("token", "ghp_the-right-one"):
            raise refusal(401, "Bad credentials")
        limit = self.control.get("rate_limit")
        if limit is not None:
            found = refusal(limit.get("status", 403), "API rate limit exceeded for 127.0.0.1.")
            found.answer.headers["X-RateLimit-Remaining"] = "0"
            found.answer.headers["X-RateLimit-Reset"] = str(limit["reset"])
            raise found
        limit = self.control.get("secondary_limit")
        if limit is not None:
            found = refusal(403, "You have exceeded a secondary rate limit.")
            if limit.get("retry_after") is not None:
                found.answer.headers["Retry-After"] = str(limit["retry_after"])
            raise found
        failing = self.control.get("failing")
        if failing is not None and failing["route"] in self.path:
            left = self.directory / "failures"
            count = int(left.read_text()) if left.exists() else failing["times"]
            left.write_text(str(count - 1))
            if count > 0:
                raise refusal(failing["status"], "Server Error")
            left.unlink()

    def repository(self, org: str, name: str) -> Repository:
        path = self.directory / "repositories" / org / f"{name}.git"
        private = self.control.get("private", False) and self.token() is None
        if not path.is_dir() or private or name in self.control.get("hidden", []):
            raise refusal(404, "Not Found")
        if name in self.control.get("forbidden", []):
            raise refusal(403, "Resource not accessible by personal access token")
        return Repository(self, org, name, pygit2.Repository(str(path)))


class Repository:
    """The resources of one repository."""

    def __init__(self, request: Request, org: str, name: str, git: pygit2.Repository) -> None:
        self.request = request
        self.org = org
        self.name = name
        self.git = git

    def route(self, parts: list[str]) -> Answer:
        match parts:
            case [] | [""]:
                head = str(self.git.lookup_reference("HEAD").target)
                return answer(
                    {
                        "name": self.name,
                        "full_name": f"{self.org}/{self.name}",
                        "private": bool(self.request.control.get("private", False)),
                        "default_branch": head.removeprefix("refs/heads/"),
                    }
                )
            case ["branches"]:
                names = sorted(self.git.branches.local)
                return self._paged([{"name": name} for name in names])
            case ["commits"]:
                return self._commits()
            case ["commits", *ref]:
                return self._commit("/".join(ref))
            case ["compare", both]:
                return self._compare(both)
            case ["git", "commits", sha]:
                found = self._object(sha)
                if not isinstance(found, pygit2.Commit):
                    raise refusal(404, "Not Found")
                return answer(self._git_commit(found))
            case ["git", "trees", sha]:
                return self._tree(sha)
            case ["git", "blobs", sha]:
                return self._blob(sha)
        raise refusal(404, "Not Found")

    # -- commits ------------------------------------------------------------------------------

    def _require_commits(self) -> None:
        if not self.git.listall_references():
            raise refusal(409, "Git Repository is empty.")

    def _object(self, sha: str) -> pygit2.Object:
        self._require_commits()
        try:
            return self.git[sha]
        except (KeyError, ValueError):
            raise refusal(404, "Not Found") from None

    def _resolve(self, ref: str) -> pygit2.Commit | None:
        for name in (f"refs/heads/{ref}", f"refs/tags/{ref}", f"refs/{ref}"):
            try:
                return self.git.lookup_reference(name).peel(pygit2.Commit)
            except (KeyError, ValueError, pygit2.GitError):
                continue
        try:
            return self.git.get(ref).peel(pygit2.Commit) if len(ref) >= 4 else None
        except (AttributeError, ValueError, pygit2.GitError):
            return None

    @staticmethod
    def _when(commit: pygit2.Commit) -> str:
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(commit.commit_time))

    def _git_commit(self, commit: pygit2.Commit) -> dict[str, Any]:
        who = {"name": "A", "email": "a@example.org", "date": self._when(commit)}
        return {
            "sha": str(commit.id),
            "author": who,
            "committer": who,
            "message": commit.message,
            "tree": {"sha": str(commit.tree_id)},
            "parents": [{"sha": str(id_)} for id_ in commit.parent_ids],
        }

    def _listed(self, commit: pygit2.Commit) -> dict[str, Any]:
        said = self._git_commit(commit)
        return {"sha": said.pop("sha"), "parents": said.pop("parents"), "commit": said}

    def _commits(self) -> Answer:
        self._require_commits()
        query = self.request.query
        ref = query.get("sha") or str(self.git.lookup_reference("HEAD").target)[11:]
        start = self._resolve(ref)
        if start is None:
            raise refusal(404, "Not Found")
        if "path" not in query and query.get("per_page") == "1":
            return self._paged([self._listed(start), *start.parent_ids])
        command = ["git", "--literal-pathspecs", "-C", self.git.path, "log", "--format=%H"]
        command += [str(start.id), "--", *([query["path"]] if "path" in query else [])]
        raw = [part.encode("utf-8", "surrogateescape") for part in command]
        ids = subprocess.run(raw, check=True, capture_output=True).stdout.decode().split()
        return self._paged([self._listed(self.git[id_].peel(pygit2.Commit)) for id_ in ids])

    def _commit(self, ref: str) -> Answer:
        self._require_commits()
        commit = self._resolve(ref)
        if commit is None:
            raise refusal(422, f"No commit found for SHA: {ref}")
        if self.request.accept == "application/vnd.github.sha":
            sha = str(commit.id)
            headers = {"Content-Type": "application/vnd.github.sha", "ETag": f'"{sha}"'}
            return Answer(200, sha.encode(), headers)
        return answer(self._listed(commit))

    def _compare(self, both: str) -> Answer:
        first, _, second = both.partition("...")
        base, head = self._resolve(first), self._resolve(second)
        if base is None or head is None:
            raise refusal(404, "Not Found")
        ahead, behind = self.git.ahead_behind(head.id, base.id)
        status = {(False, False): "identical", (True, False): "ahead", (False, True): "behind"}
        word = status.get((ahead > 0, behind > 0), "diverged")
        return answer({"status": word, "ahead_by": ahead, "behind_by": behind, "commits": []})

    def _paged(self, values: list[Any]) -> Answer:
        query = self.request.query
        size = min(int(query.get("per_page", 30)), 100)
        page = max(1, int(query.get("page", 1)))
        found = answer(values[(page - 1) * size : page * size])
        if page * size < len(values):
            more = "&".join(f"{k}={quote(v)}" for k, v in (query | {"page": str(page + 1)}).items())
            target = f"{self.request.origin}{self.request.path}?{more}"
            found.headers["Link"] = f'<{target}>; rel="next"'
        return found

    # -- objects ------------------------------------------------------------------------------

    def _tree(self, sha: str) -> Answer:
        self._require_commits()
        commit = self._resolve(sha)
        found = commit.tree if commit is not None else self._object(sha)
        if not isinstance(found, pygit2.Tree):
            raise refusal(404, "Not Found")
        recursive = "recursive" in self.request.query
        entries = list(self._entries(found, "", recursive))
        limit = self.request.control.get("truncate" if recursive else "truncate_one")
        truncated = limit is not None and len(entries) > limit
        return answer({"sha": str(found.id), "tree": entries[:limit], "truncated": truncated})

    def _entries(self, tree: pygit2.Tree, above: str, recursive: bool) -> Iterator[dict[str, Any]]:
        for each in tree:
            mode = int(each.filemode)
            kind = {0o040000: "tree", 0o160000: "commit"}.get(mode, "blob")
            path = above + _text(each.raw_name)
            entry = {"path": path, "mode": f"{mode:06o}", "type": kind, "sha": str(each.id)}
            if kind == "blob":
                entry["size"] = self.git.odb.read_header(each.id)[1]
            yield entry
            if recursive and isinstance(each, pygit2.Tree):
                yield from self._entries(each, f"{path}/", recursive)

    def _blob(self, sha: str) -> Answer:
        found = self._object(sha)
        if not isinstance(found, pygit2.Blob):
            raise refusal(404, "Not Found")
        if found.size > self.request.control.get("largest_blob", 100 * 1024 * 1024):
            error = {"resource": "Blob", "field": "data", "code": "too_large"}
            raise refusal(403, "This API returns blobs up to 100 MB in size.", errors=[error])
        if self.request.accept != "application/vnd.github.raw+json":
            content = base64.encodebytes(found.data).decode()
            return answer(
                {"sha": sha, "size": found.size, "content": content, "encoding": "base64"}
            )
        return self.served(found.data, ranges=self.request.control.get("ranges", False))

    def served(self, data: bytes, *, ranges: bool) -> Answer:
        """Raw bytes, or the range of them that was asked for."""
        pause = float(self.request.control.get("pause", 0))
        headers = {"Content-Type": "application/vnd.github.raw+json; charset=utf-8"}
        if self.request.control.get("compressed"):
            return Answer(200, gzip.compress(data), {**headers, "Content-Encoding": "gzip"})
        if not ranges or not self.request.range:
            return Answer(200, data, headers, pause)
        start, _, end = self.request.range.removeprefix("bytes=").partition("-")
        last = min(int(end) if end else len(data) - 1, len(data) - 1)
        if int(start) > last:
            return Answer(416, b"", {"Content-Range": f"bytes */{len(data)}"})
        headers["Content-Range"] = f"bytes {start}-{last}/{len(data)}"
        return Answer(206, data[int(start) : last + 1], headers, pause)

    def raw(self, ref: str, path: str) -> Answer:
        """The website's ``/ORG/REPO/raw/REF/PATH``."""
        if ref == "HEAD":
            ref = str(self.git.lookup_reference("HEAD").target).removeprefix("refs/heads/")
        commit = self._resolve(ref)
        try:
            found = commit.tree[path] if commit is not None else None
        except KeyError:
            found = None
        if not isinstance(found, pygit2.Blob):
            raise refusal(404, "Not Found")
        return self.served(found.data, ranges=True)


def respond(request: Request) -> Answer:
    match request.parts:
        case ["api", "v3", *rest] if request.control.get("foreign", "no") in rest:
            return answer(request.control["answer"])
        case ["api", "v3", "repos", org, name, *rest]:
            request.admit()
            renamed = request.control.get("renamed", {}).get(name)
            if renamed is not None:
                tail = request.uri.partition(f"/{name}")[2]
                base = request.control.get("redirect_to", request.origin)
                target = f"{base}/api/v3/repositories/{renamed}{tail}"
                moved = refusal(301, "Moved Permanently", url=target)
                moved.answer.headers["Location"] = target
                raise moved
            return request.repository(org, name).route(rest)
        case ["api", "v3", "repositories", name, *rest]:
            request.admit()
            return request.repository("acme", name).route(rest)
        case [org, name, "raw", ref, *path]:
            return request.repository(org, name).raw(ref, "/".join(path))
    return Answer(404, b"<html>not the API</html>", {"Content-Type": "text/html"})


def application(directory: Path) -> Callable[[Environ, StartResponse], Iterable[bytes]]:
    def serve(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        request = Request(environ, directory)
        try:
            found = respond(request)
        except RefusalError as early:
            found = early.answer
        etag = found.headers.get("ETag")
        if etag is not None and etag.removeprefix("W/") == request.if_none_match.removeprefix("W/"):
            found = Answer(304, b"", {"ETag": etag})
        line = {
            "path": request.uri,
            "status": found.status,
            "authorization": request.authorization,
            "range": request.range,
        }
        with _log_lock, (directory / "requests.jsonl").open("a") as log:
            log.write(json.dumps(line) + "\n")
        headers = {"Content-Length": str(len(found.body)), **found.headers}
        if found.status == 304:
            del headers["Content-Length"]
        start_response(f"{found.status} {HTTPStatus(found.status).phrase}", list(headers.items()))
        return _pieces(found)

    return serve


def _pieces(found: Answer) -> Iterator[bytes]:
    for start in range(0, len(found.body), _CHUNK):
        yield found.body[start : start + _CHUNK]
        if found.pause:
            time.sleep(found.pause)


def main() -> None:
    from cheroot.wsgi import Server

    port, directory = int(sys.argv[1]), Path(sys.argv[2])
    Server(("127.0.0.1", port), application(directory), numthreads=16).start()


if __name__ == "__main__":
    main()
