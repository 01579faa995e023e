"""What all tests share: the servers that they may ask for."""

from __future__ import annotations

pytest_plugins = [
    "tests.services.azure",
    "tests.services.certificates",
    "tests.services.folding",
    "tests.services.gcs",
    "tests.services.github",
    "tests.services.http",
    "tests.services.s3",
    "tests.services.sftp",
    "tests.services.smb",
    "tests.services.webdav",
    "tests.support.conformance_table",
    "tests.support.process",
    "tests.support.s3_places",
    "tests.support.ranged",
]
