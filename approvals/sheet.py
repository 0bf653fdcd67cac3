"""One request as its sheet shows it: what is asked, by whom, and what became of it."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any
from uuid import UUID

from django.db.models import Aggregate, Count, DurationField, ExpressionWrapper, F, Q
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop as noop

from approvals.actions import can_read, why_not_decide
from approvals.lines import Line, clock, day
from approvals.models import DECIDED, Approval
from audit.actor import Actor
from audit.models import AuditEvent
from audit.story import Line as Told
from audit.story import span, tell
from audit.story import visible as spelled
from audit.trail import events_of
from sessions import payload
from sessions.words import humanised, role_name, visible

RECORD, LOOKED_BACK = timedelta(days=30), 1000  # how far back an asker's record goes, and over how many requests
ENDS = ("approval.approved", "approval.rejected", "approval.expired", "approval.cancelled")
#: What happened after the verdict, by the task's status.
AFTERWARDS = {
    "pending": noop("Nobody has picked up the task yet."),
    "active": noop("{who} is at work on the task since {at}."),
    "completed": noop("{who} completed the task, {at}."),
    "failed": noop("{who} failed at the task, {at}."),
    "cancelled": noop("The task was cancelled, {at}."),
}


class Median(Aggregate):
    """percentile_cont(0.5) of a length of time."""

    function = "percentile_cont"
    template = "%(function)s(0.5) WITHIN GROUP (ORDER BY %(expressions)s)"


def readable(actor: Actor, id: UUID) -> Approval | None:
    """The request with its task and session, if the caller may read it."""
    approval = Approval.objects.whole().filter(pk=id).first()
    return approval if approval and can_read(actor, approval) else None


@dataclass(frozen=True)
class Sheet(Line):
    """A request in full; a line of the list knows the rest."""

    actor: Actor = field(kw_only=True)

    @property
    def whom(self) -> str:
        """Who is asked."""
        return role_name(self.approval.approver_role)

    @property
    def kind(self) -> SafeString:
        """The task's type, for people."""
        return visible(humanised(self.approval.task.task_type))

    @property
    def asker(self) -> SafeString:
        """The name of who asked."""
        return visible(self.approval.requested_by_name)

    @property
    def asked(self) -> str:
        """How long ago it was asked."""
        return span(self.now - self.approval.created_at)

    # --- the answer ---

    @cached_property
    def why_not(self) -> str:
        """Why the reader may not decide; empty if they may."""
        return why_not_decide(self.actor, self.approval)

    @property
    def is_open(self) -> bool:
        """Whether an answer is still wanted."""
        return self.approval.effective_status == "pending"

    @property
    def is_decided(self) -> bool:
        """Whether a person decided."""
        return self.approval.status in DECIDED

    @property
    def is_mine(self) -> bool:
        """Whether the reader decided it."""
        return self.approval.decided_by == self.actor.principal

    @property
    def ended_at(self) -> datetime:
        """When it stopped waiting."""
        return self.approval.decision_at or self.approval.expires_at

    @property
    def ended(self) -> str:
        """The same for people: today's time, or day and time."""
        return self._moment(self.ended_at)

    def _moment(self, at: datetime) -> str:
        said = day(at, self.now)
        return said if said == clock(at) else f"{said}, {clock(at)}"

    @property
    def took(self) -> str:
        """How long it waited."""
        return span(self.ended_at - self.approval.created_at)

    @property
    def note(self) -> SafeString:
        """The decider's words."""
        return visible(self.approval.notes)

    @property
    def afterwards(self) -> SafeString:
        """What happened next: where the task stands, once somebody decided; empty before."""
        task = self.approval.task
        if not self.is_decided:
            return SafeString()
        who, at = visible(task.claimed_by_name or _("the system"), 60), self._moment(task.updated_at)
        return format_html(_(AFTERWARDS[task.status]), who=format_html("<b>{}</b>", who), at=at)

    @property
    def is_over(self) -> bool:
        """Whether nothing more can happen to it."""
        return not self.is_open and not self.approval.task.is_open

    @property
    def etag(self) -> str:
        """What the sheet shows and can change: the request, its task and its session."""
        task, session = self.approval.task, self.approval.task.carrier
        return f'"{self.approval.pk}.{self.approval.version}.{self.outcome}.{task.version}.{session.version if session else 0}"'

    # --- the question ---

    @property
    def reason(self) -> SafeString:
        """The asker's words."""
        return visible(self.approval.reason)

    @property
    def description(self) -> SafeString:
        """What is wanted, unless the title says it whole."""
        text = self.approval.task.description.strip()
        return visible("" if spelled(text) == self.title else text)

    @cached_property
    def telling(self) -> list[payload.Fact]:
        """The telling members, found by name."""
        return payload.facts(self.approval.task.data, self.approval.task.context)

    @property
    def until(self) -> str:
        """When the answer is wanted: today's time, or day and time; the zone is named."""
        at = timezone.localtime(self.approval.expires_at)
        told = clock(at) if at.date() == timezone.localtime(self.now).date() else f"{day(at, self.now)}, {clock(at)}"
        return told if told.endswith("UTC") else f"{told} {at.tzname()}"

    @property
    def left(self) -> str:
        """How long that is from now."""
        return span(self.approval.expires_at - self.now)

    @property
    def tables(self) -> list[tuple[str, list[payload.Row]]]:
        """The rest of data, and of context; empty ones are left out."""
        task, told = self.approval.task, payload.told(self.approval.task.data, self.telling)
        tables = [("data", payload.table("data", task.data, told)), ("context", payload.table("context", task.context, told))]
        return [(source, rows) for source, rows in tables if rows]

    @property
    def raw(self) -> SafeString:
        """Everything, as JSON."""
        task = self.approval.task
        whole = payload.raw({"data": task.data, **({"context": task.context} if task.context else {})})
        return visible(whole, payload.MOST_RAW + 100)

    # --- what is known beside it ---

    @cached_property
    def events(self) -> list[AuditEvent]:
        """What happened so far in its session, oldest first."""
        return list(events_of(self.approval.task.carrier or self.approval).order_by("timestamp", "id"))

    @property
    def story(self) -> list[Told]:
        """The same in sentences."""
        return tell(self.events)

    @property
    def before(self) -> list[Told]:
        """What became of earlier requests for the same task, and who was refused on this one: its history."""
        past = [event for event in self.events if event.event_type in ENDS and event.subject_id != self.approval.pk]
        return tell(event for event in self.events if event in past or event.event_type == "approval.refused")

    @cached_property
    def record(self) -> dict[str, Any]:
        """What became of the asker's latest requests, 1,000 of 30 days: counts that add up to `asked`, and the `median` wait."""
        asked = Approval.objects.filter(requested_by=self.approval.requested_by, created_at__gte=self.now - RECORD)
        mine = asked.order_by("-created_at")[:LOOKED_BACK]
        late, decided = Q(status="pending", expires_at__lte=Now()), Q(status__in=DECIDED)
        waited = ExpressionWrapper(F("decision_at") - F("created_at"), output_field=DurationField())
        counts = mine.aggregate(
            asked=Count("pk"), approved=Count("pk", filter=Q(status="approved")), rejected=Count("pk", filter=Q(status="rejected")),
            expired=Count("pk", filter=Q(status="expired") | late), cancelled=Count("pk", filter=Q(status="cancelled")),
            waiting=Count("pk", filter=Q(status="pending") & ~late), median=Median(waited, filter=decided, output_field=DurationField()),
            yours=Count("pk", filter=Q(decided_by=self.actor.principal)),
        )  # fmt: skip
        return {**counts, "cut": counts["asked"] == LOOKED_BACK, "median": span(counts["median"]) if counts["median"] is not None else ""}
