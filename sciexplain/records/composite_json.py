"""Propagation rules as JSON, so that a record can be verified without being told them again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import torch
from torch import Tensor, nn

from .. import rules
from ..composites import Composite
from ..errors import DataError
from .digest import packed, unpacked


def to_json(composite: Composite | str | None) -> Any:
    """A preset's name as it is, others line by line; None for rules or module types that are not this package's or
    torch's own, which only their author can make again."""
    if composite is None or isinstance(composite, str):
        return composite
    lines = [[_selector(selector), _rule(rule)] for selector, rule in composite.lines]
    default = _rule(composite.default)
    if default is None or any(None in line for line in lines):
        return None
    return {"lines": lines, "default": default, "attention": composite.attention}


def from_json(value: Any) -> Composite | str | None:
    """What :func:`to_json` was given.

    Raises
    ------
    DataError
        A rule or selector that this version does not know.
    """
    if value is None or isinstance(value, str):
        return value
    lines = [(_selector_of(selector), _rule_of(rule)) for selector, rule in value["lines"]]
    return Composite(lines, default=_rule_of(value["default"]), attention=value["attention"])


def _selector(selector: Any) -> str | dict[str, str] | None:
    if isinstance(selector, str):
        return selector
    name: str = selector.__name__
    return {"module": name} if getattr(nn, name, None) is selector else None


def _selector_of(value: Any) -> Any:
    if isinstance(value, str):
        return value
    found = getattr(nn, value["module"], None)
    if not (isinstance(found, type) and issubclass(found, nn.Module)):
        raise DataError(f"the record selects modules of the type {value['module']!r}, which torch.nn does not have")
    return found


def _rule(rule: Any) -> dict[str, Any] | None:
    kind = type(rule)
    if getattr(rules, kind.__name__, None) is not kind:
        return None
    return {"rule": kind.__name__, **{f.name: _plain(getattr(rule, f.name)) for f in fields(rule)}}


def _rule_of(value: Mapping[str, Any]) -> Any:
    options = {name: _value(option) for name, option in value.items() if name != "rule"}
    kind = getattr(rules, value["rule"], None)
    if not (isinstance(kind, type) and issubclass(kind, rules.Rule)):
        raise DataError(f"the record has a rule {value['rule']!r}, which this version of sciexplain does not know")
    return kind(**options)


def _plain(value: Any) -> Any:
    return packed(value) if isinstance(value, Tensor) else value


def _value(value: Any) -> Any:
    return torch.from_numpy(unpacked(value).copy()) if isinstance(value, Mapping) else value
