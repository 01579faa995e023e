"""Only the mount calls a backend: seen in the source, so that no new module can slip past."""

from __future__ import annotations

import ast
from pathlib import Path

import genro_storage
from genro_storage.backends.base import Backend

PACKAGE = Path(genro_storage.__file__).parent
#: The layers that are backends, the door itself, and the suite that looks behind it on purpose.
INSIDE = (
    *("backends/", "mount.py", "mount_extras.py", "mount_reach.py", "mount_urls.py"),
    *("mount_resuming.py", "mount_transfers.py"),
    *("rights.py", "testing/"),
)
#: Who else touches a backend, which attribute, and why that is no way around the door.
ALLOWED = {
    ("manager.py", "capabilities"): "a value: whether a mount can be given these permissions",
}
#: Who names a mount's backend as an object, without asking it for anything.
COMPARED = {
    "manager.py": "closes, through the mount, what no mount uses any more",
    "node/names.py": "two mounts of one name are the same if their backend is",
}
VERBS = {name for name in dir(Backend) if name[0] != "_" and callable(getattr(Backend, name))}


def _modules():
    for path in sorted(PACKAGE.rglob("*.py")):
        name = path.relative_to(PACKAGE).as_posix()
        if not name.startswith(INSIDE):
            yield name, ast.parse(path.read_text(encoding="utf-8"))


def _is_backend(node):
    """``anything.backend``, ``anything._backend``, or a variable of that name."""
    named = node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")
    return named in ("backend", "_backend")


def _reached(tree):
    """The attributes that are read off a backend, by dot or by ``getattr``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and _is_backend(node.value):
            yield node.attr
        elif (
            isinstance(node, ast.Call)
            and getattr(node.func, "id", "") == "getattr"
            and _is_backend(node.args[0])
        ):
            yield ast.unparse(node.args[1])


def test_the_scan_sees_what_it_looks_for():
    source = "mount.backend.stat('a'); backend.find(''); getattr(self._backend, 'scan')('')"
    assert sorted(_reached(ast.parse(source))) == ["'scan'", "find", "stat"]


def test_no_module_reaches_past_the_mount():
    found = {(name, attribute) for name, tree in _modules() for attribute in _reached(tree)}
    assert found - ALLOWED.keys() == set()
    assert ALLOWED.keys() - found == set(), "an exemption that nothing needs any more"


def test_no_module_takes_the_backend_out_of_a_mount():
    found = {
        name
        for name, tree in _modules()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and node.attr == "backend"
        and not (isinstance(node.value, ast.Name) and node.value.id == "self")
    }
    assert found - COMPARED.keys() == set()
    assert COMPARED.keys() - found == set(), "an exemption that nothing needs any more"


def test_the_mount_keeps_its_way_to_the_backend_to_itself():
    private = {"_at", "_run", "_list", "_evaluate"}
    found = {
        (name, node.attr)
        for name, tree in _modules()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and node.attr in private
        and "mount" in ast.unparse(node.value).lower()
    }
    assert found == set()


def test_every_verb_of_a_backend_is_called_by_the_mount():
    called = set()
    for module in (
        *("mount.py", "mount_transfers.py", "mount_resuming.py"),
        *("mount_extras.py", "mount_urls.py"),
    ):
        tree = ast.parse((PACKAGE / module).read_text(encoding="utf-8"))
        called |= {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        called |= {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    assert VERBS - called == set()


def test_only_the_mount_and_its_handles_translate():
    users = {
        name
        for name, tree in _modules()
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and "translate" in {each.name for each in node.names}
    }
    # These meet errors that no mount stands in front of: those of a configuration file, of a
    # temporary file, of a URL, of the current directory.
    assert users <= {"handles.py", "config/loading.py", "external.py", "fetch.py", "local_node.py"}
