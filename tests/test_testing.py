"""The conformance suite catches faults: each broken backend fails the test meant for its fault."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from genro_storage import testing
from tests.support.broken_backends import FAULTS
from tests.support.once import made_once

# The module runs the suite in a process of its own.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

ROOT = Path(__file__).resolve().parent.parent
MODULE = "tests/support/broken_backends.py"


def run_the_suite(work):
    """One run over all the broken backends, which leaves ``report.xml``."""
    wanted = {f"{MODULE}::Test{fault.__name__}::{test}" for fault, test in FAULTS.items()}
    wanted |= {f"{MODULE}::TestWithoutFault::{test}" for test in FAULTS.values()}
    wanted |= {f"{MODULE}::TestLocalWithoutFault::{test}" for test in FAULTS.values()}
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "--tb=no", "-p", "no:cacheprovider"),
            *("-p", "no:xdist", f"--basetemp={work}/temp", f"--junitxml={work}/report.xml"),
            *sorted(wanted),
        ],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        timeout=1000,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """``{(class, test): {"passed", "failed" …}}`` of that run."""
    work = made_once(tmp_path_factory, "broken-backends", run_the_suite)
    found = defaultdict(set)
    for case in ET.parse(work / "report.xml").iter("testcase"):
        verdict = next((child.tag for child in case if child.tag != "properties"), "passed")
        test = case.get("name").partition("[")[0]
        found[case.get("classname").rpartition(".")[2], test].add(verdict)
    return found


@pytest.mark.parametrize(
    ("fault", "test"), list(FAULTS.items()), ids=[fault.__name__ for fault in FAULTS]
)
def test_the_suite_catches(outcomes, fault, test):
    assert "failure" in outcomes[f"Test{fault.__name__}", test]


@pytest.mark.parametrize("test", sorted(set(FAULTS.values())))
def test_without_the_fault_the_same_test_passes(outcomes, test):
    for name in ("TestWithoutFault", "TestLocalWithoutFault"):
        assert outcomes[name, test] <= {"passed", "skipped"}
    assert "passed" in outcomes["TestWithoutFault", test] | outcomes["TestLocalWithoutFault", test]


def test_a_suite_without_a_mount_says_what_to_write():
    with pytest.raises(NotImplementedError, match="mount_config"):
        testing.Ground.mount_config.__wrapped__(testing.Ground())


def test_awkward_names_are_all_different_and_fit_into_255_bytes():
    assert len(set(testing.AWKWARD_NAMES)) == len(testing.AWKWARD_NAMES)
    assert max(len(name.encode()) for name in testing.AWKWARD_NAMES) == 255


def test_every_test_of_the_suite_has_a_name_of_its_own():
    parts = [
        part for part in testing.BackendConformance.__mro__ if part.__module__.startswith("genro")
    ]
    names = [name for part in parts for name in vars(part) if name.startswith("test_")]
    assert len(names) == len(set(names))
