"""Run the code blocks of a Markdown file as a reader would, from top to bottom.

The blocks of one file share one directory, one Python namespace and one shell state:

* ``python``: executed; with ``>>>`` prompts, a doctest;
* ``bash``/``sh``: one script, which must succeed;
* ``console``: each ``$`` command; what is shown below it is compared (``...`` matches anything).
  A command may fail only if the next one is ``$ echo $?``;
* ``yaml``, ``toml``, ``json``: parsed; mounts are also validated by the library;
* a file name after the language (```` ```yaml mounts.yaml ````) writes the block to that file, and
  some later block must use it;
* ``text``, ``mermaid``, ``diff``: nothing to run. Any other language is an error.

``<!-- not run: reason -->`` directly above a block exempts it.
"""

from __future__ import annotations

import doctest
import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
import types
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from markdown_it import MarkdownIt

INERT = {"text", "mermaid", "diff"}
SHELL = {"bash", "sh", "console"}
DATA = {"yaml", "toml", "json"}
PYTHON = {"python", "pycon"}

# A comment that names the exemption at all must do it right, or it would exempt nothing silently.
_MENTION = re.compile(r"<!--\s*not[ -]run", re.IGNORECASE)
_EXEMPT = re.compile(r"<!-- not run: (?P<reason>\S.{9,}?) -->", re.DOTALL)
_FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@dataclass(frozen=True)
class Block:
    """One fenced block; ``line`` is where its content starts, counted from 1."""

    source: Path
    line: int
    language: str
    file_name: str
    code: str
    exempt: str | None

    @property
    def where(self) -> str:
        """``docs/index.md:12``, as editors understand it."""
        return f"{self.source}:{self.line}"


def blocks_of(source: Path) -> list[Block]:
    """The fenced blocks in the order of the file, MyST directives left out."""
    found: list[Block] = []
    reason: str | None = None
    for token in MarkdownIt().parse(source.read_text(encoding="utf-8")):
        start = token.map[0] + 1 if token.map else 0
        if token.type == "html_block" and _MENTION.search(token.content):
            match = _EXEMPT.fullmatch(token.content.strip())
            if match is None:
                raise AssertionError(
                    f"{source}:{start}: write <!-- not run: reason --> with a reason that explains"
                )
            reason = " ".join(match["reason"].split())
            continue
        if token.type == "code_block":
            raise AssertionError(f"{source}:{start}: indented code; use a fence with a language")
        if token.type == "fence" and token.info.startswith("{"):
            _check_directive(source, start, token.info, token.content)
        elif token.type == "fence":
            language, _, name = token.info.strip().partition(" ")
            found.append(Block(source, start + 1, language, name.strip(), token.content, reason))
        elif reason is not None and not token.type.endswith("_close"):
            raise AssertionError(f"{source}:{start}: 'not run' stands above something else")
        reason = None
    if reason is not None:
        raise AssertionError(f"{source}: 'not run' at the end stands above nothing")
    return found


def _check_directive(source: Path, line: int, info: str, content: str) -> None:
    """A MyST directive in backticks may hold no code, which nobody would run."""
    if "```" in content or re.match(r"\{(code|sourcecode|doctest|testcode|literalinclude)", info):
        raise AssertionError(f"{source}:{line}: put directives in ::: and code in plain fences")


@dataclass
class Reader:
    """Someone who follows one document inside ``directory``, which is the current directory."""

    directory: Path
    module: types.ModuleType = field(default_factory=lambda: types.ModuleType("__docs__"))
    _status: int = 0

    def follow(self, source: Path) -> int:
        """Run all blocks of the file; how many were run."""
        blocks = blocks_of(source)
        count = 0
        for position, block in enumerate(blocks):
            if block.exempt is not None or block.language in INERT:
                continue
            self.run(block, blocks[position + 1 :])
            count += 1
        return count

    def run(self, block: Block, later: list[Block]) -> None:
        """Run one block, or raise what went wrong with its place in the message."""
        if block.file_name:
            target = self.directory / block.file_name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(block.code, encoding="utf-8")
            if not any(block.file_name in other.code for other in later):
                raise AssertionError(f"{block.where}: no later block uses {block.file_name}")
        if block.language in DATA:
            self._check_data(block)
        elif block.language == "console":
            self._run_console(block)
        elif block.language in SHELL and not block.file_name:
            self._command(f"set -euo pipefail\n{block.code}", block.where)
        elif block.language in PYTHON and block.file_name:
            compile(block.code, block.where, "exec")
        elif block.language in PYTHON:
            self._run_python(block)
        elif block.language not in SHELL:
            known = ", ".join(sorted(SHELL | DATA | PYTHON | INERT))
            raise AssertionError(f"{block.where}: language {block.language!r} is none of {known}")

    def _run_python(self, block: Block) -> None:
        if re.search(r"^>>> ", block.code, re.MULTILINE):
            test = doctest.DocTestParser().get_doctest(
                block.code, self.module.__dict__, block.where, str(block.source), block.line - 1
            )
            report: list[str] = []
            runner = doctest.DocTestRunner(optionflags=_FLAGS, verbose=False)
            if runner.run(test, out=report.append, clear_globs=False).failed:
                raise AssertionError("".join(report))
            # A DocTest works on a copy of the names that it was given.
            self.module.__dict__.update(test.globs)
            return
        # Empty lines in front make the line numbers of a traceback those of the document.
        code = compile("\n" * (block.line - 1) + block.code, str(block.source), "exec")
        exec(code, self.module.__dict__)

    def _run_console(self, block: Block) -> None:
        steps = re.findall(r"^\$ ((?:.*\\\n)*.*)\n((?:(?!\$ ).*\n)*)", block.code, re.MULTILINE)
        if not steps or not block.code.startswith("$ "):
            raise AssertionError(f"{block.where}: a console block starts with '$ ' and a command")
        for position, (command, shown) in enumerate(steps):
            following = steps[position + 1][0] if position + 1 < len(steps) else ""
            output = self._command(command, block.where, may_fail=following == "echo $?")
            checker = doctest.OutputChecker()
            if shown.strip() and not checker.check_output(shown.rstrip(), output.rstrip(), _FLAGS):
                raise AssertionError(
                    f"{block.where}: $ {command}\n--- shown\n{shown}\n--- printed\n{output}"
                )

    def _command(self, command: str, where: str, *, may_fail: bool = False) -> str:
        """Run in a new shell that continues where the last one stopped; its output."""
        state = self.directory.parent / f"{self.directory.name}.state"
        state.touch()
        file = shlex.quote(str(state))
        keep = shlex.quote(f'{{ export -p; printf "cd %q\\n" "$PWD"; }} > {file}')
        done = subprocess.run(
            ["bash", "-c", f". {file}\ntrap {keep} EXIT\n(exit {self._status})\n{command}\n"],
            cwd=self.directory,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
            check=False,
        )
        self._status = done.returncode
        if done.returncode and not may_fail:
            raise AssertionError(
                f"{where}: exit status {done.returncode}\n$ {command}\n{done.stdout}"
            )
        return done.stdout

    def _environment(self) -> dict[str, str]:
        commands = Path(sys.executable).parent
        return {
            **os.environ,
            "PATH": f"{commands}{os.pathsep}{os.environ['PATH']}",
            "COLUMNS": "100",
            "NO_COLOR": "1",
            "TERM": "dumb",
        }

    def _check_data(self, block: Block) -> None:
        if block.language == "yaml":
            value = yaml.safe_load(block.code)
        elif block.language == "toml":
            value = tomllib.loads(block.code)
        else:
            value = json.loads(block.code)
        if looks_like_mounts(value):
            self._check_mounts(block)

    def _check_mounts(self, block: Block) -> None:
        from genro_storage.config import load

        target = self.directory / f"block-{block.line}.{block.language}"
        target.write_text(block.code, encoding="utf-8")
        try:
            load(target)
        finally:
            target.unlink()


def looks_like_mounts(value: object) -> bool:
    """Whether a document is a configuration file of the library."""
    if isinstance(value, dict):
        return "mounts" in value
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(item, dict) and "name" in item for item in value)
    )
