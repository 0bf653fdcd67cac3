"""Several requests under one verdict: which it takes in, which it leaves out and why, and what became of each."""

from dataclasses import dataclass
from functools import cached_property
from uuid import UUID

from approvals.actions import Outcomes, can_read, why_not_decide
from approvals.lines import Line
from approvals.listing import Listing
from approvals.models import Approval
from audit.errors import DomainError


@dataclass(frozen=True)
class Several:
    """What was selected; `outcomes` once it was decided."""

    listing: Listing
    verdict: str
    ids: tuple[UUID, ...]
    outcomes: Outcomes | None = None

    @cached_property
    def lines(self) -> list[Line]:
        """The requests that the reader may read, what runs out first first."""
        rows = Approval.objects.whole().filter(pk__in=self.ids).order_by("expires_at", "id")
        return [Line(row, self.listing.now) for row in rows if can_read(self.listing.actor, row)]

    @cached_property
    def taken(self) -> list[Line]:
        """Those that the verdict takes in, or has decided."""
        if self.outcomes is not None:
            return [line for line in self.lines if self.outcomes.get(line.approval.pk) is None]
        return [line for line in self.lines if self._is_open(line) and not (self.verdict == "approved" and line.twice)]

    @cached_property
    def twice(self) -> list[Line]:
        """Those that are approved only by themselves, after a second look."""
        if self.outcomes is not None or self.verdict != "approved":
            return []
        return [line for line in self.lines if self._is_open(line) and line.twice]

    @cached_property
    def left(self) -> list[tuple[Line, str]]:
        """Those that somebody else decided, that ran out or are not the reader's; with the reason where it is no outcome."""
        rest = [line for line in self.lines if line not in self.taken and line not in self.twice]
        return [(line, self._why(line)) for line in rest]

    def _is_open(self, line: Line) -> bool:
        return not line.outcome and not why_not_decide(self.listing.actor, line.approval)

    def _why(self, line: Line) -> str:
        error: DomainError | None = (self.outcomes or {}).get(line.approval.pk)
        return "" if line.outcome else str(error or why_not_decide(self.listing.actor, line.approval))
