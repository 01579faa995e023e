"""``url`` and ``upload-url``: what other programs read and store files with."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ..exceptions import StorageUnsupportedError
from ..info import Checksum
from .options import Expires, Json, OnePath, Version, at_version
from .output import print_json, shown

if TYPE_CHECKING:
    from ..uploads import UploadURL
    from .targets import Session

__all__ = ["upload_url", "url"]

_CHECKSUM = re.compile(r"(?P<algorithm>\w+):(?P<digest>[0-9a-fA-F]+)", re.ASCII)


def url(
    ctx: typer.Context,
    path: OnePath,
    expires: Expires = 3600.0,
    method: Annotated[
        Literal["GET", "HEAD", "PUT", "DELETE"],
        typer.Option("--method", "-X", help="What may be done with it."),
    ] = "GET",
    download_name: Annotated[
        str | None,
        typer.Option("--download-name", metavar="NAME", help="Browsers save it under this name."),
    ] = None,
    content_type: Annotated[
        str | None,
        typer.Option("--content-type", metavar="TYPE", help="Sent in place of the stored one."),
    ] = None,
    version: Version = None,
    as_json: Json = False,
) -> None:
    """Print a URL of a file.

    One of an object store works without credentials: whoever has it can use it until it expires. That of
    a web server (http) is the plain one and never expires; where the mount logs in, so must whoever uses
    it. Only the URL is printed: curl "$(genro-storage url up:a.txt)". Whether the file is there is not
    asked.
    """
    session: Session = ctx.obj
    node = at_version(session, path, version)
    seconds = int(expires)
    found = node.url(seconds, method=method, download_name=download_name, content_type=content_type)
    if found is None:
        why = "this mount has no URLs; those for object stores and HTTP have"
        if not node.name:
            why = "is the root of the mount; name a file in it"
        raise StorageUnsupportedError(f"{node.fullpath}: {why}", node=node.fullpath)
    if as_json:
        lasting = seconds if node.capabilities.presigned_urls else None  # the others never expire
        print_json({"path": node.fullpath, "method": method, "url": found, "expires_in": lasting})
    else:
        print(shown(found))


def upload_url(
    ctx: typer.Context,
    path: OnePath,
    content_type: Annotated[
        str | None,
        typer.Option(
            "--content-type", metavar="TYPE", help="Without it, guessed from the file's name."
        ),
    ] = None,
    content_length: Annotated[
        int | None,
        typer.Option("--content-length", min=0, metavar="BYTES", help="Only a file of this size."),
    ] = None,
    checksum: Annotated[
        str | None,
        typer.Option(
            "--checksum", metavar="NAME:HEX", help="Only this content: md5:..., sha256:..."
        ),
    ] = None,
    metadata: Annotated[
        list[str] | None,
        typer.Option("--metadata", metavar="NAME=VALUE", help="Kept with it; may be repeated."),
    ] = None,
    if_absent: Annotated[
        bool, typer.Option("--if-absent", help="Only where no such file is there.")
    ] = False,
    expires: Expires = 3600.0,
    curl: Annotated[bool, typer.Option("--curl", help="Print the line for a shell.")] = False,
    as_json: Json = False,
) -> None:
    """Print the request with which a program without credentials stores a file.

    That is a line with method and URL, and a line for each header, all of which must be sent as
    they are. With --curl: a line that sends the file of that name in the current directory.
    """
    session: Session = ctx.obj
    node = session.resolve(path)
    upload = node.upload_url(
        content_type=content_type,
        content_length=content_length,
        checksum=_checksum(checksum),
        expires_in=int(expires),
        if_absent=if_absent,
        metadata=_pairs(metadata),
    )
    if as_json:
        print_json(
            {
                "path": node.fullpath,
                "method": upload.method,
                "url": upload.url,
                "headers": dict(upload.headers),
                "expires_at": upload.expires_at.timestamp(),
            }
        )
    elif curl:
        print(shown(_curl(upload, node.name)))
    else:
        print(f"{upload.method} {shown(upload.url)}")
        for name, value in upload.headers.items():
            print(shown(f"{name}: {value}"))


def _curl(upload: UploadURL, name: str) -> str:
    words = ["curl", "--fail", "--globoff"]
    if upload.method != "PUT":
        words += ["--request", upload.method]
    for header, value in upload.headers.items():
        # curl sends the length of the file that it has.
        if header.lower() != "content-length":
            # It leaves out a header that ends in a colon, and sends an empty one for a semicolon.
            words += ["--header", f"{header}: {value}" if value else f"{header};"]
    file = f"./{name}" if name.startswith(("-", ".")) else name
    words += ["--upload-file", file, upload.url]
    return shlex.join(words)


def _checksum(text: str | None) -> Checksum | None:
    if text is None:
        return None
    found = _CHECKSUM.fullmatch(text)
    if found is None:
        raise typer.BadParameter("it must be written NAME:HEX", param_hint="--checksum")
    return Checksum(found["algorithm"].lower(), found["digest"].lower())


def _pairs(texts: list[str] | None) -> dict[str, str] | None:
    if texts is None:
        return None
    pairs: dict[str, str] = {}
    for text in texts:
        name, sign, value = text.partition("=")
        if not (name and sign):
            raise typer.BadParameter("it must be written NAME=VALUE", param_hint="--metadata")
        pairs[name] = value
    return pairs
