"""Frozen dataclasses to and from plain values, and changes to them by dotted names."""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

from kineograph.errors import RequestError

T = TypeVar("T")

MOST_TOLD = 60  # letters of a value in a message


def from_dict(cls: type[T], values: Mapping[str, Any]) -> T:
    """Build the dataclass `cls` from plain values, nested ones included; the inverse of `dataclasses.asdict`.

    Raises:
        RequestError: a name is unknown or missing, or a value has the wrong type.
    """
    hints = typing.get_type_hints(cls)
    unknown = [name for name in values if name not in hints]
    if unknown:
        known = ", ".join(sorted(hints))
        raise RequestError(f"'{_told(unknown[0])}' is not a setting of {cls.__name__}: choose from {known}.")
    try:
        return cls(**{name: _convert(hints[name], value, name) for name, value in values.items()})
    except TypeError as error:
        raise RequestError(f"{cls.__name__} is incomplete: {error}.") from error


def override(config: T, settings: Mapping[str, str]) -> T:
    """Change single values, as in `{"flow.optim.rate": "0.001"}`; text is read as the value's own type."""
    for name, text in settings.items():
        config = _set(config, name.split("."), text, name)
    return config


def _set(config: Any, path: list[str], text: str, whole: str) -> Any:
    hints = typing.get_type_hints(type(config)) if dataclasses.is_dataclass(config) else {}
    if path[0] not in hints:
        known = ", ".join(sorted(hints)) or "none below it"
        raise RequestError(
            f"There is no setting '{_told(whole)}': at '{_told(path[0])}' choose from {known}."
        )
    if len(path) > 1:
        value = _set(getattr(config, path[0]), path[1:], text, whole)
    else:
        value = _convert(hints[path[0]], _read(hints[path[0]], text, whole), whole)
    return dataclasses.replace(config, **{path[0]: value})


def _read(hint: Any, text: str, name: str) -> Any:
    """Text to a plain value that fits the hint; a tuple's items are separated by commas."""
    if typing.get_origin(hint) is tuple:
        item = typing.get_args(hint)[0]
        return [_read(item, part, name) for part in text.split(",")] if text else []
    if hint is bool and text.lower() in ("true", "false"):
        return text.lower() == "true"
    return _number(hint, text, name) if hint in (int, float) else text


def _number(kind: type[int] | type[float], text: str, name: str) -> int | float:
    try:
        number = kind(text)
    except ValueError:
        number = math.nan
    if math.isnan(number):
        raise RequestError(f"'{_told(text)}' is not a number: give {name} as {kind.__name__}.")
    return number


def _convert(hint: Any, value: Any, name: str) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if dataclasses.is_dataclass(hint) and isinstance(hint, type) and isinstance(value, Mapping):
        return from_dict(hint, value)
    if origin in (typing.Union, types.UnionType):
        return None if value is None else _convert(arguments[0], value, name)
    if origin is tuple and isinstance(value, list | tuple):
        if arguments[-1] is not ... and len(value) != len(arguments):
            raise RequestError(f"The setting {name} takes {len(arguments)} values, not {len(value)}.")
        return tuple(_convert(arguments[0], item, name) for item in value)
    if hint is float and type(value) is int:
        return float(value)
    wanted = origin or hint
    misfit = isinstance(wanted, type) and not isinstance(value, wanted)
    if misfit or (isinstance(value, bool) and wanted in (int, float)):
        raise RequestError(f"'{_told(value)}' does not fit the setting {name}: give {wanted.__name__}.")
    return value


def _told(value: object) -> str:
    """A value as a message shows it, whoever wrote it: on one line, short, harmless to a terminal."""
    text = repr(value)
    return (text[1:-1] if isinstance(value, str) else text)[:MOST_TOLD]
