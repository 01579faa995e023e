"""The base of every model that validates what people write in a configuration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel, ConfigDict, model_validator

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["BackendOptions", "StrictModel", "renamed"]


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

    @model_validator(mode="before")
    @classmethod
    def _rename_synonyms(cls, data: Any) -> Any:
        if not cls.synonyms or not isinstance(data, dict):
            return data
        return renamed(data, cls.synonyms)

    @classmethod
    def known_keys(cls) -> list[str]:
        """Every spelling that is accepted, for suggestions."""
        return [*cls.model_fields, *cls.synonyms]

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        # Names only: a password can hide in any text (a URL, a dictionary of options).
        return [(name, ...) for name in sorted(self.model_fields_set)]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(sorted(self.model_fields_set))})"

    __str__ = __repr__


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
    ``one_of`` names keys of which one is needed, for the documents.

    >>> class FtpOptions(BackendOptions):
    ...     synonyms = {"server": "host"}
    ...     host: str
    >>> FtpOptions.model_validate({"server": "ftp.example.org"}).host
    'ftp.example.org'
    """

    makes_when_built: ClassVar[bool] = True
    one_of: ClassVar[tuple[str, ...]] = ()
