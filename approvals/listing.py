"""The inbox's list: which requests, in which order and groups."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any
from urllib.parse import urlencode

from django.core.exceptions import EmptyResultSet
from django.db import connection
from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop as noop

from approvals.actions import why_not_decide
from approvals.finding import LOOKED_AT, found
from approvals.lines import OUTCOMES, Line, midnight
from approvals.models import Approval
from approvals.seen import LASTS
from audit.actor import Actor

PAGE = 50  # rows
COUNTED = 1000  # beyond that a count reads "1,000+"
LAST_PAGE = 40  # an OFFSET reads what it skips; who looks for more narrows the list
STAYS = timedelta(hours=12)  # how long a decided row keeps its place in a list that nobody leaves
TABS = {"mine": noop("For me"), "asked": noop("Asked by us"), "decided": noop("Decided"), "all": noop("All waiting")}
HOUR, TODAY, LATER = noop("Within the hour"), noop("Today"), noop("Later")


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
    wanted: Mapping[str, Any] = field(default_factory=dict)  #: what narrows the list: a Filter's cleaned data
    now: datetime = field(default_factory=timezone.now)

    @cached_property
    def requests(self) -> QuerySet[Approval]:
        """All requests of the tab that the filters let through, in its order."""
        return found(_tab(self.tab, self.actor, LOOKED_AT if self.is_narrowed else self.page * PAGE + 1), self.wanted)

    @property
    def is_narrowed(self) -> bool:
        """Whether a filter is set."""
        return any(self.wanted.values())

    @property
    def filtered(self) -> int:
        """How many filters beside the words are set."""
        return sum(bool(value) for name, value in self.wanted.items() if name != "q")

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
        offered = self.tab in ("mine", "all")
        lines = [Line(row, self.now, selectable=offered and not why_not_decide(self.actor, row)) for row in self.rows[:PAGE]]
        kept = [Line(row, self.now, stays=True) for row in self._left()]
        return sorted([*lines, *kept], key=lambda line: (line.approval.expires_at, line.approval.pk)) if kept else lines

    def _left(self) -> Iterable[Approval]:
        if not self.since or self.page > 1 or self.is_narrowed or self.tab == "decided":
            return []
        since = max(self.since, self.now - STAYS)
        # Two short index walks; one condition for both reads every row.
        ended = Approval.objects.exclude(status="pending").filter(decision_at__gte=since).order_by("-decision_at", "-id").values("pk")
        late = Approval.objects.lapsed().filter(expires_at__gte=since).order_by("-expires_at").values("pk")
        gone = ended[:COUNTED].union(late[:PAGE], all=True)
        rows = _asked(self.tab, self.actor).filter(pk__in=gone).select_related("task__session")[:PAGE]
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
        lists: dict[str, QuerySet[Approval]] = {tab: _tab(tab, self.actor) for tab in self._tabs if tab != "decided"}
        if self.tab != "decided" and not self.is_narrowed:
            lists |= self._groups()
        return _count(lists)

    def _groups(self) -> dict[str, QuerySet[Approval]]:
        hour, night = self.now + timedelta(hours=1), midnight(self.now)
        today = self.requests.filter(expires_at__gt=hour, expires_at__lt=night)
        later = self.requests.filter(expires_at__gt=hour, expires_at__gte=night)
        return {HOUR: self.requests.filter(expires_at__lte=hour), TODAY: today, LATER: later}

    @property
    def filters(self) -> dict[str, str]:
        """What the address says of tab and filters."""
        said = {name: "on" if value is True else str(value) for name, value in self.wanted.items() if value}
        return {"tab": self.tab, **said}

    @property
    def query(self) -> str:
        """What the address needs to find this page of the list again."""
        return urlencode({**self.filters, **({"page": self.page} if self.page > 1 else {})})

    @property
    def next_query(self) -> str:
        """The same for the next page."""
        return urlencode({**self.filters, "page": self.page + 1})

    @property
    def first_query(self) -> str:
        """The same for the first page."""
        return urlencode(self.filters)

    @property
    def state(self) -> str:
        """All that the list shows and that can change, for its ETag: cheaper than the list itself. The countdown runs in the page."""
        lines = [(str(line.approval.pk), line.approval.version, line.outcome, line.stays, line.is_soon) for line in self.lines]
        return repr(
            (
                timezone.localdate(self.now),
                lines,
                [(group.label, group.count, len(group.lines)) for group in self.groups],
                self.tabs(),
                self.next_page,
            )
        )

    @property
    def turns_at(self) -> datetime:
        """When time alone may change what it shows: a line's last hour, the next request's end, the end of the day, a minute at most."""
        waiting = [line.approval.expires_at for line in self.lines if not line.outcome]
        turns = [moment for at in waiting for moment in (at - timedelta(hours=1), at) if moment > self.now]
        lapses = Approval.objects.waiting().values_list("expires_at", flat=True)[:1]  # anybody's: other tabs count and list it
        return min([*turns, *lapses, midnight(self.now), self.now + LASTS])

    @property
    def _tabs(self) -> list[str]:
        return [tab for tab in TABS if tab != "all" or self.actor.reads_all]

    @property
    def outcomes(self) -> list[str]:
        """How a request can end."""
        return list(OUTCOMES)

    def tabs(self) -> list[tuple[str, str, str]]:
        """Each tab's name in the address, label and count; what waits for the reader is counted by the page's frame."""
        return [(tab, _(TABS[tab]), counted(self.counts[tab]) if tab in self.counts else "") for tab in self._tabs]


def _tab(tab: str, actor: Actor, most: int = PAGE + 1) -> QuerySet[Approval]:
    tabs: dict[str, Callable[[], QuerySet[Approval]]] = {
        "mine": lambda: Approval.objects.waiting_for(actor),
        "asked": lambda: Approval.objects.asked_by_roles_of(actor),
        "decided": lambda: Approval.objects.readable_by(actor).decided(most),
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


def next_after(listing: Listing, approval: Approval) -> Approval | None:
    """What the reader may decide next: below this request in the list, else its first; beside such a list what runs out first."""
    if listing.tab not in ("mine", "all"):
        return Approval.objects.waiting_for(listing.actor).select_related("task").first()
    others = [row for row in listing.rows if row.pk != approval.pk and not why_not_decide(listing.actor, row)]
    below = (row for row in others if (row.expires_at, row.pk) > (approval.expires_at, approval.pk))
    return next(below, others[0] if others else None)
