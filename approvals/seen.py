"""What a reader has of a list, as its ETag: says cheaply that nothing can have changed, without reading the list again.

Every change of a request leaves an event. So a list stays as it is while no event on requests was added since it was read,
and until time itself changes it: a deadline comes near or passes, the day ends, a minute is over (other tabs' counts).
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Self

from approvals.models import ApprovalStatus
from audit.models import AuditEvent

LASTS = timedelta(minutes=1)  # longer than any transaction, whose event bears the time of its begin
EVENTS = ["approval.requested", *(f"approval.{status}" for status in ApprovalStatus.values)]
TAG = re.compile(r'"([0-9a-f]{32})-([0-9a-f]{16})-([0-9]{1,10})-([0-9]{1,4})-([0-9]{1,10})"')


@dataclass(frozen=True)
class Seen:
    """A list as it was read; moments are whole seconds since 1970."""

    shown: str  #: a digest of what it showed
    by: str  #: a digest of who read which list
    since: int
    told: int  #: how many events as young as `since` there were just before it was read
    until: int  #: from then on it has to be read again

    @classmethod
    def of_tag(cls, tag: str) -> Self | None:
        """What an entity tag says, if it is one of ours."""
        found = TAG.fullmatch(tag)
        return cls(found[1], found[2], int(found[3]), int(found[4]), int(found[5])) if found else None

    @property
    def tag(self) -> str:
        """As an ETag."""
        return f'"{self.shown}-{self.by}-{self.since}-{self.told}-{self.until}"'

    def holds(self, now: datetime) -> bool:
        """Whether the list is certainly still the same."""
        return now.timestamp() < self.until and self.told == told_since(self.since, self.told + 1)


def told_since(moment: int, most: int = 10_000) -> int:
    """How many events on requests are as young as that; counting stops at `most`."""
    return AuditEvent.objects.filter(event_type__in=EVENTS, timestamp__gte=datetime.fromtimestamp(moment, UTC))[:most].count()


def digest(*parts: object) -> str:
    """32 hex digits that stand for the parts."""
    return sha256(repr(parts).encode()).hexdigest()[:32]
