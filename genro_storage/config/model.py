"""A whole configuration as frozen values. Pure: nothing is opened, built or mounted."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

from pydantic import Field, SecretStr

from .. import registry
from ..backends.options import BackendOptions, StrictModel
from ..exceptions import StorageConfigError, StorageMissingExtraError, StoragePathError
from ..paths import normalise, physical
from .lines import Lines
from .portable import require_portable
from .problems import kind_of, suggestion, validate

if TYPE_CHECKING:
    from pathlib import Path

    from ..backends.base import Backend
    from ..backends.dynamic import DynamicRoot
    from ..registry import BackendType, BuildContext
    from .environment import Unfilled

__all__ = [
    "COMMON_KEYS",
    "PERMISSIONS",
    "Configuration",
    "MountSpec",
    "Permissions",
    "RelativeSpec",
    "Settings",
    "check_mount_name",
    "known_keys",
    "parse",
    "parse_mount",
]

Permissions = Literal["readonly", "readwrite", "delete"]
PERMISSIONS: Final[tuple[Permissions, ...]] = ("readonly", "readwrite", "delete")
COMMON_KEYS: Final = ("name", "type", "protocol", "permissions")
_RELATIVE_KEYS: Final = (*COMMON_KEYS, "path")
#: Further problems are counted, not listed.
_LISTED = 20


class Settings(StrictModel):
    """What holds for the whole library rather than for one mount."""

    signing_key: SecretStr | list[SecretStr] | None = Field(
        default=None,
        description="Signs URLs. Of a list, the first key signs and all are accepted, so that a "
        "key can be replaced without breaking the URLs that are out.",
    )
    base_url: str | None = Field(
        default=None, min_length=1, description="Where the application serves signed URLs."
    )


@dataclass(frozen=True)
class RelativeSpec:
    """A mount that is a directory of another: ``parent:sub``. ``sub`` may be empty."""

    parent: str
    sub: str


@dataclass(frozen=True, repr=False)
class MountSpec:
    """One mount as it was asked for.

    A relative mount has ``relative`` and neither ``backend_type`` nor ``options``; every other
    has both of them. ``permissions`` is None where nothing was said. ``literal`` holds the keys
    and values of a mount that was given in code, None where it stood in a file: only the former
    can be pickled, so that no secret of a file or the environment travels.
    """

    name: str
    backend_type: BackendType | None
    options: BackendOptions | None
    permissions: Permissions | None = None
    relative: RelativeSpec | None = None
    literal: Mapping[str, Any] | None = field(default=None, compare=False)

    def build(self, context: BuildContext) -> Backend | DynamicRoot:
        """Build what the mount stands on; not for a relative one, which has no backend."""
        if self.backend_type is None or self.options is None:
            raise StorageConfigError(f"mount {self.name!r} is relative: its parent has the backend")
        return self.backend_type.build_backend(self.options, context)

    def __repr__(self) -> str:
        if self.relative is not None:
            what = f"{self.relative.parent}:{self.relative.sub}"
        else:
            what = f"type={self.backend_type.name if self.backend_type else None}"
        return f"MountSpec({self.name!r}, {what}, permissions={self.permissions})"

    def __reduce__(self) -> tuple[Any, ...]:
        if self.literal is None:
            raise TypeError(
                f"{self!r} comes from a file and cannot be pickled, because its values may hold "
                "secrets; load the file again instead"
            )
        require_portable(self.name, self.literal)
        return parse_mount, (dict(self.literal),)


@dataclass(frozen=True)
class Configuration:
    """A checked configuration; ``source`` is the file's absolute path, None in code."""

    mounts: tuple[MountSpec, ...]
    settings: Settings
    source: Path | None = None


def parse(
    document: Any,
    *,
    source: Path | None,
    label: str | None = None,
    lines: Lines | None = None,
    unfilled: Sequence[Unfilled] = (),
) -> Configuration:
    """Check a whole document; ``StorageConfigError`` lists everything that is wrong.

    ``label`` is the file's name in messages, as it was given; ``lines`` says where things stand in
    it. ``unfilled`` are the texts whose variables are missing: nothing more is said of their values.
    """
    if label is None and source is not None:
        label = str(source)
    lines = lines or Lines()
    unknown: dict[int | None, list[Unfilled]] = {}
    for each in unfilled:
        unknown.setdefault(_index_of(each), []).append(each)
    if any(each.where in ((), ("mounts",)) for each in unfilled):
        raise _as_error([lines.at(each.where, each.problem) for each in unfilled], label)
    mounts, settings_keys = _split(document, label)
    settings, found = validate(Settings, settings_keys, ("mounts",), _keys_of(unknown.get(None)))
    problems = [lines.at(each.where, each.problem) for each in unknown.get(None, ())]
    problems += [lines.locate(problem) for problem in found]
    specs: dict[str, MountSpec] = {}
    for index, entry in enumerate(mounts):
        problems += [lines.at(each.where, each.problem) for each in unknown.get(index, ())]
        ignored = _keys_of(unknown.get(index))
        nothing_known = index in unknown and not isinstance(entry, Mapping)
        if nothing_known or not _can_be_checked(entry, ignored):
            continue
        try:
            spec = _parse_mount(entry, index, keep_literal=source is None, ignored=ignored)
        except StorageConfigError as error:
            problems.append(lines.locate(error.message, index))
            continue
        if spec is None:  # all that is wrong is said already
            continue
        if spec.name in specs:
            twice = f"mount {spec.name!r}: the name is given twice; names must differ"
            problems.append(lines.locate(twice, index))
        specs[spec.name] = spec
    if problems or not isinstance(settings, Settings):
        raise _as_error(problems, label)
    return Configuration(tuple(specs.values()), settings, source)


def _index_of(unfilled: Unfilled) -> int | None:
    """The mount that a text belongs to; None for what is no mount's."""
    first = next(
        iter(unfilled.where[1:] if unfilled.where[:1] == ("mounts",) else unfilled.where), None
    )
    return first if isinstance(first, int) else None


def _keys_of(unfilled: Sequence[Unfilled] | None) -> set[str]:
    """The keys, of the mounts or the document, that texts stand in."""
    found: set[str] = set()
    for each in unfilled or ():
        found.update(
            [part for part in each.where if isinstance(part, str) and part != "mounts"][:1]
        )
    return found


def _can_be_checked(entry: Any, ignored: set[str]) -> bool:
    """Whether it is known what the mount is, although the values of these keys are not."""
    if not ignored:
        return True
    deciding = {"name", "type", "protocol"}
    if not (isinstance(entry, Mapping) and entry.keys() & {"type", "protocol"}):
        deciding.add("path")  # of a relative mount
    return not ignored & deciding


def _split(document: Any, label: str | None) -> tuple[list[Any], dict[str, Any]]:
    wanted = "a list of mounts, or a mapping with 'mounts'"
    if isinstance(document, Sequence) and not isinstance(document, str):
        return list(document), {}
    if not isinstance(document, Mapping):
        got = "nothing (the file is empty)" if document is None else kind_of(document)
        raise _as_error([f"the top level must be {wanted}, got {got}"], label)
    settings = dict(document)
    # Editors find the JSON Schema of a file by this key.
    settings.pop("$schema", None)
    for key in settings:
        if not isinstance(key, str):
            raise _as_error([f"a key at the top level is {kind_of(key)}; quote it"], label)
    if "mounts" not in settings:
        if "name" in settings or "type" in settings or "protocol" in settings:
            raise _as_error(
                ["a single mount must stand in a list: [{'name': ..., 'type': ...}]"], label
            )
        near = [key for key in settings if suggestion(key, ["mounts"])]
        hint = f"; did you mean it by {near[0]!r}?" if near else f"; the top level is {wanted}"
        raise _as_error([f"missing required field: 'mounts'{hint}"], label)
    mounts = settings.pop("mounts")
    if not isinstance(mounts, (list, tuple)):
        raise _as_error([f"'mounts' must be a list of mounts, got {kind_of(mounts)}"], label)
    return list(mounts), settings


def _as_error(problems: list[str], label: str | None) -> StorageConfigError:
    prefix = "" if label is None else f"{label}: "
    if len(problems) == 1:
        return StorageConfigError(prefix + problems[0], node=label)
    lines = [f"  {problem}" for problem in problems[:_LISTED]]
    if len(problems) > _LISTED:
        lines.append(f"  and {len(problems) - _LISTED} more")
    head = f"{prefix}the configuration has {len(problems)} problems:"
    return StorageConfigError("\n".join([head, *lines]), node=label)


def parse_mount(entry: Any) -> MountSpec:
    """Check one mount. ``StorageConfigError``."""
    spec = _parse_mount(entry, 0, keep_literal=True)
    assert spec is not None  # which is only where something is ignored
    return spec


def _parse_mount(
    entry: Any, index: int, *, keep_literal: bool, ignored: AbstractSet[str] = frozenset()
) -> MountSpec | None:
    """Check one mount; ``index`` names one that has no name. ``StorageConfigError``.

    Nothing is said of the values of ``ignored`` keys; None where nothing else is wrong.
    """
    label = f"mount #{index + 1}"
    if not isinstance(entry, Mapping):
        raise StorageConfigError(f"{label}: a mount is a mapping of keys, got {kind_of(entry)}")
    keys: dict[str, Any] = {}
    for key, value in entry.items():
        if not isinstance(key, str):
            raise StorageConfigError(f"{label}: a key is {kind_of(key)}; put it in quotes")
        keys[key] = value
    if "permissions" in ignored:
        del keys["permissions"]
    name = _take_name(keys, label)
    literal = _copied(entry) if keep_literal else None
    label = f"mount {name!r}"
    type_name = _take_type(keys, label)
    if type_name is None:
        path = keys.get("path")
        if not (isinstance(path, str) and ":" in path):
            near = [key for key in keys if suggestion(key, ("type", "protocol"))]
            hint = (
                f"; did you mean it by {near[0]!r}?"
                if near
                else "; or is it a directory of another mount: path: 'parent:directory'?"
            )
            raise StorageConfigError(f"{label}: missing required field: 'type'{hint}", node=name)
        type_name = "relative"
    if type_name == "relative":
        label += " (relative)"
        permissions = _take_permissions(keys, label, name)
        relative = _relative(keys, label, name)
        return MountSpec(name, None, None, permissions, relative, literal)
    row, problem = _row(type_name, label)
    if row is None:
        raise StorageConfigError(problem, node=name)
    label += f" ({row.name})"
    permissions = _take_permissions(keys, label, name)
    options, problems = validate(row.load_options(name), keys, COMMON_KEYS, ignored)
    if not isinstance(options, BackendOptions):
        if ignored and not problems:
            return None
        raise StorageConfigError(f"{label}: {'; '.join(problems)}", node=name)
    return MountSpec(name, row, options, permissions, None, literal)


def known_keys() -> set[str]:
    """Every key that a configuration may have, of all types that can be loaded here."""
    keys = {*COMMON_KEYS, *Settings.known_keys(), "mounts", "$schema"}
    for name in registry.names():
        with contextlib.suppress(StorageConfigError, StorageMissingExtraError):
            keys.update(registry.get(name).load_options(name).known_keys())
    return keys


def _row(type_name: str, label: str) -> tuple[BackendType | None, str]:
    try:
        return registry.get(type_name), ""
    except StorageConfigError as error:
        return None, f"{label}: {error.message}"


def check_mount_name(name: object) -> str:
    """``name`` where it can be a mount's, else ``StorageConfigError``."""
    if not isinstance(name, str):
        raise StorageConfigError(f"'name' must be text, got {kind_of(name)}; put it in quotes")
    if not name.strip():
        raise StorageConfigError("'name' is empty; every mount needs one")
    for character, shown in ((":", "':'"), ("/", "'/'"), ("\x00", "a NUL character")):
        if character in name:
            raise StorageConfigError(f"the name {name!r} cannot contain {shown}")
    return name


def _take_name(keys: dict[str, Any], label: str) -> str:
    if "name" not in keys:
        near = [key for key in keys if suggestion(key, ("name",))]
        hint = f"; did you mean it by {near[0]!r}?" if near else ""
        raise StorageConfigError(f"{label}: missing required field: 'name'{hint}")
    problem = ""
    try:
        return check_mount_name(keys.pop("name"))
    except StorageConfigError as error:
        problem = error.message
    raise StorageConfigError(f"{label}: {problem}")


def _take_type(keys: dict[str, Any], label: str) -> str | None:
    given = {key: keys.pop(key) for key in ("type", "protocol") if key in keys}
    for key, value in given.items():
        if not isinstance(value, str):
            raise StorageConfigError(f"{label}: {key!r} must be text, got {kind_of(value)}")
    if len(set(given.values())) > 1:
        raise StorageConfigError(
            f"{label}: 'type' and 'protocol' mean the same, but their values differ; keep one"
        )
    return next(iter(given.values()), None)


def _take_permissions(keys: dict[str, Any], label: str, name: str) -> Permissions | None:
    value = keys.pop("permissions", None)
    if value is None:
        return None
    if isinstance(value, str) and value in PERMISSIONS:
        return value
    shown = repr(value[:40]) if isinstance(value, str) else kind_of(value)
    near = suggestion(value, PERMISSIONS) if isinstance(value, str) else ""
    raise StorageConfigError(
        f"{label}: Invalid permissions {shown}; use one of {', '.join(PERMISSIONS)}{near}",
        node=name,
    )


def _relative(keys: dict[str, Any], label: str, name: str) -> RelativeSpec:
    for key in keys:
        if key != "path":
            known = "a mount without a type is relative and has only name, path and permissions"
            hint = suggestion(key, _RELATIVE_KEYS) or f"; {known}"
            raise StorageConfigError(f"{label}: unknown option {key[:160]!r}{hint}", node=name)
    if "path" not in keys:
        raise StorageConfigError(f"{label}: missing required field: 'path'", node=name)
    path = keys["path"]
    if not isinstance(path, str):
        raise StorageConfigError(
            f"{label}: option 'path': expected text, got {kind_of(path)}", node=name
        )
    parent, colon, sub = path.partition(":")
    if not colon or not parent:
        raise StorageConfigError(
            f"{label}: the path must be 'parent:directory', with the name of another mount",
            node=name,
        )
    problem = ""
    try:
        return RelativeSpec(parent, physical(normalise(sub, node=path)))
    except StoragePathError as error:
        problem = error.message
    raise StorageConfigError(f"{label}: {problem}", node=name)


def _copied(value: Any) -> Any:
    """A copy down to the values, so that changing the caller's mapping changes nothing here."""
    if isinstance(value, Mapping):
        return {key: _copied(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_copied(item) for item in value]
    return value
