"""What a task is called, and what it says, for people."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from audit.story import visible
from sessions.models import Task

TITLED = ("title", "subject", "summary")
WIDEST = 8  # columns of a table within the table


@dataclass(frozen=True)
class Fact:
    """One member of the payload: `name` as the sender wrote it, `label` for people.

    `raw` when the value is JSON; a list of like objects has `columns` and `rows` instead.
    """

    name: str
    label: str
    value: str = ""
    raw: bool = False
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()


def title(task: Task) -> str:
    """The payload's own title, else the first line of the description, else the type in plain words."""
    given = [task.data.get(name) for name in TITLED] + task.description.strip().splitlines()[:1]
    found = next((text.strip() for text in given if isinstance(text, str) and text.strip()), None)
    return visible(found, 200) if found else humanise(task.task_type)


def humanise(word: str) -> str:
    """`cost_centre` reads "Cost centre"."""
    plain = visible(word, 100).replace("_", " ").replace("-", " ").strip() or word
    return plain[:1].upper() + plain[1:]


def facts(payload: Mapping[str, Any]) -> list[Fact]:
    """The members of a payload, readable; what is nested deeper than a table stays JSON."""
    return [_fact(visible(name, 100), humanise(name), value) for name, value in payload.items()]


def _fact(name: str, label: str, value: Any) -> Fact:
    if isinstance(value, list) and value and all(map(_is_flat, value)):
        columns = tuple(dict.fromkeys(member for row in value for member in row))
        if len(columns) <= WIDEST:
            rows = tuple(tuple(_plain(row.get(member)) for member in columns) for row in value)
            return Fact(name, label, columns=tuple(map(humanise, columns)), rows=rows)
    if isinstance(value, list) and all(map(_is_scalar, value)):
        return Fact(name, label, ", ".join(map(_plain, value)))
    if isinstance(value, dict | list):
        return Fact(name, label, visible(json.dumps(value, indent=2, ensure_ascii=False)), raw=True)
    return Fact(name, label, _plain(value))


def _is_scalar(value: Any) -> bool:
    return not isinstance(value, dict | list)


def _is_flat(value: Any) -> bool:
    return isinstance(value, dict) and bool(value) and all(map(_is_scalar, value.values()))


def _plain(value: Any) -> str:
    """A scalar; whole numbers are left as they are, for they may be names (a year, an account)."""
    if value is None or isinstance(value, bool):
        return {True: _("yes"), False: _("no"), None: "-"}[value]
    if isinstance(value, float) and abs(value) < 1e15:
        return f"{value:,.2f}" if round(value, 2) == value else f"{value:,}"
    return visible(value)
