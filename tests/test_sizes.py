from __future__ import annotations

import re

import pytest

from genro_storage.sizes import in_bytes, size_text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", 0),
        (" 17 ", 17),
        ("17b", 17),
        ("3 bytes", 3),
        ("1K", 1024),
        ("1k", 1024),
        ("1Ki", 1024),
        ("1 KiB", 1024),
        ("1kB", 1000),
        ("1.5M", 1_572_864),
        ("2GB", 2_000_000_000),
        ("1T", 1024**4),
        ("1PiB", 1024**5),
        ("0.0001K", 0),
        # Exact, where a float would not be.
        ("8191.999999999999999P", 9223372036854775806),
        (12, 12),
        (12.0, 12),
    ],
)
def test_a_size_is_a_number_of_bytes_with_the_units_of_gnu(text, expected):
    assert in_bytes(text, "max_size") == expected


@pytest.mark.parametrize("value", ["", "M", "1X", "1 2", "-1", "1e3", "٣", -1, 1.5, True, None])
def test_what_is_no_size_is_refused_by_its_name(value):
    with pytest.raises(ValueError, match=f"^max_size is {re.escape(repr(value))}; a size is"):
        in_bytes(value, "max_size")


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (10_189, "10 KiB"),
        (1_048_063, "1023 KiB"),
        (1_048_065, "1.0 MiB"),
        (3.5 * 1024**3, "3.5 GiB"),
        (5000 * 1024**5, "5000 PiB"),
    ],
)
def test_a_size_is_told_in_few_characters(count, expected):
    assert size_text(count) == expected
