"""The base of every model that validates what people write in a configuration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel, ConfigDict, ModelWrapValidatorHandler, PrivateAttr, model_validator

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Self

__all__ = ["BackendOptions", "StrictModel", "renamed"]


class _Spellings(dict[str, tuple[str, ...]]):
    """What leads to each field; no difference between two configurations that say the same."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Spellings)

    __hash__ = None


class StrictModel(BaseModel):
    """Frozen, refuses unknown keys, and shows no value anywhere: any of them may be a secret.

    ``synonyms`` maps another spelling of a key to the field it stands for. Giving both is an
    error unless they are equal.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        validate_default=False,
        arbitrary_types_allowed=True,
    )

    synonyms: ClassVar[Mapping[str, str]] = {}
    #: What may stand before a key, in small or capital letters; the longest first.
    prefixes: ClassVar[tuple[str, ...]] = ()

    _written: _Spellings = PrivateAttr(default_factory=_Spellings)

    @model_validator(mode="before")
    @classmethod
    def _rename_synonyms(cls, data: Any) -> Any:
        if not cls.synonyms or not isinstance(data, dict):
            return data
        return renamed(data, cls.synonyms)

    @model_validator(mode="wrap")
    @classmethod
    def _note_spellings(cls, data: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        made = handler(data)
        if isinstance(data, Mapping):
            made._written = _Spellings(cls.spellings(data))
            # No key of their own: they come from another, as the bucket from a `url`.
            for name in made.model_fields_set - made._written.keys() if "url" in data else ():
                made._written[name] = ("url",)
        return made

    @classmethod
    def known_keys(cls) -> list[str]:
        """Every spelling that is accepted, for suggestions."""
        return [*cls.model_fields, *cls.synonyms]

    @classmethod
    def field_of(cls, key: str) -> str | None:
        """The field that a key of a configuration stands for; None where there is none."""
        for name in (key, next(_without(key, cls.prefixes), key)):
            found = cls.synonyms.get(name, name)
            if found in cls.model_fields:
                return found
        return None

    @classmethod
    def spellings(cls, data: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
        """The fields that ``data`` has, and the keys that lead to each, as they are written."""
        named = {key: cls.field_of(str(key)) for key in data}
        return {name: (key,) for key, name in named.items() if name is not None}

    def written(self, name: str) -> str:
        """A field as whoever configured it has called it: ``access_key``, ``config.aws_region``."""
        return ".".join(self._written.get(name, (name,)))

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        # Names only: a password can hide in any text (a URL, a dictionary of options).
        return [(name, ...) for name in sorted(self.model_fields_set)]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(sorted(self.model_fields_set))})"

    __str__ = __repr__


def _without(key: str, prefixes: Iterable[str]) -> Iterator[str]:
    low = key.lower()
    return (low[len(each) :] for each in prefixes if low.startswith(each))


def renamed(data: Mapping[str, Any], synonyms: Mapping[str, str]) -> dict[str, Any]:
    """The same with every other spelling of a key as the field it stands for.

    Raises ``ValueError``, which names both, where two of them have different values.
    """
    found = dict(data)
    for other, field in synonyms.items():
        if other not in found:
            continue
        value = found.pop(other)
        if field in found and found[field] != value:
            raise ValueError(
                f"{field!r} and {other!r} are two names of one option, but their values "
                "differ; keep one of them"
            )
        found[field] = value
    return found


class BackendOptions(StrictModel):
    """What one type of mount can be told, without the keys that all mounts share.

    A subclass declares fields with descriptions (they go into the JSON Schema), ``SecretStr``
    for whatever must not be seen, and validators that never put a value into their messages.

    ``makes_when_built`` is True where a mount with ``create: true`` makes its root while it is being
    built, and not with its first file: a check of the configuration must then leave that out.
    ``one_of`` names keys of which one is needed, for the documents. ``place_scheme`` is that of the
    URL by which people call a place of this type: ``s3`` for ``s3://bucket/prefix``.

    >>> class FtpOptions(BackendOptions):
    ...     synonyms = {"server": "host"}
    ...     host: str
    >>> FtpOptions.model_validate({"server": "ftp.example.org"}).host
    'ftp.example.org'
    """

    makes_when_built: ClassVar[bool] = True
    one_of: ClassVar[tuple[str, ...]] = ()
    place_scheme: ClassVar[str] = ""
