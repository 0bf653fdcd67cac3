"""The inbox's list: which requests, in which order and groups, in which words."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any
from urllib.parse import urlencode

from django.core.exceptions import EmptyResultSet
from django.db import connection
from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop as noop

from approvals.models import Approval
from audit.actor import Actor
from sessions import payload
from sessions.words import first_line, role_name, title, visible

PAGE = 50  # rows
COUNTED = 1000  # beyond that a count reads "1,000+"
LAST_PAGE = 200
STAYS = timedelta(hours=12)  # how long a decided row keeps its place in a list that nobody leaves
TABS = {"mine": noop("For me"), "asked": noop("Asked by us"), "decided": noop("Decided"), "all": noop("All waiting")}
HOUR, TODAY, LATER = noop("Within the hour"), noop("Today"), noop("Later")
OUTCOMES = {"approved": "yes", "rejected": "no", "expired": "gone", "cancelled": "gone"}


# --- time in words -------------------------------------------------------------------------------------


def span(length: timedelta) -> str:
    """How long, in two units at most: 14 m, 2 h 04 m, 3 d 4 h."""
    minutes = max(int(length.total_seconds()) // 60, 0)
    if minutes < 60:
        return _("%(m)s m") % {"m": minutes} if minutes else _("under 1 m")
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return _("%(h)s h %(m)s m") % {"h": hours, "m": f"{minutes:02}"}
    return _("%(d)s d %(h)s h") % {"d": hours // 24, "h": hours % 24}


def clock(moment: datetime) -> str:
    """The time of day in the reader's zone; the zone is named while it is not known."""
    local = timezone.localtime(moment)
    return date_format(local, "H:i") + (" UTC" if timezone.get_current_timezone_name() == "UTC" else "")


def day(moment: datetime, now: datetime) -> str:
    """The time if it is today, else the day."""
    local, today = timezone.localtime(moment), timezone.localtime(now)
    if local.date() == today.date():
        return clock(moment)
    return date_format(local, "j M" if local.year == today.year else "j M Y")


def due(expires_at: datetime, now: datetime) -> str:
    """Until when: 14 m left, by 17:00, tomorrow 09:00, 23 Nov."""
    if expires_at - now <= timedelta(hours=1):
        return _("%(span)s left") % {"span": span(expires_at - now)}
    ahead = (timezone.localtime(expires_at).date() - timezone.localtime(now).date()).days
    if ahead > 1:
        return day(expires_at, now)
    return (_("tomorrow %(time)s") if ahead else _("by %(time)s")) % {"time": clock(expires_at)}


def midnight(now: datetime) -> datetime:
    """When the reader's day ends."""
    return timezone.localtime(now).replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)


# --- one line ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Line:
    """One request in the list."""

    approval: Approval
    now: datetime
    stays: bool = False  #: decided since the list was opened, and still in its place

    @cached_property
    def title(self) -> str:
        """What is asked."""
        return title(self.approval.task)

    @property
    def who(self) -> str:
        """Who asks."""
        return role_name(self.approval.from_role)

    @property
    def why(self) -> SafeString:
        """The reason's first line."""
        return visible(first_line(self.approval.reason))

    @cached_property
    def facts(self) -> dict[str, payload.Fact]:
        """The telling figure (`amount`) and a high `risk`, where there are any."""
        found = payload.facts(self.approval.task.data, self.approval.task.context)
        return {fact.kind: fact for fact in found if fact.kind}

    @property
    def outcome(self) -> str:
        """The verdict's word, empty while it waits."""
        return self.approval.effective_status if self.approval.effective_status != "pending" else ""

    @property
    def shape(self) -> str:
        """The CSS class of the outcome."""
        return OUTCOMES.get(self.outcome, "wait")

    @property
    def decider(self) -> SafeString:
        """Who decided, if anybody did."""
        return visible(self.approval.decided_by_name, 40)

    @property
    def when(self) -> str:
        """Until when an answer is wanted, or when it came."""
        if self.outcome:
            return day(self.approval.decision_at or self.approval.expires_at, self.now)
        return due(self.approval.expires_at, self.now)

    @property
    def is_soon(self) -> bool:
        """Whether it runs out within the hour."""
        return not self.outcome and self.approval.expires_at - self.now <= timedelta(hours=1)


@dataclass(frozen=True)
class Group:
    """Lines under one heading; `count` is of the whole list, empty where nobody counts."""

    label: str
    count: str
    lines: list[Line]


# --- the list ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Listing:
    """One page of one tab, as one person sees it now."""

    actor: Actor
    tab: str = "mine"
    page: int = 1
    since: datetime | None = None  #: when the list was opened; None: nothing decided stays in it
    now: datetime = field(default_factory=timezone.now)

    @cached_property
    def requests(self) -> QuerySet[Approval]:
        """All requests of the tab, in its order."""
        return _tab(self.tab, self.actor)

    @cached_property
    def rows(self) -> list[Approval]:
        """The page's requests, and one more if there is a next page."""
        start = (self.page - 1) * PAGE
        return list(self.requests.select_related("task__session")[start : start + PAGE + 1])

    @property
    def next_page(self) -> int | None:
        """The next page's number, if there is one."""
        return self.page + 1 if len(self.rows) > PAGE and self.page < LAST_PAGE else None

    @cached_property
    def lines(self) -> list[Line]:
        """The page's lines; what was decided since the list was opened keeps its place."""
        lines = [Line(row, self.now) for row in self.rows[:PAGE]]
        kept = [Line(row, self.now, stays=True) for row in self._left()]
        return sorted([*lines, *kept], key=lambda line: (line.approval.expires_at, line.approval.pk)) if kept else lines

    def _left(self) -> Iterable[Approval]:
        if not self.since or self.page > 1 or self.tab == "decided":
            return []
        since = max(self.since, self.now - STAYS)
        gone = Q(decision_at__gte=since) | Q(status="pending", expires_at__range=(since, self.now))
        rows = _asked(self.tab, self.actor).filter(gone).select_related("task__session")[:PAGE]
        last = self.rows[PAGE - 1].expires_at if self.next_page else None
        shown = {row.pk for row in self.rows}
        return [row for row in rows if row.pk not in shown and (not last or row.expires_at <= last)]

    @cached_property
    def groups(self) -> list[Group]:
        """The lines under their headings."""
        name = self._when_decided if self.tab == "decided" else self._when_due
        groups: list[Group] = []
        for line in self.lines:
            if not groups or groups[-1].label != _(name(line)):
                groups.append(Group(_(name(line)), self._count(name(line)), []))
            groups[-1].lines.append(line)
        return groups

    def _when_due(self, line: Line) -> str:
        if line.approval.expires_at <= self.now + timedelta(hours=1):
            return HOUR
        return TODAY if line.approval.expires_at < midnight(self.now) else LATER

    def _when_decided(self, line: Line) -> str:
        at = timezone.localtime(line.approval.decision_at or line.approval.expires_at)
        return TODAY if at >= midnight(self.now) - timedelta(days=1) else noop("Earlier")

    def _count(self, name: str) -> str:
        return counted(self.counts[name]) if name in self.counts else ""

    @cached_property
    def counts(self) -> dict[str, int]:
        """How many there are in the other tabs and in each group, at most 1,001 each, in one query."""
        lists: dict[str, QuerySet[Approval]] = {tab: _tab(tab, self.actor) for tab in self._tabs if tab not in {"mine", "decided"}}
        if self.tab != "decided":
            lists |= self._groups()
        return _count(lists)

    def _groups(self) -> dict[str, QuerySet[Approval]]:
        hour, night = self.now + timedelta(hours=1), midnight(self.now)
        today = self.requests.filter(expires_at__gt=hour, expires_at__lt=night)
        later = self.requests.filter(expires_at__gt=hour, expires_at__gte=night)
        return {HOUR: self.requests.filter(expires_at__lte=hour), TODAY: today, LATER: later}

    @property
    def query(self) -> str:
        """What the address needs to find this page of the list again."""
        return urlencode({"tab": self.tab, **({"page": self.page} if self.page > 1 else {})})

    @property
    def _tabs(self) -> list[str]:
        return [tab for tab in TABS if tab != "all" or self.actor.reads_all]

    def tabs(self) -> list[tuple[str, str, str]]:
        """Each tab's name in the address, label and count; what waits for the reader is counted by the page's frame."""
        return [(tab, _(TABS[tab]), counted(self.counts[tab]) if tab in self.counts else "") for tab in self._tabs]


def _tab(tab: str, actor: Actor) -> QuerySet[Approval]:
    tabs: dict[str, Callable[[], QuerySet[Approval]]] = {
        "mine": lambda: Approval.objects.waiting_for(actor),
        "asked": lambda: Approval.objects.asked_by_roles_of(actor),
        "decided": lambda: Approval.objects.readable_by(actor).decided(),
        "all": lambda: Approval.objects.waiting(),
    }
    return tabs[tab]()


def _asked(tab: str, actor: Actor) -> QuerySet[Approval]:
    """What a tab of waiting requests may have held before they were decided."""
    if tab == "mine":
        own = Q(requested_by=actor.principal) | Q(task__created_by=actor.principal)
        return Approval.objects.filter(approver_role__in=actor.org_roles).exclude(own)
    if tab == "asked":
        return Approval.objects.filter(from_role__in=actor.org_roles).exclude(approver_role__in=actor.org_roles)
    return Approval.objects.all()


def counted(number: int) -> str:
    """A count for people."""
    return "1,000+" if number > COUNTED else f"{number:,}"


def _count(lists: dict[str, QuerySet[Approval]]) -> dict[str, int]:
    """How long each list is, at most 1,001, all in one query."""
    counts = dict.fromkeys(lists, 0)
    parts: dict[str, str] = {}
    values: list[Any] = []
    for name, requests in lists.items():
        try:
            parts[name], params = requests.order_by().values("pk")[: COUNTED + 1].query.sql_with_params()
        except EmptyResultSet:  # nobody's roles: Django knows the answer
            continue
        values += params
    if parts:
        with connection.cursor() as cursor:
            cursor.execute("SELECT " + ", ".join(f"(SELECT count(*) FROM ({part}) listed)" for part in parts.values()), values)  # noqa: S608 - Django's SQL
            counts |= dict(zip(parts, cursor.fetchone() or (), strict=True))
    return counts


def next_after(actor: Actor, approval: Approval) -> Approval | None:
    """What waits for the reader below this request in the list, else what runs out first."""
    waiting = Approval.objects.waiting_for(actor).exclude(pk=approval.pk)
    below = Q(expires_at__gt=approval.expires_at) | Q(expires_at=approval.expires_at, pk__gt=approval.pk)
    return waiting.filter(below).first() or waiting.first()
