"""Where a session's time went, from its events: waiting to be picked up, waiting for an answer, at work."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from django.utils.translation import gettext as _

from audit.models import AuditEvent
from audit.story import span, visible

ENDED = ("session.completed", "session.failed", "session.expired")
ANSWERED = ("approved", "rejected", "expired", "cancelled")
THINNEST = 0.4  # per cent of the width: a moment must still be seen


@dataclass
class Bar:
    """One stretch of time; `kind` is wait or work, `end` None while it lasts."""

    label: str
    kind: str
    start: datetime
    end: datetime | None = None


@dataclass(frozen=True)
class Waterfall:
    """The picture: `rows` for the bars (geometry in per cent), `ticks` for the axis, and sums that add up to the total."""

    total: str
    waiting: str
    working: str
    rest: str
    rows: list[dict[str, str]]
    ticks: list[datetime]
    scale: str


def bars(events: Iterable[AuditEvent]) -> list[Bar]:
    """The stretches that the events tell of, in the order in which they began."""
    found: list[Bar] = []
    running: dict[Any, Bar] = {}

    def begin(key: Any, label: str, kind: str, at: datetime) -> None:
        running[key] = Bar(label, kind, at)
        found.append(running[key])

    for event in events:
        if event.event_type.partition(".")[2] in ("claimed", "completed", "failed", *ANSWERED) and (
            bar := running.pop(event.subject_id, None)
        ):
            bar.end = event.timestamp
        if event.event_type == "task.routed":
            begin(event.subject_id, _("Waiting to be picked up"), "wait", event.timestamp)
        elif event.event_type == "task.claimed":
            begin(event.subject_id, _("{name} at work").format(name=visible(event.actor, 60)), "work", event.timestamp)
        elif event.event_type == "approval.requested":
            asked = visible(event.metadata.get("of", "?"), 60)
            begin(event.subject_id, _("Waiting for {role}").format(role=asked), "wait", event.timestamp)
    return found


def fall(events: Sequence[AuditEvent], now: datetime) -> Waterfall | None:
    """The picture of a session's events (oldest first); None when nothing has taken any time yet."""
    drawn = bars(events)
    if not drawn:
        return None
    over = [event.timestamp for event in events if event.event_type in ENDED]
    start, end = events[0].timestamp, over[-1] if over else now
    whole = max(end - start, timedelta(milliseconds=1))
    spans = [(bar, max(bar.start, start), min(bar.end or end, end)) for bar in drawn]
    waiting, working = _measure(spans)
    rows = [_row(bar, begin, until, start, whole) for bar, begin, until in spans]
    scale = "day" if whole > timedelta(hours=20) else "second" if whole < timedelta(minutes=20) else "minute"
    rest = whole - waiting - working
    worth = timedelta(minutes=1) if whole > timedelta(minutes=10) else timedelta(seconds=1)
    return Waterfall(
        span(whole), span(waiting), span(working), span(rest) if rest >= worth else "", rows,
        [start + whole * step / 4 for step in range(5)], scale,
    )  # fmt: skip


def _measure(spans: list[tuple[Bar, datetime, datetime]]) -> tuple[timedelta, timedelta]:
    """How long somebody was waited for, and how long the work went on while nobody was."""
    waiting = working = timedelta()
    edges = sorted({edge for _bar, *edges in spans for edge in edges})
    for begin, until in pairwise(edges):
        kinds = {bar.kind for bar, first, last in spans if first <= begin and last >= until}
        if "wait" in kinds:
            waiting += until - begin
        elif kinds:
            working += until - begin
    return waiting, working


def _row(bar: Bar, begin: datetime, until: datetime, start: datetime, whole: timedelta) -> dict[str, str]:
    x, width = 100 * ((begin - start) / whole), 100 * ((until - begin) / whole)
    width = max(width, THINNEST)
    took = span(until - begin) if bar.end else _("{time} so far").format(time=span(until - begin))
    return {"label": bar.label, "kind": bar.kind, "x": f"{min(x, 100 - width):.2f}", "width": f"{width:.2f}", "took": took}
