"""What a task's JSON tells, found by name: facts, a table, the raw text. Agents wrote it: nothing here trusts a byte of it.

Everything returned is safe HTML or plain text that the template escapes; depth, length and number are bounded; nothing raises.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from urllib.parse import urlsplit

from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime
from django.utils.formats import date_format
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop as noop

from audit.story import visible as spelled
from sessions.words import first_line, hidden, humanised, visible

Json = Any
LONG = 280  # characters: folded from
DEEPEST, MOST_ROWS, MOST_RAW = 5, 200, 200_000
WIDEST, LONGEST_GRID = 8, 50  # columns and lines of a table within the table
AMOUNT = ("amount", "totalamount", "requestedamount", "amountrequested", "total", "sum", "price", "cost", "value")
CURRENCY = ("currency", "currencycode", "ccy")
RISK = ("risk", "risklevel", "severity")
HIGH = ("high", "very high", "critical", "severe")
#: The other telling members: what the reader calls them, and the names agents give them.
NAMED = (
    (noop("Wanted by"), ("deadline", "due", "duedate", "dueat", "neededby")),
    (noop("Customer"), ("customer", "customername", "client", "account")),
    (noop("Supplier"), ("supplier", "vendor", "payee", "recipient")),
    (noop("Target"), ("target", "environment", "system", "service", "resource", "host")),
    (noop("Quantity"), ("quantity", "count", "rows", "records")),
)


@dataclass(frozen=True)
class Fact:
    """One telling member: `member` says where it stands, for example data.amount."""

    label: str
    html: SafeString
    member: str
    kind: str = ""  # amount, risk (high), or nothing
    beside: str = ""  # the currency's member
    figure: float | None = None  # an amount as a number


@dataclass(frozen=True)
class Row:
    """One line of the table; a heading over deeper lines has no html."""

    label: SafeString
    member: str
    depth: int
    html: SafeString | None


# --- one value -----------------------------------------------------------------------------------------


def number(value: float, places: int | None = None) -> str:
    """Grouped by thousands; what is absurdly large stays short."""
    if isinstance(value, int) and value.bit_length() > 200:
        return _("a number of more than 60 digits")
    if abs(value) >= 1e15 and isinstance(value, float):
        return f"{value:g}"
    return f"{value:,}" if places is None else f"{value:,.{places}f}"


def value_html(value: Json) -> SafeString:
    """One scalar, readable; objects and lists as JSON. Whole numbers up to 9999 may be years or names of things."""
    if isinstance(value, str):
        return _text(value)
    if value is None or value == {} or value == []:
        return format_html("<small>{}</small>", _("none"))
    if isinstance(value, bool):
        return format_html("{}", _("yes") if value else _("no"))
    if isinstance(value, int | float):
        return format_html("{}", value if isinstance(value, int) and abs(value) < 10_000 else number(value))
    return _long(raw(value))


def _text(text: str) -> SafeString:
    if not text.strip():
        return format_html("<small>{}</small>", _("empty"))
    if moment := _moment(text):
        return format_html('<time datetime="{}" title="{}">{}</time>', text, text, moment)
    if host := _host(text):
        link = '<a href="{}" rel="noopener noreferrer" target="_blank">{}</a> <small>{}</small>'
        shown = text.split("://", 1)[1]
        return format_html(link, text, visible(shown, 60), _("%(host)s, opens in a new tab") % {"host": host})
    return _long(text)


def _long(text: str) -> SafeString:
    if len(text) <= LONG and text.count("\n") < 6:
        return visible(text)
    start = visible(first_line(text, 120))
    size = _("%(count)s characters") % {"count": number(len(text))}
    return format_html('<details><summary>{} <small>{}</small></summary><div class="text">{}</div></details>', start, size, visible(text))


def _moment(text: str) -> str:
    """An ISO 8601 date or time in words, in the reader's zone; empty if it is none."""
    if not re.fullmatch(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d.{0,16})?", text, re.ASCII):
        return ""
    try:
        moment: date | datetime | None = parse_date(text) if len(text) == 10 else parse_datetime(text)
        if isinstance(moment, datetime) and timezone.is_aware(moment):
            moment = timezone.localtime(moment)
        return date_format(moment, "j F Y, H:i" if isinstance(moment, datetime) else "j F Y") if moment else ""
    except (ValueError, OverflowError):
        return ""


def _host(text: str) -> str:
    """The host of a plain http or https link, in the letters that the network uses; empty if it is no such link."""
    if not re.fullmatch(r"https?://\S{1,2000}", text) or any(map(hidden, text)):
        return ""
    try:
        return (urlsplit(text).hostname or "").encode("idna").decode("ascii")
    except ValueError:  # UnicodeError is one
        return ""


# --- the telling facts ---------------------------------------------------------------------------------


def facts(data: Json, context: Json) -> list[Fact]:
    """The telling members of data, else of context, the most telling first."""
    sources = (("data", data), ("context", context))
    named = (_fact(_(label), _find(sources, names)) for label, names in NAMED)
    return [fact for fact in (_amount(sources), _risk(sources), *named) if fact]


Sources = tuple[tuple[str, Json], ...]


def _find(sources: Sources, names: Iterable[str]) -> tuple[str, Json] | None:
    """The first scalar of one of the names, however it is spelt, with its member path."""
    for source, members in sources:
        spelt = {re.sub(r"[^a-z0-9]", "", key.lower()): key for key in members} if isinstance(members, Mapping) else {}
        for wanted in names:
            if (key := spelt.get(wanted)) is not None and _tells(members[key]):
                return f"{source}.{key}", members[key]
    return None


def _tells(value: Json) -> bool:
    if isinstance(value, str):
        return 0 < len(value.strip()) <= 120
    return isinstance(value, int | float) and not isinstance(value, bool)


def _fact(label: str, found: tuple[str, Json] | None) -> Fact | None:
    return Fact(label, value_html(found[1]), found[0]) if found else None


def _amount(sources: Sources) -> Fact | None:
    """The figure with its currency; also out of {"amount": {"value": 5, "currency": "EUR"}}."""
    nested = tuple((f"data.{key}", value) for key, value in _members(sources[0][1]) if key.lower() in AMOUNT and isinstance(value, Mapping))
    for within in (nested, sources):
        if (found := _find(within, AMOUNT)) and (figure := _figure(found[1])) is not None:
            currency = _find(within, CURRENCY)
            unit = currency[1].strip()[:8] if currency and isinstance(currency[1], str) else ""
            said = f"{number(figure, 2 if unit else None)} {unit}".strip()
            return Fact(_("Amount"), visible(said), found[0], "amount", currency[0] if currency and unit else "", figure)
    return None


def _members(source: Json) -> Iterable[tuple[str, Json]]:
    return source.items() if isinstance(source, Mapping) else ()


def _figure(value: Json) -> float | None:
    if isinstance(value, str):
        plain = re.fullmatch(r"-?\d{1,15}(\.\d{1,6})?", value.strip(), re.ASCII)
        return float(plain[0]) if plain and plain[1] else int(plain[0]) if plain else None
    return value if isinstance(value, int | float) else None


def _risk(sources: Sources) -> Fact | None:
    found = _find(sources, RISK)
    high = bool(found) and isinstance(found[1], str) and found[1].strip().lower() in HIGH if found else False
    return Fact(_("Risk"), value_html(found[1]), found[0], "risk" if high else "") if found else None


def told(data: Json, found: Iterable[Fact]) -> set[str]:
    """The members that a request's head shows whole, so that the table need not repeat them."""
    given = data.get("title") if isinstance(data, Mapping) else None
    whole = {"data.title"} if isinstance(given, str) and first_line(given) == given else set()
    return whole.union(*({fact.member, fact.beside} for fact in found))


# --- the table -----------------------------------------------------------------------------------------


def table(source: str, members: Json, shown: Iterable[str] = ()) -> list[Row]:
    """Every member that is not `shown` elsewhere, nested ones below a heading; what is too much is left to the raw JSON."""
    told = set(shown)
    rows: list[Row] = []
    for row in _rows(source, members, 0):
        if row.member in told:
            continue
        if len(rows) == MOST_ROWS:
            return [*rows, Row(SafeString("…"), source, 0, format_html("{}", _("There is more; it is in the raw JSON.")))]
        rows.append(row)
    return rows


def _rows(path: str, value: Json, depth: int) -> Iterator[Row]:
    for label, below, member in _below(path, value):
        if columns := _columns(member):
            yield Row(label, below, depth, _grid(columns, member))
        elif _is_plain(member) or depth == DEEPEST:
            yield Row(label, below, depth, _joined(member) if isinstance(member, list) and _is_plain(member) else value_html(member))
        else:
            yield Row(label, below, depth, None)
            yield from _rows(below, member, depth + 1)


def _below(path: str, value: Json) -> Iterator[tuple[SafeString, str, Json]]:
    """What a value contains: label, member path, value."""
    if isinstance(value, Mapping):
        yield from ((_label(key), spelled(f"{path}.{key}", 200), member) for key, member in value.items())
    else:
        yield from ((format_html("{}", place), f"{path}[{place}]", member) for place, member in enumerate(value, 1))


def _columns(value: Json) -> list[str]:
    """The members of a list of like, flat objects, if they make a table that can be read; else none."""
    if not (isinstance(value, list) and 1 < len(value) <= LONGEST_GRID and all(isinstance(row, Mapping) and row for row in value)):
        return []
    columns = list(dict.fromkeys(name for row in value for name in row))
    flat = not any(isinstance(cell, Mapping | list) for row in value for cell in row.values())
    return columns if flat and len(columns) <= WIDEST else []


def _grid(columns: list[str], rows: list[Mapping[str, Json]]) -> SafeString:
    heads = format_html_join("", '<th scope="col" title="{}">{}</th>', ((spelled(name, 200), _label(name)) for name in columns))
    lines = (format_html_join("", "{}", ((_cell(row.get(name, "")),) for name in columns)) for row in rows)
    body = format_html_join("", "<tr>{}</tr>", ((line,) for line in lines))
    return format_html('<table class="inner"><thead><tr>{}</tr></thead><tbody>{}</tbody></table>', heads, body)


def _cell(value: Json) -> SafeString:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return format_html('<td class="{}">{}</td>', "num" if is_number else "", value_html(value) if value != "" else "")


def _label(name: str) -> SafeString:
    return visible(humanised(name) or name, 80)


def _is_plain(value: Json) -> bool:
    """Whether it fits one cell: a scalar, or a short list of short ones."""
    if isinstance(value, list):
        return len(value) <= 8 and all(not isinstance(each, Mapping | list) and len(str(each)[:61]) <= 60 for each in map(_short, value))
    return not isinstance(value, Mapping) or not value


def _short(value: Json) -> Json:
    """Python refuses to write out an integer of thousands of digits."""
    return number(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _joined(values: list[Json]) -> SafeString:
    return format_html_join(", ", "{}", ((value_html(each),) for each in values)) if values else value_html(None)


def raw(value: Json) -> str:
    """The JSON itself, indented, nothing left out up to 200,000 characters. Plain text."""
    try:
        text = json.dumps(value, indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):  # deeper, or a longer number, than Python writes
        return _("This JSON cannot be shown.")
    return (
        text
        if len(text) <= MOST_RAW
        else f"{text[:MOST_RAW]}\n… {_('and %(count)s characters more') % {'count': number(len(text) - MOST_RAW)}}"
    )
