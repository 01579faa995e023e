"""``check``: whether the mounts can be reached."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from .configuring import kind, load_specs
from .options import Json, patience
from .output import print_json, print_table

if TYPE_CHECKING:
    from .targets import Session

__all__ = ["check"]

# As the exit codes of the other commands, so that scripts can tell.
_CODES = {"denied": 5, "missing": 4, "unusable": 3, "unreachable": 1}


def check(
    ctx: typer.Context,
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="MOUNT", show_default=False, help="By default every mount."),
    ] = None,
    timeout: Annotated[
        float,
        typer.Option(
            "--timeout", parser=patience, metavar="DURATION", help="Wait that long: 30, 1m …"
        ),
    ] = 60.0,
    as_json: Json = False,
) -> None:
    """Connect to each mount and say whether it can be used.

    STATE is reachable, denied, missing (the bucket, share or directory), unreachable or unusable;
    TIME is from one question to its answer, over an open connection.
    """
    session: Session = ctx.obj
    specs = {spec.name: spec for spec in load_specs(session)}
    manager = session.manager
    wanted = [name.removesuffix(":") for name in names or specs]
    found = manager.check(*wanted, timeout=timeout) if wanted else []
    rows: list[dict[str, Any]] = [
        {
            "name": health.mount,
            "type": kind(specs[health.mount]),
            "state": health.state,
            "seconds": None if health.seconds is None else round(health.seconds, 6),
            "reason": health.reason,
        }
        for health in found
    ]
    if as_json:
        print_json({"ok": all(health.ok for health in found), "mounts": rows})
    else:
        print_table(
            ("NAME", "TYPE", "STATE", "TIME", "REASON"),
            [
                (row["name"], row["type"], row["state"], _time(row["seconds"]), row["reason"])
                for row in rows
            ],
        )
    for health in found:
        if not health.ok:
            session.fail(_CODES[health.state])


def _time(seconds: float | None) -> str:
    """Milliseconds as people read them; ``-`` where there was no answer."""
    if seconds is None:
        return "-"
    return f"{seconds * 1000:.1f} ms" if seconds < 1 else f"{seconds:.1f} s"
