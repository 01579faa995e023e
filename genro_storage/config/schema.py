"""The JSON Schema of a configuration file, for editors: one branch for each type of mount."""

from __future__ import annotations

from typing import Any

from .. import registry
from ..exceptions import StorageConfigError, StorageMissingExtraError
from .model import PERMISSIONS, Settings

__all__ = ["json_schema"]

_VARIABLE = {
    "type": "string",
    "pattern": r"\$\{",
    "description": "A value from the environment: ${VARIABLE} or ${VARIABLE:-default}.",
}
_NAME = {
    "type": "string",
    "pattern": r"^[^:/\u0000]*[^:/\u0000\s][^:/\u0000]*$",
    "description": "How nodes name the mount: name:path.",
}
_PERMISSIONS = {
    "enum": [*PERMISSIONS],
    "description": "readonly: nothing changes; readwrite: nothing is deleted; delete: everything.",
}
_SPELLED = {"anyOf": [{"required": ["type"]}, {"required": ["protocol"]}]}


def json_schema() -> dict[str, Any]:
    """The schema (draft 2020-12) of a list of mounts, or of a mapping with ``mounts``.

    A value that comes from the environment is accepted wherever a value is. Types whose module
    cannot be loaded here are described without their options.
    """
    definitions: dict[str, Any] = {"variable": _VARIABLE}
    branches: list[dict[str, str]] = []
    for name in registry.names():
        definitions[f"mount.{name}"] = _branch(name, definitions)
        branches.append({"$ref": f"#/$defs/mount.{name}"})
    definitions["mount.relative"] = _relative()
    branches.append({"$ref": "#/$defs/mount.relative"})
    definitions["mount"] = {"anyOf": branches}
    definitions["mounts"] = {"type": "array", "items": {"$ref": "#/$defs/mount"}}
    settings = _properties(Settings, "settings", definitions)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "genro_storage configuration",
        "anyOf": [
            {"$ref": "#/$defs/mounts"},
            {
                "type": "object",
                "properties": {
                    "$schema": {"type": "string"},
                    "mounts": {"$ref": "#/$defs/mounts"},
                    **settings["properties"],
                },
                "required": ["mounts"],
                "additionalProperties": False,
            },
        ],
        "$defs": definitions,
    }


def _branch(name: str, definitions: dict[str, Any]) -> dict[str, Any]:
    try:
        row = registry.get(name)
        model = row.load_options()
    except (StorageConfigError, StorageMissingExtraError) as error:
        return {
            "type": "object",
            "description": f"Options unknown here. {error}",
            "properties": _common([name]),
            "required": ["name"],
            **_SPELLED,
        }
    options = _properties(model, name, definitions)
    properties = options["properties"]
    conditions: list[dict[str, Any]] = [_SPELLED]
    required = ["name"]
    others: dict[str, list[str]] = {}
    for other, field in model.synonyms.items():
        properties[other] = {**properties[field], "deprecated": True}
        others.setdefault(field, []).append(other)
    for field in options.get("required", []):
        spellings = [field, *others.get(field, [])]
        if len(spellings) == 1:
            required.append(field)
        else:
            conditions.append({"anyOf": [{"required": [each]} for each in spellings]})
    return {
        "type": "object",
        "title": row.name,
        "description": row.summary,
        "properties": {**_common([row.name, *row.aliases]), **properties},
        "required": required,
        "allOf": conditions,
        "additionalProperties": False,
    }


def _common(type_names: list[str]) -> dict[str, Any]:
    kind = {"const": type_names[0]} if len(type_names) == 1 else {"enum": type_names}
    return {
        "name": _NAME,
        "type": kind,
        "protocol": {**kind, "description": "Another word for type."},
        "permissions": _or_variable(_PERMISSIONS),
    }


def _relative() -> dict[str, Any]:
    return {
        "type": "object",
        "title": "relative",
        "description": "A directory of another mount, with the same or fewer permissions.",
        "properties": {
            **_common(["relative"]),
            "path": {
                "type": "string",
                "pattern": "^[^:]+:",
                "description": "parent:directory; nothing after the colon means all of parent.",
            },
        },
        "required": ["name", "path"],
        "additionalProperties": False,
    }


def _properties(model: Any, name: str, definitions: dict[str, Any]) -> dict[str, Any]:
    """The model's schema, its own definitions moved to the file's, variables accepted."""
    schema: dict[str, Any] = model.model_json_schema(ref_template=f"#/$defs/{name}.{{model}}")
    for key, value in schema.pop("$defs", {}).items():
        definitions[f"{name}.{key}"] = value
    schema["properties"] = {
        key: _or_variable(value) for key, value in schema.get("properties", {}).items()
    }
    return schema


def _or_variable(schema: dict[str, Any]) -> dict[str, Any]:
    if schema.get("type") == "string" and not {"enum", "const", "pattern"} & schema.keys():
        return schema
    notes = {
        key: value
        for key, value in schema.items()
        if key in {"title", "description", "default", "examples", "deprecated"}
    }
    rest = {key: value for key, value in schema.items() if key not in notes}
    return {**notes, "anyOf": [rest, {"$ref": "#/$defs/variable"}]}
