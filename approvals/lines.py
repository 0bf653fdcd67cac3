"""One request as a line of a list: who asks for what, how much, until when, in which words."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from approvals.care import why_twice
from approvals.models import Approval
from audit.story import span
from sessions import payload
from sessions.words import first_line, role_name, title, visible

OUTCOMES = {"approved": "yes", "rejected": "no", "expired": "gone", "cancelled": "gone"}


# --- time in words -------------------------------------------------------------------------------------


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
    selectable: bool = False  #: the reader may decide it, among others too

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
    def twice(self) -> str:
        """Why approving it has to be confirmed; empty if it has not."""
        return why_twice(self.approval.task)

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
