"""The dashboard's figures: each counted by one query, over what the reader's lists show."""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Aggregate, Count, DurationField, Exists, F, Min, OuterRef, Q, Value
from django.db.models.functions import Now, TruncHour
from django.http import HttpRequest
from django.utils import timezone

from approvals.models import DECIDED, Approval
from audit.actor import Actor, actor_of
from audit.models import AuditEvent
from sessions.models import NOTIFICATION, OPEN, Session, SessionStatus, Task

COUNTED = 1000  # beyond that a count reads "1,000+"
LATEST = 10_000  # decisions that the median is taken of
WEEK = timedelta(days=7)
RECENT = 1000  # events among which the latest of the reader's roles are looked for
HEIGHT, BASE = 100, 130  # of the chart's bars, in its own units


class Percentile(Aggregate):
    """percentile_cont: the value that `fraction` of the rows do not exceed."""

    function = "percentile_cont"
    template = "%(function)s(%(fraction)s) WITHIN GROUP (ORDER BY %(expressions)s)"


@dataclass(frozen=True)
class Waiting:
    """What the reader may decide now; `oldest` is None where there are too many to look at them all."""

    count: int
    soon: int
    oldest: datetime | None

    @property
    def written(self) -> str:
        """The count for people."""
        return written(self.count)


def waiting(request: HttpRequest) -> Waiting:
    """The inbox's own query, asked once in a request: the frame and the dashboard show the same."""
    known: Waiting | None = getattr(request, "waiting", None)
    if known is None:
        soon = Count("pk", filter=Q(expires_at__lte=Now() + timedelta(hours=1)))
        # Only so many are looked at, those that run out first.
        rows = Approval.objects.waiting_for(actor_of(request))[: COUNTED + 1]
        found = rows.aggregate(count=Count("pk"), soon=soon, oldest=Min("created_at"))
        known = Waiting(found["count"], found["soon"], found["oldest"] if found["count"] <= COUNTED else None)
        request.waiting = known  # type: ignore[attr-defined]
    return known


def decided(actor: Actor) -> dict[str, Any]:
    """`approved` and `rejected` today; `median` and `most` (nine of ten): how long it took, over seven days.

    Of the latest 10,000 decisions at most.
    """
    today = timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0)
    counts = {word: Count("pk", filter=Q(status=word, decision_at__gte=today)) for word in DECIDED}
    spans = {name: Percentile(F("took"), fraction=at, output_field=DurationField()) for name, at in (("median", 0.5), ("most", 0.9))}
    rows = Approval.objects.of_roles(actor).filter(status__in=DECIDED, decision_at__gte=Now() - WEEK)
    latest = rows.annotate(took=F("decision_at") - F("created_at")).order_by("-decision_at", "-id")[:LATEST]
    return latest.aggregate(**counts, **spans)


def sessions(actor: Actor) -> dict[str, int]:
    """How many sessions are open now, and ended among those opened in thirty days, by effective status; `untouched` tasks of
    theirs, and what is `waiting` for the reader's roles to pick up.

    Each is counted up to 1,001: a count of hundreds of thousands takes longer than the page may.
    """
    lists = {word: Session.objects.shown_to(actor, status=word) for word in SessionStatus.values}
    for word in lists.keys() - set(OPEN):
        lists[word] = [lane.filter(created_at__gte=since_month()) for lane in lists[word]]
    lists["untouched"] = [lane.filter(task__status="pending").exclude(task__task_type=NOTIFICATION) for lane in lists["active"]]
    lists["waiting"] = [Session.objects.to_pick_up(actor)]
    lanes = [lane.annotate(word=Value(word)) for word, lanes in lists.items() for lane in lanes if not lane.query.is_empty()]
    found = [lane.order_by().values_list("word", "pk")[: COUNTED + 1] for lane in lanes]
    return {**dict.fromkeys(lists, 0), **Counter(word for word, _pk in found[0].union(*found[1:], all=True))}


def handed(actor: Actor, most: int) -> tuple[list[Task], list[Task]]:
    """Work that waits for the reader's roles, what waits longest first; and what they were told, newest first. One query for both."""
    work = Session.objects.to_pick_up(actor).order_by("task__created_at", "id").values("task")[:most]
    notices = Task.objects.notices_for(actor).values("pk")[:most]
    rows = Task.objects.whole().filter(pk__in=work.union(notices, all=True)).order_by("created_at", "id")
    told = [task for task in rows if task.task_type == NOTIFICATION]
    return [task for task in rows if task not in told][:most], told[::-1]


def written(count: int) -> str:
    """A count for people."""
    return f"{count:,}" if count <= COUNTED else f"{COUNTED:,}+"


def since_month() -> datetime:
    """Midnight, 29 days ago: today and the 29 days before it. A week's sessions cannot have lain still long enough to expire."""
    return timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=29)


# --- the picture of a day --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Hour:
    """One hour's two bars, in the chart's units: geometry is written as text, so that no locale puts commas into it."""

    at: datetime
    asked: int
    decided: int
    place: int
    step: int

    def _height(self, number: int) -> float:
        return number * HEIGHT / self.step / 2

    asked_height = property(lambda self: f"{self._height(self.asked):.1f}")
    decided_height = property(lambda self: f"{self._height(self.decided):.1f}")
    asked_y = property(lambda self: f"{BASE - self._height(self.asked):.1f}")
    decided_y = property(lambda self: f"{BASE - self._height(self.decided):.1f}")
    x = property(lambda self: 30 + 31 * self.place)
    inner_x = property(lambda self: self.x + 3)
    label_x = property(lambda self: self.x + 10)

    @property
    def label(self) -> str:
        """Every third hour is named; on a phone only every other of these."""
        return ("even", "", "", "odd", "", "")[self.place % 6]


@dataclass(frozen=True)
class Day:
    """The last 24 hours; `step` is what the lower of the two lines means, `top` the upper one."""

    hours: list[Hour]
    step: int
    asked: int
    decided: int

    @property
    def top(self) -> int:
        """Twice the step."""
        return 2 * self.step


def day(actor: Actor) -> Day:
    """Asked and decided per hour, the present hour last."""
    last = timezone.localtime().replace(minute=0, second=0, microsecond=0)
    counts = _per_hour(actor, last - timedelta(hours=23))
    hours = [last - timedelta(hours=back) for back in range(23, -1, -1)]
    asked, done = ([counts.get((what, hour), 0) for hour in hours] for what in ("asked", "decided"))
    step = _step(max([*asked, *done]))
    drawn = [Hour(*hour, step) for hour in zip(hours, asked, done, range(24), strict=True)]
    return Day(drawn, step, sum(asked), sum(done))


def _per_hour(actor: Actor, since: datetime) -> dict[tuple[str, datetime], int]:
    rows = Approval.objects.of_roles(actor).order_by()
    parts = []
    for what, field, among in (("asked", "created_at", rows), ("decided", "decision_at", rows.filter(status__in=DECIDED))):
        hours = among.filter(**{f"{field}__gte": since}).annotate(what=Value(what), hour=TruncHour(field))
        parts.append(hours.values_list("what", "hour").annotate(number=Count("pk")))
    return {(what, hour): number for what, hour, number in parts[0].union(parts[1], all=True)}


def _step(most: int) -> int:
    """The smallest round number of which the double is not below `most`."""
    steps = (digit * int(10**zeros) for zeros in range(10) for digit in (1, 2, 5))
    return next(step for step in steps if 2 * step >= most)


# --- as it happens ---------------------------------------------------------------------------------------


def latest(actor: Actor) -> list[AuditEvent]:
    """The latest changes of what the reader's lists show, newest first; what another line tells too is left out."""
    events = AuditEvent.objects.filter(subject_id__isnull=False).exclude(event_type="session.updated")
    if not actor.reads_all:
        recent = AuditEvent.objects.filter(subject_id__isnull=False).latest_first().values("pk")[:RECENT]
        events = events.filter(_theirs(actor), pk__in=recent)
    found = list(events.latest_first()[:20])
    told = {event.trace_id for event in found if event.subject_type == "task"}
    return [event for event in found if event.subject_type != "session" or event.trace_id not in told][:5]


def _theirs(actor: Actor) -> Q:
    tasks, requests = Task.objects.of_roles(actor), Approval.objects.of_roles(actor)
    lists = {"session": Session.objects.concerning(actor), "task": tasks, "approval": requests}
    wanted = Q()
    for kind, rows in lists.items():
        wanted |= Q(Exists(rows.order_by().filter(pk=OuterRef("subject_id"))), subject_type=kind)
    return wanted
