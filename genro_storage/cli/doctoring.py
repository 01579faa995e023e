"""``doctor``: what is in force in a mount, where each value is from, and what does not work."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from .options import Json
from .output import print_json, print_table
from .targets import FAILED

if TYPE_CHECKING:
    from ..info import Finding
    from .targets import Session

__all__ = ["doctor"]

_STATES = {True: "ok", False: "WRONG", None: "-"}


def doctor(
    ctx: typer.Context,
    mount: Annotated[str, typer.Argument(metavar="MOUNT", help="The name of a mount.")],
    write: Annotated[
        bool, typer.Option("--write", help="Also store, read and delete a small file.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Say what is in force in a mount, why, and what of it works.

    Server, region, credentials, signature, checksums, versioning, the difference of the clocks, and
    what the credentials allow, as far as the type of the mount has such things. Keys are shown in
    part, secrets never. The exit code is 1 if anything is WRONG.
    """
    session: Session = ctx.obj
    name = mount.removesuffix(":")
    found = session.manager.doctor(name, write=write)
    good = all(finding.ok is not False for finding in found)
    if as_json:
        print_json({"mount": name, "ok": good, "findings": [asdict(each) for each in found]})
    else:
        print_table(
            ("STATE", "WHAT", "VALUE", "WHY"),
            [(_STATES[each.ok], each.name, each.value, _why(each)) for each in found],
        )
    if not good:
        session.fail(FAILED)


def _why(finding: Finding) -> str:
    return "; ".join(filter(None, (finding.source, finding.detail)))
