"""The agents' door to sessions: shapes and endpoints."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, JsonResponse
from ninja import Query, Router
from typing_extensions import TypedDict

from audit.actor import actor_of
from audit.errors import DomainError, Invalid, NotFound
from audit.prepared import Prepared
from orchestrator.api import idempotency
from orchestrator.api.openapi import says
from orchestrator.api.paging import Page, Paging, if_match, listed, one
from orchestrator.api.wire import Find, In, Object, Role, TaskId, Uuid, Word, WrittenTask, among, one_of, path_id, written
from sessions import actions
from sessions.models import Session, SessionStatus
from sessions.search import chosen

router = Router(tags=["sessions"])
State = Annotated[str, among(SessionStatus.values)]


class SessionIn(In):
    """What opens a session."""

    agent_role: Role
    task_id: TaskId | None = None
    metadata: Object | None = None


class SessionChange(In):
    """What changes one."""

    status: Annotated[Word, among(SessionStatus.values)] | None = None
    task_id: TaskId | None = None
    metadata: Object | None = None


class SessionsQuery(Paging):
    """Which sessions to list."""

    status: Annotated[Word, among(SessionStatus.values)] | None = None
    agent_role: Role | None = None
    q: Find | None = None


class UnknownStatus(DomainError):
    """Existing clients expect 400 for this, not 422."""

    slug, status = "unknown-status", 400


class SessionOut(TypedDict):
    """A session, in lists and alone."""

    session_id: Uuid
    agent_role: str
    state: State
    task_id: WrittenTask | None
    metadata: dict[str, Any]
    trace_id: Uuid
    created_at: datetime
    updated_at: datetime


class SessionOpened(TypedDict):
    """What was fixed when it was opened."""

    session_id: Uuid
    status: State


class SessionsOut(Page):
    """A page of sessions."""

    sessions: list[SessionOut]


def shape(session: Session) -> SessionOut:
    """The session as every reply shows it."""
    return {
        "session_id": str(session.pk), "agent_role": session.role, "state": session.effective_status,
        "task_id": written("task", session.task_id) if session.task_id else None, "metadata": session.metadata,
        "trace_id": str(session.trace_id), "created_at": session.created_at, "updated_at": session.updated_at,
    }  # fmt: skip


@router.post("", response={201: SessionOpened}, openapi_extra=says(403, 404, 409, _201=["ETag", "Location", "Idempotent-Replayed?"]))
def open_session(request: HttpRequest, body: SessionIn) -> HttpResponse:
    """Open a session in one of your roles."""
    actor = actor_of(request)
    actions.allow_opening(actor, body.agent_role)
    return idempotency.answer(
        request,
        status=201,
        run=lambda key: actions.open_session(actor=actor, role=body.agent_role, metadata=body.metadata, task_id=body.task_id, key=key),
        reply=lambda session: {"session_id": str(session.pk), "status": "pending"},
        where=lambda session: f"/api/sessions/{session.pk}",
        version=2 if body.task_id else 1,  # taking the task is a change of its own
    )


@router.get("", response=SessionsOut)
def list_sessions(request: HttpRequest, query: Query[SessionsQuery]) -> JsonResponse:
    """The sessions of your roles, newest first."""
    one_of("status", query.status, SessionStatus.values)
    return listed(request, "sessions", chosen(actor_of(request), query.q, query.agent_role, query.status), query, shape)


@router.get("/{session_id}", response=SessionOut, openapi_extra=says(404, _200=["ETag"]))
def read_session(request: HttpRequest, session_id: str) -> HttpResponse:
    """One session, by its own id or by that of the task it carries."""
    return _read(request, session_id)


@Prepared
def _by_id(id: UUID) -> QuerySet[Session]:
    return Session.objects.filter(pk=id)


@Prepared
def _by_task(id: UUID) -> QuerySet[Session]:
    return Session.objects.filter(task_id=id)


def _read(request: HttpRequest, session_id: str) -> HttpResponse:
    carried = session_id.strip().lower().startswith("task-")
    id = path_id("task" if carried else "session", session_id)
    session = _by_task.first(id) if carried else _by_id.first(id) or _by_task.first(id)
    if not session or not actions.can_read(actor_of(request), session):
        raise NotFound("There is no such session, or it is not yours to read.")
    return one(session, shape(session))


@router.put("/{session_id}", response=SessionOut, openapi_extra=says(403, 404, 409, 412, _200=["ETag"]))
def change_session(request: HttpRequest, session_id: str, body: SessionChange) -> HttpResponse:
    """Move a session, merge into its metadata, give it its task."""
    if body.status and body.status not in SessionStatus.values:
        raise UnknownStatus(f"{body.status} is no status; there are {', '.join(SessionStatus.values)}.")
    session = actions.update_session(
        actor=actor_of(request), session_id=path_id("session", session_id), status=body.status, metadata=body.metadata,
        task_id=body.task_id, expected=if_match(request),
    )  # fmt: skip
    return _read(request, str(session.pk))


@router.post("/{session_id}/heartbeat", response={204: None}, openapi_extra=says(403, 404, 409, 422))
def heartbeat(request: HttpRequest, session_id: str) -> HttpResponse:
    """A sign of life: keeps the session from expiring."""
    if request.body.strip() not in (b"", b"{}"):
        raise Invalid("body", "A heartbeat says nothing; send it without a body.")
    actions.heartbeat(actor=actor_of(request), session_id=path_id("session", session_id))
    return HttpResponse(status=204)
