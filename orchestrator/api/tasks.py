"""The agents' door to tasks: shapes and endpoints."""

from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from ninja import Query, Router
from pydantic import ConfigDict, model_validator

from approvals.models import Approval
from audit.action import allow_changing
from audit.actor import actor_of, chart_role
from audit.errors import Conflict, Invalid, NotFound
from orchestrator.api import idempotency
from orchestrator.api.approvals import shape as approval_shape
from orchestrator.api.paging import Paging, etag, if_match, listed, one
from orchestrator.api.wire import In, Long, Object, SessionId, Short, Word, one_of, path_id, written
from sessions import actions
from sessions.models import Task, TaskStatus

router = Router(tags=["tasks"])


class TaskIn(In):
    """The task itself; further members are figures and go into `data`."""

    model_config = ConfigDict(extra="allow")

    task_type: Short
    description: Long | None = None
    data: Object | None = None

    @model_validator(mode="before")
    @classmethod
    def _type_is_task_type(cls, value: Any) -> Any:
        """Existing agents write `type`."""
        if isinstance(value, dict) and "type" in value:
            kind = value["type"]
            others = {name: member for name, member in value.items() if name != "type"}
            if None not in (kind, value.get("task_type")) and kind != value["task_type"]:
                raise ValueError("type and task_type say different things")
            return others if kind is None else {**others, "task_type": kind}
        return value

    def figures(self) -> dict[str, Any]:
        """`data` with the further members; raises Invalid if both hold different values under one name."""
        data, extra = self.data or {}, self.model_extra or {}
        for name in data.keys() & extra.keys():
            if not actions.same(data[name], extra[name]):
                raise Invalid(f"task.{name}", f"{name} stands in task and in task.data with different values; send it once.")
        return {**data, **extra}


class RouteIn(In):
    """What hands a task to a role."""

    target: Word
    task: TaskIn
    context: Object | None = None
    session_id: SessionId | None = None
    from_role: Word | None = None


class TaskChange(In):
    """What becomes of a task."""

    status: Word
    result: Object | None = None


class TasksQuery(Paging):
    """Which tasks to list."""

    target: Word | None = None
    status: Word | None = None
    task_type: Short | None = None


def shape(task: Task) -> dict[str, Any]:
    """The task as every reply shows it."""
    session = task.carrier
    return {
        "task_id": written("task", task.pk), "task_type": task.task_type, "description": task.description, "from_role": task.from_role,
        "to_role": task.to_role, "status": task.status, "data": task.data, "context": task.context, "result": task.result,
        "claimed_by": task.claimed_by_name or None, "trace_id": str(task.trace()), "session_id": str(session.pk) if session else None,
        "created_at": task.created_at, "updated_at": task.updated_at,
    }  # fmt: skip


@router.post("/route", response={202: None})
def route_task(request: HttpRequest, body: RouteIn) -> HttpResponse:
    """Hand a task to a role, in your session or in one opened for it."""
    actor = actor_of(request)
    figures = body.task.figures()
    chart_role("target", body.target)
    allow_changing(actor)
    if not body.session_id or (body.from_role and not actor.is_admin):
        actions.sending_role(actor, body.from_role, None)
    return idempotency.answer(
        request,
        status=202,
        run=lambda key: actions.route_task(
            actor=actor,
            target=body.target,
            task_type=body.task.task_type,
            description=body.task.description or "",
            data=figures,
            context=body.context,
            session_id=body.session_id,
            from_role=body.from_role,
            key=key,
        ),
        reply=lambda task: {"task_id": written("task", task.pk), "status": "accepted", "trace_id": str(task.trace_id)},
        where=lambda task: f"/api/tasks/task-{task.pk}",
    )


@router.get("")
def list_tasks(request: HttpRequest, query: Query[TasksQuery]) -> dict[str, Any]:
    """The tasks from or to your roles, newest first."""
    one_of("status", query.status, TaskStatus.values)
    wanted = {"to_role": query.target, "status": query.status, "task_type": query.task_type}
    rows = Task.objects.of_roles(actor_of(request)).filter(**{name: value for name, value in wanted.items() if value}).whole()
    return listed(request, "tasks", rows, query, shape)


@router.get("/{task_id}")
def read_task(request: HttpRequest, task_id: str) -> HttpResponse:
    """One task, with the approvals asked on it."""
    task = Task.objects.readable_by(actor_of(request)).whole().filter(pk=path_id("task", task_id)).first()
    if not task:
        raise NotFound("There is no such task, or it is not yours to read.")
    asked = Approval.objects.whole().filter(task=task).order_by("created_at", "id")
    return JsonResponse({**shape(task), "approvals": [approval_shape(approval) for approval in asked]}, headers={"ETag": etag(task)})


@router.put("/{task_id}")
def change_task(request: HttpRequest, task_id: str, body: TaskChange) -> HttpResponse:
    """Claim (active), complete or fail as its claimer, cancel as its sender."""
    one_of("status", body.status, TaskStatus.values)
    actor, id, expected = actor_of(request), path_id("task", task_id), if_match(request)
    if body.result is not None and body.status not in {"completed", "failed"}:
        raise Invalid("result", "Only a task that is completed or failed has a result.")
    if body.status == "active":
        task = actions.claim_task(actor=actor, task_id=id, expected=expected)
    elif body.status == "cancelled":
        task = actions.cancel_task(actor=actor, task_id=id, expected=expected)
    elif body.status == "pending":
        raise Conflict("A task does not go back to pending.", "move-not-allowed", allowed=["active", "completed", "failed", "cancelled"])
    else:
        task = actions.end_task(actor=actor, task_id=id, status=body.status, result=body.result, expected=expected)
    return one(task, shape(task))
