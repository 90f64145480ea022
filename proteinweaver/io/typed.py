"""From parsed YAML, JSON or Hydra to frozen dataclasses, refusing everything that does not fit.

A config is a frozen dataclass whose annotations are its schema. :func:`build` makes one from plain
mappings, lists and scalars; a key that is no field, or a value of another type, is a
:class:`~proteinweaver.errors.UserError` that names the place and the nearest field. Nothing is
converted silently, except an integer where a float is asked for.
"""

import dataclasses
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from proteinweaver.errors import UserError, nearest

__all__ = ["build", "defaults", "plain"]

T = TypeVar("T")


def build(cls: type[T], data: Mapping[str, Any], where: str = "") -> T:
    """Make a dataclass from a mapping.

    Parameters
    ----------
    cls : type
        A dataclass. Fields may be bool, int, float, str, ``Literal``, dataclasses,
        ``tuple[X, ...]`` and unions of these with or without None.
    data : mapping
        Values by field name; absent fields take their defaults.
    where : str, optional
        Place of `data` for messages, such as ``"job 'a' of spec.yaml"``.

    Returns
    -------
    object
        An instance of `cls`.

    Raises
    ------
    UserError
        For an unknown key, a missing field without a default, or a value of the wrong type.

    Examples
    --------
    >>> @dataclasses.dataclass(frozen=True)
    ... class Steps:
    ...     count: int = 50
    >>> build(Steps, {"count": 10})
    Steps(count=10)
    """
    prefix = f"{where}: " if where else ""
    hints = typing.get_type_hints(cls)
    known = {field.name: field for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    for key in data:
        if key not in known:
            raise UserError(f"{prefix}unknown key '{key}'; {nearest(str(key), known)}")
    values = {}
    for name, field in known.items():
        if name in data:
            values[name] = _fit(hints[name], data[name], f"{prefix}{name}")
        elif _is_required(field):
            raise UserError(f"{prefix}'{name}' is missing")
    return cls(**values)


def defaults(cls: type) -> dict[str, Any]:
    """Return the default of every field that has one, as :func:`plain` gives them.

    Parameters
    ----------
    cls : type
        A dataclass; it is not instantiated, so it may demand more than defaults.

    Returns
    -------
    dict
        Values by field name.
    """
    values = {}
    for field in dataclasses.fields(cls):
        if field.default is not dataclasses.MISSING:
            values[field.name] = plain(field.default)
        elif field.default_factory is not dataclasses.MISSING:
            values[field.name] = plain(field.default_factory())
    return values


def plain(value: Any) -> Any:
    """Turn dataclasses and tuples into mappings and lists, ready for JSON.

    Parameters
    ----------
    value : object
        A dataclass, a container, or a scalar.

    Returns
    -------
    object
        The same content as dict, list and scalars.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value


def _is_required(field: dataclasses.Field[Any]) -> bool:
    missing = dataclasses.MISSING
    return field.default is missing and field.default_factory is missing


def _fit(hint: Any, value: Any, where: str) -> Any:
    """Return `value` as the annotated type, or raise."""
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        return _fit_union(typing.get_args(hint), value, where)
    if origin is typing.Literal:
        allowed = typing.get_args(hint)
        if value not in allowed:
            known = nearest(str(value), map(str, allowed))
            raise UserError(f"{where} is {value!r}; {known}")
        return value
    if origin is tuple:
        if isinstance(value, str) or not isinstance(value, Sequence):
            raise UserError(f"{where} is {value!r}, not a list")
        item = typing.get_args(hint)[0]
        return tuple(_fit(item, part, f"{where}[{i}]") for i, part in enumerate(value))
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        if isinstance(value, hint):
            return value
        if not isinstance(value, Mapping):
            raise UserError(f"{where} is {value!r}, not a group of keys")
        return build(hint, value, where)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if hint is Any or (isinstance(value, hint) and (hint is bool or not isinstance(value, bool))):
        return value
    raise UserError(f"{where} is {value!r}, not {_said(hint)}")


def _fit_union(options: tuple[Any, ...], value: Any, where: str) -> Any:
    problems = []
    for option in options:
        if option is type(None):
            if value is None:
                return None
            continue
        try:
            return _fit(option, value, where)
        except UserError as misfit:
            problems.append((option, misfit))
    # A group of keys or a list that is nearly right tells more than "none of the types".
    for option, problem in problems:
        group = dataclasses.is_dataclass(option) and isinstance(value, Mapping)
        listed = typing.get_origin(option) is tuple and isinstance(value, (list, tuple))
        if group or listed:
            raise problem
    said = " or ".join(_said(option) for option in options if option is not type(None))
    raise UserError(f"{where} is {value!r}, not {said}")


def _said(hint: Any) -> str:
    """Name a type as a person would."""
    names = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}
    if typing.get_origin(hint) is tuple:
        return "a list"
    if dataclasses.is_dataclass(hint):
        return "a group of keys"
    return names.get(hint, str(hint))
