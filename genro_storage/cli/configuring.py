"""``mounts``, ``config check`` and ``config schema``."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..exceptions import MountRootNotFoundError, StorageConfigError, StorageError
from .command import Command
from .options import Json
from .output import print_json, print_table
from .targets import exit_code

if TYPE_CHECKING:
    from ..config import MountSpec
    from ..config.lines import Lines
    from ..manager import StorageManager
    from ..mount import Mount
    from .targets import Session

__all__ = ["app", "check", "kind", "load_specs", "mounts", "permissions", "schema"]

app: typer.Typer = typer.Typer(
    help="Check a configuration; print its JSON Schema.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

# Options that say where a mount is, in the order in which people read it; those of one group are
# joined by the sign before them. Whatever else there is may be a secret.
_PLACES = (
    ("", ("filesystem",)),
    ("", ("endpoint_url",)),
    ("", ("url",)),
    (":", ("host", "port")),
    ("", ("server",)),
    ("", ("account_name",)),
    ("", ("file",)),
    ("/", ("share", "bucket", "container", "org", "repo", "path", "base_path", "prefix")),
    ("", ("base_url",)),
    ("", ("ref",)),
)
_CREDENTIALS = re.compile(r"(?<=//)[^/@\s]*@")
_QUERY = re.compile(r"[?#].*", re.DOTALL)


def describe(spec: MountSpec) -> str:
    """Where a mount is rooted, without anything that could be a secret."""
    if spec.relative is not None:
        return f"{spec.relative.parent}:{spec.relative.sub}"
    scheme = "" if spec.options is None else spec.options.place_scheme
    if scheme:
        return _as_url(scheme, spec.options)
    groups: list[str] = []
    for sign, names in _PLACES:
        given = [text for text in (_place(spec.options, name) for name in names) if text]
        if given:
            # "bucket/directory", and "/directory" where it stands alone.
            below = [text.strip("/") for text in given[1:]]
            groups.append(sign.join([given[0].rstrip("/") or "/", *below]) if below else given[0])
    return " ".join(groups)


def _as_url(scheme: str, options: object) -> str:
    """``s3://bucket/prefix at http://host:9000``: as other tools call places of this type, and whose."""
    parts = [_place(options, name) for name in ("bucket", "container", "base_path", "prefix")]
    below = "/".join(part.strip("/") for part in parts if part.strip("/"))
    server = _place(options, "endpoint_url") or _place(options, "account_name")
    if not below:  # a broker, or the environment, says which bucket it is
        server = server or _place(options, "credentials_url")
    return f"{scheme}://{below}" + (f" at {server}" if server else "")


def _place(options: object, name: str) -> str:
    value = getattr(options, name, None)
    if value is None or not isinstance(value, str | int | Path):
        return ""
    text = f"[{value}]" if name == "host" and ":" in str(value) else str(value)
    return _QUERY.sub("", _CREDENTIALS.sub("", text)) if "//" in text else text


def kind(spec: MountSpec) -> str:
    """The type of a mount."""
    return "relative" if spec.backend_type is None else spec.backend_type.name


def mounts(ctx: typer.Context, as_json: Json = False) -> None:
    """List the configured mounts."""
    session: Session = ctx.obj
    manager = session.manager
    specs = load_specs(session)
    rows: list[dict[str, Any]] = []
    for spec in specs:
        mount = manager._mount(spec.name)
        can = [name for name, flag in vars(mount.capabilities).items() if flag]
        rows.append(
            {
                "name": spec.name,
                "type": kind(spec),
                "root": describe(spec),
                "permissions": _permissions(manager, spec),
                "capabilities": sorted(can),
            }
        )
    if as_json:
        print_json({"mounts": rows})
        return
    heads = ("name", "type", "permissions", "root")
    print_table([head.upper() for head in heads], [[row[head] for head in heads] for row in rows])


def permissions(mount: Mount) -> str:
    """What may be done with a mount: what was asked for, as far as the storage can do it."""
    return "readonly" if mount.capabilities.readonly else mount.permissions


def _permissions(manager: StorageManager, spec: MountSpec) -> str:
    if not manager.has_mount(spec.name):  # it could not be built
        return spec.permissions or "delete"
    return permissions(manager._mount(spec.name))


def load_specs(session: Session) -> tuple[MountSpec, ...]:
    """The mounts of the configuration; ``StorageConfigError`` where there is none."""
    if session.config is None:
        raise StorageConfigError(
            "no mounts are configured: give --config FILE or set GENRO_STORAGE_CONFIG"
        )
    manager = session.manager
    # What it has read: a second reading finds another file, or a pipe that is empty.
    return tuple(manager._specs[name] for name in manager.get_mount_names())


def _load(path: Path) -> tuple[tuple[MountSpec, ...], Lines]:
    from ..config import load_file

    try:
        configuration, lines = load_file(path)
    except StorageError as error:
        if exit_code(error) == 3:
            raise
        # A file that is missing or may not be read makes the configuration wrong.
        raise StorageConfigError(error.message, node=error.node) from error
    return configuration.mounts, lines


# -- config check ---------------------------------------------------------------------------------


@app.command("check", cls=Command)
def check(
    ctx: typer.Context,
    file: Annotated[
        Path | None,
        typer.Argument(metavar="FILE", show_default=False, help="By default what --config names."),
    ] = None,
    timeout: Annotated[
        float, typer.Option("--timeout", min=0, metavar="SECONDS", help="Wait that long.")
    ] = 10.0,
    as_json: Json = False,
) -> None:
    """Check a file, and whether its mounts can be reached.

    Prints the mounts and everything that is wrong; changes nothing. Exit code 3 where something
    is.
    """
    session: Session = ctx.obj
    path = file or session.config
    if path is None:
        raise typer.BadParameter(
            "name a file, give --config FILE or set GENRO_STORAGE_CONFIG", param_hint="FILE"
        )
    specs, lines = _load(path)
    from ..manager import StorageManager

    with StorageManager() as manager:
        states = _states(manager, specs, path.absolute(), timeout)
        allowed = {spec.name: _permissions(manager, spec) for spec in specs}
    rows: list[dict[str, Any]] = [
        {
            "name": spec.name,
            "type": kind(spec),
            "permissions": allowed[spec.name],
            "root": describe(spec),
            "reachable": state.problem is None,
            "problem": state.problem,
            "note": state.note,
        }
        for spec, state in zip(specs, states, strict=True)
    ]
    problems = [
        f"{path}: {lines.locate(row['problem'], index)}"
        for index, row in enumerate(rows)
        if row["problem"]
    ]
    if as_json:
        print_json({"file": str(path), "ok": not problems, "mounts": rows})
    else:
        table = [
            (
                row["name"],
                row["type"],
                row["permissions"],
                row["note"] or ("yes" if row["reachable"] else "NO"),
                row["root"],
            )
            for row in rows
        ]
        print_table(("NAME", "TYPE", "PERMISSIONS", "REACHABLE", "ROOT"), table)
        if not problems:
            count = len(rows)
            print(f"\n{path}: {count} {'mount' if count == 1 else 'mounts'}, no problem")
    for problem in problems:
        session.complain(problem, 3)


@dataclasses.dataclass
class _State:
    """What is known of one mount: what is wrong, or what is worth saying."""

    problem: str | None = None
    note: str | None = None


def _states(
    manager: StorageManager, specs: tuple[MountSpec, ...], path: Path, timeout: float
) -> list[_State]:
    """Build each mount by itself, so that every problem is seen, then ask all at once."""
    states = [_build(manager, spec, path) for spec in specs]
    built = [
        (spec.name, state)
        for spec, state in zip(specs, states, strict=True)
        if state.problem is None and state.note is None
    ]
    if built:
        answers = manager.check(*(name for name, _ in built), timeout=timeout)
        for (name, state), health in zip(built, answers, strict=True):
            if not health.ok:
                state.problem = f"mount {name!r}: {health.reason}"
            elif health.reason:
                state.note = "not there yet"
    return states


def _build(manager: StorageManager, spec: MountSpec, path: Path) -> _State:
    from ..mounting import Entry

    wanted = spec
    options = spec.options
    creates = options is not None and options.makes_when_built and getattr(options, "create", False)
    if options is not None and creates:
        wanted = dataclasses.replace(spec, options=options.model_copy(update={"create": False}))
    try:
        manager._apply([Entry(wanted, path)])
    except MountRootNotFoundError as error:
        return _State(note="will be made") if creates else _State(error.message)
    except StorageError as error:
        return _State(error.message)
    return _State()


@app.command("schema", cls=Command)
def schema() -> None:
    """Print the JSON Schema of such a file, for editors."""
    from ..config import json_schema

    print_json(json_schema())
