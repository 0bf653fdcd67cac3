"""Whether a story is whole: every version has its event, and no event was altered."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from uuid import UUID

from django.utils.translation import gettext as _

from audit.models import AuditEvent


@dataclass(frozen=True)
class Proof:
    """`runs` tells each object's versions, `faults` what is missing or altered (none: the story is whole)."""

    events: int
    runs: list[str]
    refused: int
    faults: list[str]


def prove(events: Iterable[AuditEvent], present: Mapping[UUID, int]) -> Proof:
    """The proof over `trail.story_of`; `present` holds versions that rows have now, by id."""
    versions: dict[tuple[str, UUID], list[int]] = {}
    count = refused = 0
    faults = []
    for event in events:
        count += 1
        if event.version is None:
            refused += 1
        elif event.subject_type and event.subject_id:
            versions.setdefault((event.subject_type, event.subject_id), []).append(event.version)
        if not getattr(event, "intact", True):
            at = f"{event.timestamp:%Y-%m-%d %H:%M:%S} UTC"
            faults.append(_("The event {type} of {at} was altered").format(type=event.event_type, at=at))
    for (kind, id), found in versions.items():
        faults += _gaps(kind, found, present.get(id, 0))
    return Proof(count, [_run(kind, found, not told) for told, ((kind, _id), found) in enumerate(versions.items())], refused, faults)


def _gaps(kind: str, found: list[int], present: int) -> list[str]:
    missing = sorted(set(range(1, max([present, *found]) + 1)) - set(found))
    return [_("A gap: {kind} version {number} has no event").format(kind=_(kind), number=number) for number in missing]


def _run(kind: str, found: list[int], is_first: bool) -> str:
    """`session versions 1 to 3`, then `task 1 to 3`."""
    form = _("{kind} versions {first} to {last}") if is_first else _("{kind} {first} to {last}")
    return form.format(kind=_(kind), first=min(found), last=max(found))
