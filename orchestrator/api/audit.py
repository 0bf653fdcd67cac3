"""The agents' door to the trail: reporting, reading, exporting."""

import re
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from django.http import HttpRequest, JsonResponse, StreamingHttpResponse
from ninja import Query, Router
from pydantic import BaseModel, Field, StringConstraints
from typing_extensions import TypedDict

from approvals.models import Approval
from audit import actions
from audit.actor import Actor, actor_of
from audit.errors import Invalid, NotAllowed, NotFound
from audit.export import export, subject_of
from audit.models import AuditEvent, AuditEventQuerySet
from orchestrator.api.idempotency import read_key
from orchestrator.api.openapi import says
from orchestrator.api.paging import MOST, Moment, keyset, next_cursor, read_cursor
from orchestrator.api.wire import ANY_CASE, UUID_TEXT, Find, FindShort, In, Long, Object, Uuid
from sessions.models import Session, Task

router = Router(tags=["audit"])
KINDS = ("session", "task", "approval")
SUBJECT = re.compile(rf"((?P<kind>{'|'.join(KINDS)})-)?(?P<id>{UUID_TEXT.pattern})")

Name = Annotated[str, StringConstraints(strip_whitespace=True, to_lower=True, pattern=r"^[a-z0-9_.:-]+$", max_length=actions.LONGEST_NAME)]
Source = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=255)]


class EventIn(In):
    """What a caller reports."""

    source: Source
    category: Name
    action: Name
    subject: Long | None = None
    trace_id: UUID | None = Field(None, alias="traceId")
    timestamp: Moment | None = None
    metadata: Object | None = None
    content: Any = None


class EventsQuery(BaseModel):
    """Which events to read."""

    subject: Annotated[Find, Field(json_schema_extra={"pattern": f"^(({'|'.join(KINDS)})-)?{ANY_CASE}$"})] | None = None
    event_type: FindShort | None = None
    role: FindShort | None = None
    actor: Find | None = None
    trace_id: UUID | None = None
    since: Moment | None = None
    until: Moment | None = None


class EventsPage(EventsQuery):
    """And how many of them, from where."""

    page_size: int = 20
    cursor: str | None = None


class ExportQuery(EventsQuery):
    """And in which form."""

    format: Literal["jsonl", "csv"] = "jsonl"


class EventOut(TypedDict):
    """An event."""

    event_id: Uuid
    event_type: str
    role: str
    actor: str
    timestamp: datetime
    trace_id: Uuid
    subject: str | None
    version: int | None
    metadata: dict[str, Any]
    digest: str


class EventsOut(TypedDict):
    """A page of events."""

    events: list[EventOut]
    next_cursor: str | None


class EventTaken(TypedDict):
    """Under which id the report is kept."""

    event_id: Uuid


def shape(event: AuditEvent) -> EventOut:
    """The event as every reply shows it."""
    return {
        "event_id": str(event.pk), "event_type": event.event_type, "role": event.role, "actor": event.actor, "timestamp": event.timestamp,
        "trace_id": str(event.trace_id), "subject": subject_of(event), "version": event.version, "metadata": event.metadata,
        "digest": event.digest,
    }  # fmt: skip


@router.post("/ingest", response={202: EventTaken}, openapi_extra=says(_202=["Idempotent-Replayed?"]))
def ingest(request: HttpRequest, body: EventIn) -> JsonResponse:
    """Report something that happened elsewhere; it is kept as reported by you."""
    given = body.model_dump(exclude_none=True)
    told, before = actions.ingest(actor=actor_of(request), key=read_key(request), **given)
    headers = {"Idempotent-Replayed": "true"} if before else {}
    return JsonResponse({"event_id": str(told.pk)}, status=202, headers=headers)


@router.get("", response=EventsOut, openapi_extra=says(403, 404))
def list_events(request: HttpRequest, query: Query[EventsPage]) -> JsonResponse:
    """The trail, newest first; without the role auditor or admin, of one subject that you may read."""
    size = min(max(query.page_size, 1), MOST)
    rows = keyset(_chosen(request, query), read_cursor(request, query), "timestamp").order_by("-timestamp", "-id")
    found = list(rows[: size + 1])
    after = next_cursor(request, query, found[size - 1], "timestamp") if len(found) > size else None
    return JsonResponse({"events": [shape(event) for event in found[:size]], "next_cursor": after})


@router.get("/export", response=str, openapi_extra=says(403, 404, _200=["Content-Disposition"]))
def export_events(request: HttpRequest, query: Query[ExportQuery]) -> StreamingHttpResponse:
    """The same as a file, oldest first, streamed."""
    return export(_chosen(request, query), query.format)


def _chosen(request: HttpRequest, query: EventsQuery) -> AuditEventQuerySet:
    """The events that the query names and the caller may read."""
    actor = actor_of(request)
    if not query.subject and not actor.reads_all:
        raise NotAllowed("Name one subject that you may read; only auditor and admin read the whole trail.")
    rows = AuditEvent.objects.filter(subject_id__in=subjects(actor, query.subject)) if query.subject else AuditEvent.objects.all()
    wanted = {
        "event_type": query.event_type, "role": query.role, "actor": query.actor, "trace_id": query.trace_id,
        "timestamp__gte": query.since, "timestamp__lt": query.until,
    }  # fmt: skip
    return rows.filter(**{name: value for name, value in wanted.items() if value})


def subjects(actor: Actor, text: str) -> list[UUID]:
    """The ids whose events belong to a subject: a session brings its task's and approvals'. NotFound unless readable."""
    match = SUBJECT.fullmatch(text.strip().lower())
    if not match:
        raise Invalid("subject", "Must be the id of a session, a task or an approval.")
    for kind in [match["kind"]] if match["kind"] else KINDS:
        if found := _family(actor, kind, UUID(match["id"])):
            return found
    raise NotFound("There is no such session, task or approval, or it is not yours to read.")


def _family(actor: Actor, kind: str, id: UUID) -> list[UUID]:
    if kind == "approval":
        return list(Approval.objects.readable_by(actor).filter(pk=id).values_list("pk", flat=True))
    if kind == "task":
        return list(Task.objects.readable_by(actor).filter(pk=id).values_list("pk", flat=True))
    session = Session.objects.readable_by(actor).filter(pk=id).first()
    if not session:
        return []
    asked = Approval.objects.filter(task=session.task_id).values_list("pk", flat=True) if session.task_id else []
    return [session.pk, *([session.task_id] if session.task_id else []), *asked]
