"""Write the parts of the documents that the code knows better than a person does.

``python tools/generate_docs.py`` rewrites what stands between ``<!-- generated: NAME -->`` and
``<!-- end of NAME -->``; ``tests/test_generate_docs.py`` fails where that would change anything.
"""

from __future__ import annotations

import inspect
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args, get_origin, get_type_hints

import typer
from pydantic import SecretStr

from genro_storage import StorageManager, registry
from genro_storage.backends.durations import seconds
from genro_storage.backends.s3.environment import VARIABLES
from genro_storage.backends.s3.presets import PRESETS
from genro_storage.config.model import Settings

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

    from genro_storage.backends.options import StrictModel

ROOT = Path(__file__).resolve().parent.parent
_PART = re.compile(
    r"(?P<head><!-- generated: (?P<name>[\w-]+) -->\n).*?(?P<tail><!-- end of (?P=name) -->)",
    re.DOTALL,
)
# What a reader cannot guess from the names of pydantic's and Python's types.
_WORDS = {
    str: "text",
    bool: "true or false",
    int: "whole number",
    float: "number",
    SecretStr: "secret text",
    Any: "text, mapping or object",
}
_FLAGS = {
    "write": "write",
    "delete": "delete",
    "mkdir": "directories",
    "list_dir": "list",
    "append_mode": "append",
    "copy_optimization": "copy inside",
    "atomic_operations": "survives a kill",
    "symbolic_links": "links",
    "versioning": "versions",
    "metadata": "metadata",
}


def samples(here: Path) -> dict[str, dict[str, Any]]:
    """The smallest mount of each type; what it needs on this machine is made in ``here``."""
    return {
        "local": {"path": str(here)},
        "memory": {},
        "base64": {},
        "fsspec": {"filesystem": "memory"},
        "s3": {"bucket": "example"},
        "gcs": {"bucket": "example"},
        "azure": {"container": "example", "account_name": "example"},
        "http": {"base_url": "http://127.0.0.1:9/files/"},
        "smb": {"host": "127.0.0.1", "port": 9, "share": "files"},
        "sftp": {"host": "127.0.0.1", "port": 9, "username": "me"},
        "webdav": {"url": "http://127.0.0.1:9/dav/"},
        "zip": {"file": _file(here / "example.zip", b"PK\5\6" + bytes(18))},
        "tar": {"file": _file(here / "example.tar", bytes(10240))},
        "libarchive": {"file": _file(here / "example.7z", b"7z\xbc\xaf\x27\x1c" + bytes(26))},
        "git": {"path": str(here)},
        "github": {"org": "example", "repo": "example"},
    }


def _file(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    return str(path)


def documents() -> list[Path]:
    """The Markdown files that may have generated parts."""
    found = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]
    return sorted(path for path in found if "_build" not in path.parts)


def regenerated(text: str) -> str:
    """``text`` with every generated part made anew; ``KeyError`` for a part nobody makes."""
    return _PART.sub(
        lambda match: f"{match['head']}\n{PARTS[match['name']]()}\n\n{match['tail']}", text
    )


def table(heads: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(
        "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in lines
    )


# -- mounts ---------------------------------------------------------------------------------------


def built_in() -> list[registry.BackendType]:
    """The library's own types of mount; packages may have published others to this machine."""
    return list(registry._BUILT_IN)  # noqa: SLF001 - names() would list others too


def backends() -> str:
    """One line for each type of mount."""
    rows: list[list[str]] = []
    for row in built_in():
        fields = row.load_options().model_fields.items()
        required = ", ".join(f"`{name}`" for name, field in fields if field.is_required())
        required = required or " or ".join(f"`{name}`" for name in row.load_options().one_of)
        needs = f"`genro-storage[{row.extra}]`" if row.extra else "nothing"
        rows.append([f"`{row.name}`", row.summary, required or "none", needs])
    path = "A directory of another mount, with the same or fewer rights"
    rows.append(["*(none)*", path, "`path` as `parent:directory`", "nothing"])
    return table(["`type`", "What it is", "Required keys", "Extra to install"], rows)


def options() -> str:
    """For each type of mount: every key, what it takes, its default and its meaning."""
    sections: list[str] = []
    for row in built_in():
        if page_of(row) is not None:
            continue
        model = row.load_options()
        heading = f"### `type: {row.name}`\n\n{row.summary}."
        if not model.model_fields:
            sections.append(f"{heading} It has no keys of its own.")
            continue
        sections.append(f"{heading}\n\n{_keys(model)}")
    return "\n\n".join(sections)


def page_of(row: registry.BackendType) -> Path | None:
    """The document about one type of mount, where it has one of its own."""
    page = ROOT / "docs" / "backends" / f"{row.name}.md"
    return page if page.exists() else None


def pages() -> str:
    """Where to read about each type that has a page."""
    rows = [
        [f"[`{row.name}`](backends/{row.name}.md)", row.summary]
        for row in built_in()
        if page_of(row) is not None
    ]
    return table(["`type`", "What it is"], rows)


def _own_options(row: registry.BackendType) -> Callable[[], str]:
    return lambda: _keys(row.load_options())


def settings() -> str:
    """The keys beside ``mounts``."""
    return _keys(Settings)


def _keys(model: type[StrictModel]) -> str:
    spellings: dict[str, list[str]] = {}
    for other, name in model.synonyms.items():
        spellings.setdefault(name, []).append(other)
    rows: list[list[str]] = []
    for name, field in model.model_fields.items():
        also = "".join(f", also `{other}`" for other in spellings.get(name, []))
        default = "required" if field.is_required() else _default(_default_of(field))
        kind: Any = field.annotation
        for each in field.metadata:
            kind = Annotated[kind, each]
        rows.append([f"`{name}`{also}", _words(kind), default, field.description or ""])
    return table(["Key", "Takes", "Default", "Meaning"], rows)


def _default_of(field: FieldInfo) -> object:
    return field.get_default(call_default_factory=True, validated_data={})


def _default(value: object) -> str:
    if value is None:
        return "not given"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return "empty" if value in ("", {}, []) else f"`{value}`"


def _words(annotation: Any) -> str:
    """What a value may be, in the words of somebody who writes YAML."""
    if annotation in _WORDS:
        return _WORDS[annotation]
    origin: Any = get_origin(annotation)
    arguments: tuple[Any, ...] = get_args(annotation)
    if origin is Annotated:
        if any(getattr(each, "func", None) is seconds for each in arguments[1:]):
            return "duration"
        return _words(arguments[0])
    if origin is Literal:
        return " or ".join(f"`{each}`" for each in arguments)
    if origin is dict:
        return "mapping"
    if origin in (list, tuple):
        return f"list of {_words(arguments[0])}"
    if origin is Callable:
        return "callable (in code)"
    known = [_words(each) for each in arguments if each is not type(None)]
    if not known:
        raise TypeError(f"no words for {annotation!r}; add them to tools/generate_docs.py")
    return " or ".join(known)


def s3_presets() -> str:
    """What each provider's preset of an s3 mount sets."""
    rows: list[list[str]] = []
    for name, preset in PRESETS.items():
        more = {
            "no bulk deletion": not preset.bulk_delete,
            "no tags": not preset.tagging,
            "parts of one size": preset.equal_parts,
            "no conditions": not preset.conditions,
            "no upload forms": not preset.forms,
        }
        rows.append(
            [
                f"`{name}`",
                preset.title,
                f"`{preset.endpoint}`"
                if preset.endpoint
                else ("yours" if preset.needs_endpoint else "Amazon's"),
                f"`{preset.region}`" if preset.region else "yours",
                "before the host" if preset.virtual else "in the path",
                "Amazon's newer" if preset.checksums else "MD5 alone",
                f"`{preset.copy_if_not_exists}`" if preset.copy_if_not_exists else "",
                ", ".join(text for text, holds in more.items() if holds),
            ]
        )
    heads = ["`provider`", "Whose", "Endpoint", "Region", "Bucket", "Checksums"]
    return table([*heads, "`copy_if_not_exists`", "Further"], rows)


def s3_variables() -> str:
    """Which variable of the environment stands for which setting of an s3 mount."""
    rows = [
        [f"`{name}`", ", ".join(f"`{each}`" for each in variables)]
        for name, variables in VARIABLES.items()
    ]
    return table(["Key", "Variables, the first that is set"], rows)


def capabilities() -> str:
    """What a mount of each type can do, as the mounts themselves declare it."""
    rows: list[list[str]] = []
    with tempfile.TemporaryDirectory() as directory, StorageManager() as storage:
        wanted = samples(Path(directory))
        for row in built_in():
            storage.configure([{"name": row.name, "type": row.name, **wanted[row.name]}])
            flags = vars(storage.node(row.name).capabilities)
            # Of any other filesystem of fsspec less is known.
            name = f"`{row.name}`" + (" over memory" if row.name == "fsspec" else "")
            rows.append([name, *("yes" if flags[flag] else "no" for flag in _FLAGS)])
    return table(["`type`", *_FLAGS.values()], rows)


def guide() -> str:
    """The custom backend of the guide: its file is what the tests run the conformance suite on."""
    code = (ROOT / "docs" / "guides" / "custom_backend.py").read_text(encoding="utf-8")
    return f"```python dict_storage.py\n{code}```"


# -- the command line -----------------------------------------------------------------------------


def commands() -> str:
    """Every command, from the annotations of its function: the same with every version of typer."""
    from genro_storage.cli.app import app

    return "\n\n".join(_commands(app, ""))


def _commands(app: Any, prefix: str) -> Iterator[str]:
    for each in app.registered_commands:
        yield _command(each.callback, f"{prefix}{each.name or each.callback.__name__}")
    for group in app.registered_groups:
        yield from _commands(group.typer_instance, f"{prefix}{group.name} ")


def _command(function: Callable[..., object], name: str) -> str:
    arguments: list[str] = []
    rows: list[list[str]] = []
    hints = get_type_hints(function, include_extras=True)
    for parameter in inspect.signature(function).parameters.values():
        for info in getattr(hints[parameter.name], "__metadata__", ()):
            kind = get_args(hints[parameter.name])[0]
            if isinstance(info, typer.models.ArgumentInfo):
                word = info.metavar or parameter.name.upper()
                several = "..." if "list[" in str(kind) and "..." not in word else ""
                given = word + several
                optional = parameter.default is not parameter.empty and "[" not in word
                arguments.append(f"[{given}]" if optional else given)
                if info.help:
                    rows.append([f"`{given}`", info.help])
            elif isinstance(info, typer.models.OptionInfo):
                rows.append(_option(parameter, kind, info))
    words = ["genro-storage", name, *(["[OPTIONS]"] if rows else []), *arguments]
    parts = [f"### `{name}`", f"`{' '.join(words)}`", _prose(inspect.getdoc(function) or "")]
    return "\n\n".join([*parts, table(["", "Meaning"], rows)] if rows else parts)


def _prose(text: str) -> str:
    """The paragraphs of a docstring, in which no character is markup."""
    plain = re.sub(r"([*_<>\[\]`\\])", r"\\\1", text.replace("\b\n", ""))
    return re.sub(r"(?<!\n)\n(?!\n)", " ", plain)


def _option(parameter: inspect.Parameter, kind: Any, info: typer.models.OptionInfo) -> list[str]:
    # Inside Annotated, typer keeps the first spelling in the place of the default.
    declared = sorted([str(info.default), *(info.param_decls or ())], key=len)
    spelled = ", ".join(f"`{each}`" for each in declared)
    if kind is bool:
        return [spelled, info.help or ""]
    choices = "|".join(map(str, get_args(kind))) if get_origin(kind) is Literal else ""
    spelled += f" `{choices or info.metavar or parameter.name.upper()}`"
    if parameter.default in (None, "", parameter.empty):
        return [spelled, info.help or ""]
    default = parameter.default
    shown = f"{default:g}" if isinstance(default, float) else default
    return [spelled, f"{info.help or ''} Default: `{shown}`."]


PARTS: dict[str, Callable[[], str]] = {
    "backends": backends,
    "capabilities": capabilities,
    "commands": commands,
    "guide": guide,
    "options": options,
    "pages": pages,
    "s3-presets": s3_presets,
    "s3-variables": s3_variables,
    "settings": settings,
    **{f"options-{row.name}": _own_options(row) for row in built_in() if page_of(row)},
}


def main() -> int:
    """Rewrite what has changed and say so."""
    for path in documents():
        before = path.read_text(encoding="utf-8")
        after = regenerated(before)
        if after != before:
            path.write_text(after, encoding="utf-8")
            print(f"rewrote {path.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
