"""The types ``zip``, ``tar`` and ``libarchive``: their options, and what builds them."""

from __future__ import annotations

import codecs
import os
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, SecretStr, field_validator

from ..options import BackendOptions

if TYPE_CHECKING:
    from ..base import Backend
    from ..context import BuildContext, Place
    from .tree import Limits

__all__ = [
    "ArchiveOptions",
    "LibarchiveOptions",
    "TarOptions",
    "ZipOptions",
    "build_libarchive",
    "build_tar",
    "build_zip",
]


def _as_path(value: Any) -> Any:
    return os.fspath(value) if isinstance(value, os.PathLike) else value


class ArchiveOptions(BackendOptions):
    """Where an archive lies, and how much it may grow when it is read."""

    makes_when_built: ClassVar[bool] = False

    file: Annotated[str, BeforeValidator(_as_path)] = Field(
        min_length=1,
        description="The archive: a path (in a file, a relative one starts at the file's directory "
        "and '~' is the home directory; in code it must be absolute), 'mount:path' for a file of "
        "another mount, or a URL that fsspec knows (https://…, s3://…).",
    )
    target_protocol: str | None = Field(
        default=None,
        min_length=1,
        description="The fsspec filesystem that holds the archive, where 'file' is no URL.",
    )
    target_options: dict[str, Any] = Field(
        default_factory=dict,
        repr=False,
        description="What the constructor of that filesystem takes; never shown, since it may "
        "hold secrets.",
    )
    max_entries: int = Field(
        default=500_000,
        ge=1,
        description="The most entries that an archive may have, against one made to fill the "
        "memory.",
    )
    max_size: int = Field(
        default=64 * 1024**3,
        ge=1,
        description="The most bytes that its content may have in all where that is more than the "
        "archive itself has.",
    )
    max_ratio: float = Field(
        default=200.0,
        ge=1,
        allow_inf_nan=False,
        description="How many times as large as its compressed form an entry of more than 64 MiB "
        "may be.",
    )

    @field_validator("file")
    @classmethod
    def _check_file(cls, value: str) -> str:
        if "\x00" in value:
            raise ValueError("a path cannot contain a NUL character")
        return value

    @property
    def limits(self) -> Limits:
        """The three limits as one value."""
        from .tree import Limits

        return Limits(self.max_entries, self.max_size, self.max_ratio)


def _label(context: BuildContext, kind: str) -> str:
    return f"mount {context.mount!r} ({kind})"


def _place(options: ArchiveOptions, context: BuildContext, kind: str) -> Place:
    from .places import place_of

    return place_of(
        options.file,
        options.target_protocol,
        options.target_options,
        context,
        _label(context, kind),
    )


class ZipOptions(ArchiveOptions):
    """A zip archive."""

    mode: Literal["r", "w", "a"] = Field(
        default="a",
        description="'r' for a mount that only reads; 'a' (or 'w', which means the same and never "
        "empties an archive) for one that also writes.",
    )
    create: bool = Field(
        default=True,
        description="With 'mode: a', make the archive with its first file where it is missing; "
        "false where a missing one is an error.",
    )
    password: SecretStr | None = Field(
        default=None,
        description="Opens entries with the traditional encryption (not AES: see 'libarchive').",
    )
    encoding: str | None = Field(
        default=None,
        description="How names are encoded that the archive does not mark as UTF-8. By default "
        "cp437, and UTF-8 where a program on Unix wrote the name and it is UTF-8.",
    )

    @field_validator("encoding")
    @classmethod
    def _check_encoding(cls, value: str | None) -> str | None:
        from .zip_names import plain_in

        if value is None:
            return None
        try:
            codecs.lookup(value)
        except LookupError:
            raise ValueError("Python knows no such encoding") from None
        if not plain_in(value):
            raise ValueError(
                "names in an archive are never in this encoding, in which the letters of ASCII are "
                "others; leave it out, or try utf-8, cp437, cp932 or latin-1"
            )
        return value


def build_zip(options: ZipOptions, context: BuildContext) -> Backend:
    """The backend of a zip archive, which is looked at when it is first used.

    Raises ``StorageConfigError`` where ``file`` names no file that could be one.
    """
    from .zip import ZipBackend

    return ZipBackend(
        _place(options, context, "zip"),
        options.limits,
        context.mount,
        writable=options.mode != "r",
        create=options.create,
        encoding=options.encoding,
        password=options.password,
    )


_COMPRESSIONS: dict[str, str | None] = {
    **{name: name for name in ("none", "gz", "bz2", "xz", "lzma", "zst")},
    "gzip": "gz",
    "zstd": "zst",
    "bzip2": "bz2",
    "infer": None,
}


class TarOptions(ArchiveOptions):
    """A tar archive, compressed or not."""

    compression: str | None = Field(
        default=None,
        description="How an archive is compressed that this mount makes: none, gz, bz2, xz, lzma "
        "or zst; by default what its name says. Reading needs no such word: the content tells.",
    )
    mode: Literal["r", "w", "a"] = Field(
        default="r",
        description="'r' for a mount that only reads; 'a' (or 'w', which means the same and never "
        "empties an archive) for one that also writes.",
    )
    create: bool = Field(
        default=False,
        description="Make the archive with its first file where it is missing; includes 'mode: a'.",
    )

    @field_validator("compression")
    @classmethod
    def _check_compression(cls, value: str | None) -> str | None:
        if value is None:
            return None
        if value not in _COMPRESSIONS:
            raise ValueError(f"unknown; use one of {', '.join(_COMPRESSIONS)}")
        return _COMPRESSIONS[value]


def build_tar(options: TarOptions, context: BuildContext) -> Backend:
    """The backend of a tar archive, which is looked at when it is first used.

    Raises ``StorageConfigError`` where ``file`` names no file that could be one.
    """
    from .tar import TarBackend

    return TarBackend(
        _place(options, context, "tar"),
        options.limits,
        context.mount,
        writable=options.create or options.mode != "r",
        compression=options.compression,
    )


class LibarchiveOptions(ArchiveOptions):
    """An archive of any format that libarchive reads: 7z, RAR, ISO 9660, cab, cpio."""

    password: SecretStr | None = Field(
        default=None, description="Opens encrypted zip archives, those with AES included."
    )


def build_libarchive(options: LibarchiveOptions, context: BuildContext) -> Backend:
    """The backend of an archive that libarchive reads when it is first used.

    Raises ``StorageConfigError`` where ``file`` names no file that could be one.
    """
    from .libarchive_backend import LibarchiveBackend

    return LibarchiveBackend(
        _place(options, context, "libarchive"),
        options.limits,
        context.mount,
        password=options.password,
    )
