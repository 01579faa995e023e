"""Which client can honour which setting. Pure."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Literal

from ..addresses import has_zone

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .options import S3Options

__all__ = ["INSTALL", "check_engine", "engine_of"]

#: How to have obstore too.
INSTALL = 'pip install "genro-storage[s3]"'
#: What aiohttp, on which the SDK stands, has nothing like.
_OBSTORE_ONLY = (
    "http2_only",
    "http2_keep_alive_interval",
    "http2_keep_alive_timeout",
    "http2_keep_alive_while_idle",
    "http2_max_frame_size",
    "randomize_addresses",
    "pool_max_idle_per_host",
)
#: What obstore has no address, or no signature, for.
_FSSPEC_ONLY = ("use_fips_endpoint", "use_dualstack_endpoint", "use_accelerate_endpoint")


def _needs(options: S3Options) -> Iterator[tuple[str, Literal["obstore", "fsspec"], str]]:
    """Every setting that only one client can honour, which one, and what to do about it."""
    for name in _OBSTORE_ONLY:
        if getattr(options, name):
            yield name, "obstore", f"leave {name!r} out"
    if options.http1_only is False:
        yield "http1_only", "obstore", "leave 'http1_only' out"
    for name in _FSSPEC_ONLY:
        if getattr(options, name):
            yield name, "fsspec", f"leave {name!r} out"
    if (options.bucket or "").startswith("arn:"):
        yield "bucket", "fsspec", "give the bucket's name, or the alias of the access point"
    if has_zone(options.endpoint_url):
        yield "endpoint_url", "fsspec", "leave the interface out of it"
    if options.is_express:
        # Its sessions and its listings are of another kind.
        name = "bucket" if options.s3_express is None else "s3_express"
        yield name, "fsspec", "use a bucket of another kind"
    if options.checksum_algorithm == "crc64nvme" and find_spec("awscrt") is None:
        yield "checksum_algorithm", "obstore", "install awscrt, or use sha256"


def check_engine(options: S3Options) -> None:
    """``ValueError``, which names the fix, where the chosen engine cannot honour a setting."""
    engine_of(options)


def engine_of(options: S3Options) -> Literal["obstore", "fsspec"]:
    """The client that moves the contents of a mount; ``ValueError`` where none can do it all."""
    chosen: Literal["obstore", "fsspec"] | None = None
    because = "engine"
    if options.engine != "auto":
        chosen = options.engine
    for name, engine, instead in _needs(options):
        if chosen is None:
            chosen, because = engine, name
        elif engine != chosen:
            if because != "engine":
                raise ValueError(
                    f"{because!r} needs the engine {chosen} and {name!r} the engine {engine}; "
                    "keep one of them"
                )
            raise ValueError(
                f"the engine {chosen} cannot honour {name!r}; use 'engine: {engine}' (or auto), "
                f"or {instead}"
            )
    if chosen is not None:
        return chosen
    return "obstore" if find_spec("obstore") is not None else "fsspec"
