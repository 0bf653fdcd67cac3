"""Finding requests in a list: by words, role, risk, outcome, the beginning of an id."""

import re
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet

from approvals.models import Approval
from sessions.payload import HIGH
from sessions.words import TITLED

LOOKED_AT = 1_000  # requests, the first of the list in its order: a search takes the same short time at any length
ID = re.compile(r"(?:approval-|task-)?([0-9a-f]{8}[0-9a-f-]{0,28})", re.IGNORECASE)
MOST_WORDS = 6
RISKS = ("risk", "risk_level", "riskLevel", "severity")


def found(requests: QuerySet[Approval], wanted: Mapping[str, Any]) -> QuerySet[Approval]:
    """Those of the list that the filters let through, in its order; `wanted` is a Filter's cleaned data."""
    if not any(wanted.values()):
        return requests
    among = requests.filter(pk__in=requests.values("pk")[:LOOKED_AT])
    for word in wanted["q"].split()[:MOST_WORDS]:
        among = among.filter(_holds(word))
    if wanted["role"]:
        among = among.filter(from_role=wanted["role"].strip().lower())
    if wanted["outcome"]:
        among = among.filter(_ended(wanted["outcome"]))
    return among.filter(_risky()) if wanted["risk"] else among


def _holds(word: str) -> Q:
    """The word stands in the title, the description, the reason, the type, a role, a name, or begins an id."""
    places = ["reason", "task__description", "task__task_type", "from_role", "approver_role", "requested_by_name", "decided_by_name"]
    places += [f"task__data__{name}" for name in TITLED]
    holds = _begins(word)
    for place in places:
        holds |= Q(**{f"{place}__icontains": word})
    return holds


def _begins(word: str) -> Q:
    if not (match := ID.fullmatch(word)):
        return Q()
    digits = match[1].replace("-", "")[:32]
    span = UUID(digits.ljust(32, "0")), UUID(digits.ljust(32, "f"))
    return Q(pk__range=span) | Q(task__id__range=span)


def _ended(outcome: str) -> Q:
    """The status as readers see it: what is pending in the list of what no longer waits has run out of time."""
    return Q(status__in=["expired", "pending"]) if outcome == "expired" else Q(status=outcome)


def _risky() -> Q:
    """What sessions/payload.py calls a high risk, under the names that agents use most."""
    risky = Q()
    for member in ("data", "context"):
        for name in RISKS:
            risky |= Q(**{f"task__{member}__{name}__iregex": f"^\\s*({'|'.join(HIGH)})\\s*$"})
    return risky
