"""Options that several commands share: a class of them, which is one argument of the function."""

from __future__ import annotations

import dataclasses
import functools
import inspect
from typing import TYPE_CHECKING, Any, get_type_hints

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["grouped"]

_KEYWORD = inspect.Parameter.KEYWORD_ONLY


def grouped(command: Callable[..., None]) -> Callable[..., None]:
    """The command in whose place typer sees the fields of the dataclasses that it takes.

    >>> @dataclasses.dataclass
    ... class Limits:
    ...     least: int = 0
    ...     most: int = 10
    >>> @grouped
    ... def show(limits: Limits, name: str = "x"):
    ...     print(name, limits)
    >>> str(inspect.signature(show))
    "(*, least: int = 0, most: int = 10, name: str = 'x')"
    >>> show(most=5)
    x Limits(least=0, most=5)
    """
    groups: dict[str, Any] = {}
    parameters: list[inspect.Parameter] = []
    for parameter in inspect.signature(command, eval_str=True).parameters.values():
        if dataclasses.is_dataclass(parameter.annotation):
            groups[parameter.name] = parameter.annotation
            parameters += _options(parameter.annotation)
        else:
            parameters.append(parameter.replace(kind=_KEYWORD))

    @functools.wraps(command)
    def call(**values: Any) -> None:
        for name, group in groups.items():
            names = [each.name for each in dataclasses.fields(group) if each.name in values]
            values[name] = group(**{each: values.pop(each) for each in names})
        command(**values)

    found: Any = call
    found.__signature__ = inspect.Signature(parameters)
    found.__annotations__ = {each.name: each.annotation for each in parameters}
    return call


def _options(group: Any) -> Iterator[inspect.Parameter]:
    hints = get_type_hints(group, include_extras=True)
    for field in dataclasses.fields(group):
        yield inspect.Parameter(
            field.name, _KEYWORD, default=field.default, annotation=hints[field.name]
        )
