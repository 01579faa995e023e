"""What the documentation shows is true: each code block runs, each link leads somewhere."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import re
import subprocess
import sys
import types
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

import genro_storage
from tests.support.docblocks import Reader, blocks_of

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("notebooks/*.md")])
DOCUMENTS = [path for path in DOCUMENTS if "_build" not in path.parts]
MODULES = sorted(
    info.name
    for info in pkgutil.walk_packages(genro_storage.__path__, f"{genro_storage.__name__}.")
    if not info.name.endswith(".__main__")
)
# Every exemption is a promise that nobody checks: raise this only with a reason as good as theirs.
MOST_EXEMPTIONS = 8


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.fixture
def at_home(tmp_path, monkeypatch):
    """An empty directory to work in, and a home that is nobody's."""
    home, work = tmp_path / "home", tmp_path / "work"
    home.mkdir()
    work.mkdir()
    monkeypatch.chdir(work)
    monkeypatch.setenv("HOME", str(home))
    for name in ("GENRO_STORAGE_CONFIG", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.syspath_prepend(work)
    return work


@pytest.mark.slow
@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_every_code_block_runs(document, at_home, monkeypatch):
    module = types.ModuleType("__docs__")
    # Classes that a block defines find their annotations through their module.
    monkeypatch.setitem(sys.modules, "__docs__", module)
    Reader(at_home, module).follow(document)


def test_exemptions_are_few():
    exempt = [block.where for path in DOCUMENTS for block in blocks_of(path) if block.exempt]
    assert len(exempt) <= MOST_EXEMPTIONS, exempt


@pytest.mark.parametrize("module", [genro_storage.__name__, *MODULES])
def test_every_doctest_runs(module, at_home):
    outcome = doctest.testmod(
        importlib.import_module(module),
        optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE,
        report=False,
    )
    assert outcome.failed == 0


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_every_relative_link_leads_somewhere(document):
    for target in links_of(document):
        if re.match(r"[a-z][a-z0-9+.-]*:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (document.parent / path).resolve() if path else document
        assert file.exists(), f"{target} in {name_of(document)}"
        assert file.is_relative_to(ROOT), f"{target} leaves the repository"
        if anchor and file.suffix == ".md":
            assert anchor in anchors_of(file), f"{target} in {name_of(document)}"


def links_of(document: Path) -> list[str]:
    found = []
    for token in MarkdownIt().parse(document.read_text(encoding="utf-8")):
        for child in token.children or ():
            attribute = {"link_open": "href", "image": "src"}.get(child.type)
            if attribute:
                found.append(str(child.attrGet(attribute)))
    return found


def anchors_of(document: Path) -> set[str]:
    """The anchors that GitHub and MyST make of headings, and explicit MyST targets."""
    text = document.read_text(encoding="utf-8")
    tokens = MarkdownIt().parse(text)
    headings = [
        tokens[i + 1].content for i, token in enumerate(tokens) if token.type == "heading_open"
    ]
    slugs = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    return slugs | set(re.findall(r"^\(([\w-]+)\)=$", text, re.MULTILINE))


def make_targets() -> dict[str, str]:
    """What plain ``make`` prints."""
    shown = subprocess.run(["make"], cwd=ROOT, text=True, stdout=subprocess.PIPE, check=True).stdout
    return dict(line.strip().removeprefix("make ").split(None, 1) for line in shown.splitlines())


def test_plain_make_lists_every_target_with_a_description():
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    phony = re.search(r"^\.PHONY: (.*)$", text, re.MULTILINE)
    assert phony is not None
    targets = make_targets()
    assert set(targets) == set(phony[1].split())
    assert {"install", "check", "test", "test-min", "bench", "docs", "demo", "clean"} <= set(
        targets
    )
    assert all(targets.values())


def test_every_make_target_that_the_documents_name_exists():
    targets = make_targets()
    for document in DOCUMENTS:
        text = document.read_text(encoding="utf-8")
        for name in re.findall(r"(?:^\$ |`)make ([a-z][a-z-]*)", text, re.MULTILINE):
            assert name in targets, f"make {name} in {name_of(document)}"


def test_every_file_that_the_documents_name_exists():
    for document in DOCUMENTS:
        text = document.read_text(encoding="utf-8")
        for name in re.findall(r"`((?:docs|examples|tests|tools)/[\w./*-]*)`", text):
            assert list(ROOT.glob(name)), f"{name} in {name_of(document)}"


def test_the_architecture_names_every_module():
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    for info in pkgutil.iter_modules(genro_storage.__path__):
        name = f"{info.name}/" if info.ispkg else info.name
        # backends/ has a row for each of its modules
        wanted = f"`{name}" if info.ispkg else f"`{name}`"
        assert info.name == "__main__" or wanted in text, name


@pytest.mark.slow
def test_the_html_documentation_builds_without_a_warning(tmp_path):
    done = subprocess.run(
        [
            *(sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html"),
            *("-d", str(tmp_path / "doctrees"), str(ROOT / "docs"), str(tmp_path / "html")),
        ],
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert (tmp_path / "html" / "index.html").exists()


def test_every_compose_service_listens_on_this_machine_only():
    import yaml

    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    assert compose["services"]
    for name, service in compose["services"].items():
        if service["image"] != "atmoz/sftp:debian":  # its makers publish no versions
            assert re.search(r":[\w.-]*\d", service["image"]), f"{name}: pin the image's version"
        assert all(port.startswith("127.0.0.1:") for port in service["ports"]), name
