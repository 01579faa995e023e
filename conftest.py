"""What all tests share: the servers that they may ask for."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# How fast a machine is just now says nothing about what it runs.
settings.register_profile(
    "patient",
    parent=settings.default,
    deadline=None,
    suppress_health_check=[*settings.default.suppress_health_check, HealthCheck.too_slow],
)
settings.load_profile("patient")

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
