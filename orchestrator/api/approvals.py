"""The agents' door to approvals: shapes, endpoints, and waiting for the answer."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, JsonResponse
from ninja import Query, Router
from pydantic import Field
from typing_extensions import TypedDict

from approvals import actions
from approvals.models import DECIDED, Approval, ApprovalStatus
from audit.action import allow_changing
from audit.actor import Actor, actor_of, chart_role
from audit.errors import Invalid, NotFound
from audit.prepared import Prepared
from orchestrator.api import idempotency, waiting
from orchestrator.api.openapi import says
from orchestrator.api.paging import Page, Paging, if_match, listed, one
from orchestrator.api.wire import In, Long, Role, TaskId, Word, WrittenApproval, WrittenTask, among, one_of, path_id, written

router = Router(tags=["approvals"])
Status = Annotated[str, among(ApprovalStatus.values)]


class ApprovalIn(In):
    """What asks for approval; with a verdict as `decision` it decides (existing clients do this)."""

    task_id: TaskId
    approver_role: Role | None = None
    reason: Long | None = None
    comments: Long | None = None
    expires_in: Annotated[int, Field(json_schema_extra={"minimum": actions.SHORTEST, "maximum": actions.LONGEST})] | None = None
    decision: Annotated[Word, among(["pending", *DECIDED])] | None = None

    def question(self) -> str:
        """The asker's words: reason, then comments after a blank line."""
        return "\n\n".join(text for text in (self.reason, self.comments) if text)


class DecisionIn(In):
    """A verdict."""

    decision: Annotated[Word, among(list(DECIDED))]
    comments: Long | None = None


class CancelIn(In):
    """Why it is taken back."""

    reason: Long | None = None


class ApprovalsQuery(Paging):
    """Which requests to list."""

    status: Annotated[Word, among(ApprovalStatus.values)] | None = None
    approver_role: Role | None = None
    task_id: TaskId | None = None


class WaitQuery(In):
    """How long to wait for the answer, in seconds."""

    wait: int = Field(0, ge=0, le=55)


class ApprovalOut(TypedDict):
    """A request for approval, in lists and alone."""

    approval_id: WrittenApproval
    task_id: WrittenTask
    approver_role: str
    status: Status
    reason: str
    comments: str
    requested_by: str
    decided_by: str | None
    decision_at: datetime | None
    expires_at: datetime
    created_at: datetime


class Asked(TypedDict):
    """The request that was made, found or decided."""

    approval_id: WrittenApproval
    status: Status


class ApprovalsOut(Page):
    """A page of requests."""

    approvals: list[ApprovalOut]


def shape(approval: Approval) -> ApprovalOut:
    """The request as every reply shows it."""
    lapsed_at = approval.expires_at if approval.has_lapsed else None
    return {
        "approval_id": written("approval", approval.pk), "task_id": written("task", approval.task_id),
        "approver_role": approval.approver_role, "status": approval.effective_status, "reason": approval.reason,
        "comments": approval.notes, "requested_by": approval.requested_by_name, "decided_by": approval.decided_by_name or None,
        "decision_at": approval.decision_at or lapsed_at, "expires_at": approval.expires_at, "created_at": approval.created_at,
    }  # fmt: skip


KEYED = ["ETag", "Location?", "Idempotent-Replayed?"]


@router.post("", response={202: Asked, 200: Asked}, openapi_extra=says(403, 404, 409, 412, _202=KEYED, _200=["ETag", "Location?"]))
def ask(request: HttpRequest, body: ApprovalIn) -> HttpResponse:
    """Ask a role for approval of a task, or decide the open request of that task."""
    actor = actor_of(request)
    one_of("decision", body.decision, ["pending", *DECIDED])
    if body.decision in DECIDED:
        return _decide_for_task(request, actor, body)
    if not body.approver_role:
        raise Invalid("approver_role", "Name the role that is asked.")
    allow_changing(actor)
    role, question = chart_role("approver_role", body.approver_role), body.question()
    if len(question) > 10_000:
        raise Invalid("comments", "reason and comments together may hold 10,000 characters.")
    return idempotency.answer(
        request,
        status=202,
        run=lambda key: actions.ask(
            actor=actor, task_id=body.task_id, approver_role=role, reason=question, expires_in=body.expires_in, key=key
        ),
        reply=lambda approval: {"approval_id": written("approval", approval.pk), "status": "pending"},
        where=lambda approval: f"/api/approvals/approval-{approval.pk}",
        role=actions.asked_in,
    )


def _decide_for_task(request: HttpRequest, actor: Actor, body: ApprovalIn) -> HttpResponse:
    approval, fresh = actions.decide_for_task(
        actor=actor, task_id=body.task_id, verdict=body.decision or "", note=body.comments or "", approver_role=body.approver_role,
        expected=if_match(request), key=idempotency.read_key(request),
    )  # fmt: skip
    response = one(approval, {"approval_id": written("approval", approval.pk), "status": approval.status})
    response.status_code = 202 if fresh else 200
    return response


@router.get("", response=ApprovalsOut)
def list_approvals(request: HttpRequest, query: Query[ApprovalsQuery]) -> JsonResponse:
    """The requests asked of or by your roles, newest first."""
    one_of("status", query.status, ApprovalStatus.values)
    of_task = Approval.objects.filter(task_id=query.task_id) if query.task_id else Approval.objects.all()
    return listed(request, "approvals", of_task.listed_for(actor_of(request), query.approver_role, query.status), query, shape)


@router.get("/{approval_id}", response=ApprovalOut, openapi_extra=says(404, _200=["ETag", "Retry-After?"]))
def read_approval(request: HttpRequest, approval_id: str, query: Query[WaitQuery]) -> HttpResponse:
    """One request; with `wait`, as soon as it is no longer pending, else after the wait with Retry-After."""
    id = path_id("approval", approval_id)
    approval = waiting.until(lambda: _read(actor_of(request), id), lambda found: found.effective_status != "pending", query.wait)
    response = one(approval, shape(approval))
    if query.wait and approval.effective_status == "pending":
        response["Retry-After"] = "1"
    return response


@Prepared
def _by_id(id: UUID) -> QuerySet[Approval]:
    return Approval.objects.whole().filter(pk=id)


def _read(actor: Actor, id: UUID) -> Approval:
    approval = _by_id.first(id)
    if not approval or not actions.can_read(actor, approval):
        raise NotFound("There is no such request, or it is not yours to read.")
    return approval


@router.post("/{approval_id}/decision", response=ApprovalOut, openapi_extra=says(403, 404, 409, 412, _200=["ETag"]))
def decide(request: HttpRequest, approval_id: str, body: DecisionIn) -> HttpResponse:
    """Approve or reject, as a person holding the role that was asked."""
    one_of("decision", body.decision, list(DECIDED))
    approval = actions.decide(
        actor=actor_of(request), approval_id=path_id("approval", approval_id), verdict=body.decision, note=body.comments or "",
        expected=if_match(request),
    )  # fmt: skip
    return one(approval, shape(approval))


@router.post("/{approval_id}/cancel", response=ApprovalOut, openapi_extra=says(403, 404, 409, _200=["ETag"]))
def cancel(request: HttpRequest, approval_id: str, body: CancelIn | None = None) -> HttpResponse:
    """Take a request back."""
    reason = (body.reason if body else None) or ""
    approval = actions.cancel(actor=actor_of(request), approval_id=path_id("approval", approval_id), reason=reason)
    return one(approval, shape(approval))
