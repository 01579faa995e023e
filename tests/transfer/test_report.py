from __future__ import annotations

import json

from genro_storage.info import FileInfo
from genro_storage.transfer.planning.actions import (
    Conflict,
    CopyFile,
    Filtered,
    MakeDirectory,
    SkipFile,
)
from genro_storage.transfer.report import PlanSummary, TransferReport


def test_a_report_of_nothing_but_equal_files_says_so():
    report = TransferReport(skipped=12, skip_reasons={"same content": 12})
    assert str(report) == "0 copied, 12 skipped (same content)"


def test_a_report_names_each_kind_of_skip_with_its_number():
    report = TransferReport(3, 5, 2, 1, skip_reasons={"same size": 4, "not a regular file": 1})
    assert str(report) == (
        "3 copied, 5 skipped (4 same size, 1 not a regular file), 2 filtered, 1 failed"
    )


def test_a_report_without_skips():
    assert str(TransferReport(copied=2)) == "2 copied, 0 skipped"


def test_a_report_goes_through_json():
    report = TransferReport(1, bytes_copied=7, seconds=0.5, skip_reasons={"same size": 0})
    assert json.loads(json.dumps(report.to_dict()))["bytes_copied"] == 7


def test_a_summary_counts_what_would_be_done():
    info = FileInfo("a", "file", 10)
    unknown = FileInfo("b", "file")
    summary = PlanSummary.of(
        [
            CopyFile("a", info, None, ""),
            CopyFile("b", unknown, None, ""),
            SkipFile("c", info, info, "same content (MD5: 0cc175b9...)"),
            SkipFile("d", info, info, "same content (MD5: 1cc175b9...)"),
            Filtered("e", info, ""),
            MakeDirectory("f"),
            Conflict("g", "", "path"),
        ]
    )
    assert summary.bytes_to_copy == 10
    assert summary.directories == 1
    assert str(summary) == "2 to copy, 2 to skip (same content), 1 filtered, 1 in conflict"
    assert json.loads(json.dumps(summary.to_dict()))["to_copy"] == 2
