"""The agents' door to tasks: shapes and endpoints."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, JsonResponse
from ninja import Query, Router
from pydantic import ConfigDict, model_validator
from typing_extensions import TypedDict

from approvals.models import Approval
from audit.action import allow_changing
from audit.actor import Actor, actor_of, chart_role
from audit.errors import Conflict, Invalid, NotFound
from audit.prepared import Prepared
from orchestrator.api import idempotency
from orchestrator.api.approvals import ApprovalOut
from orchestrator.api.approvals import shape as approval_shape
from orchestrator.api.openapi import says
from orchestrator.api.paging import Page, Paging, etag, if_match, listed, one
from orchestrator.api.wire import In, Long, Object, Role, SessionId, Short, Uuid, Word, WrittenTask, among, one_of, path_id, written
from sessions import actions
from sessions.models import TASK_MOVES, Task, TaskStatus

router = Router(tags=["tasks"])
Status = Annotated[str, among(TaskStatus.values)]


def _either_name(schema: dict[str, Any]) -> None:
    """For the description: `type` will do for `task_type`."""
    schema["properties"]["type"] = {**schema["properties"]["task_type"], "description": "The same as task_type"}
    schema["anyOf"] = [{"required": ["task_type"]}, {"required": ["type"]}]
    del schema["required"]


class TaskIn(In):
    """The task itself; further members are figures and go into `data`."""

    model_config = ConfigDict(extra="allow", json_schema_extra=_either_name)

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
            if None not in (kind, value.get("task_type")) and str(kind).strip() != str(value["task_type"]).strip():
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

    target: Role
    task: TaskIn
    context: Object | None = None
    session_id: SessionId | None = None
    from_role: Role | None = None


class TaskChange(In):
    """What becomes of a task."""

    status: Annotated[Word, among(TaskStatus.values)]
    result: Object | None = None


class TasksQuery(Paging):
    """Which tasks to list."""

    target: Role | None = None
    status: Annotated[Word, among(TaskStatus.values)] | None = None
    task_type: Short | None = None


class TaskOut(TypedDict):
    """A task, in lists and alone."""

    task_id: WrittenTask
    task_type: str
    description: str
    from_role: str
    to_role: str
    status: Status
    data: dict[str, Any]
    context: dict[str, Any]
    result: dict[str, Any] | None
    claimed_by: str | None
    trace_id: Uuid
    session_id: Uuid | None
    created_at: datetime
    updated_at: datetime


class TaskWhole(TaskOut):
    """A task with what was asked about it, oldest first."""

    approvals: list[ApprovalOut]


class TaskAccepted(TypedDict):
    """What was fixed when it was accepted."""

    task_id: WrittenTask
    status: Annotated[str, among(["accepted"])]
    trace_id: Uuid


class TasksOut(Page):
    """A page of tasks."""

    tasks: list[TaskOut]


def shape(task: Task) -> TaskOut:
    """The task as every reply shows it."""
    session = task.carrier
    return {
        "task_id": written("task", task.pk), "task_type": task.task_type, "description": task.description, "from_role": task.from_role,
        "to_role": task.to_role, "status": task.status, "data": task.data, "context": task.context, "result": task.result,
        "claimed_by": task.claimed_by_name or None, "trace_id": str(task.trace()), "session_id": str(session.pk) if session else None,
        "created_at": task.created_at, "updated_at": task.updated_at,
    }  # fmt: skip


@router.post("/route", response={202: TaskAccepted}, openapi_extra=says(403, 404, 409, _202=["ETag", "Location", "Idempotent-Replayed?"]))
def route_task(request: HttpRequest, body: RouteIn) -> HttpResponse:
    """Hand a task to a role, in your session or in one opened for it."""
    actor = actor_of(request)
    figures = body.task.figures()
    chart_role("target", body.target)
    allow_changing(actor)
    if body.from_role and not (body.session_id and actor.is_admin):
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
        role=lambda task: task.from_role,
    )


@router.get("", response=TasksOut)
def list_tasks(request: HttpRequest, query: Query[TasksQuery]) -> JsonResponse:
    """The tasks from or to your roles, newest first."""
    one_of("status", query.status, TaskStatus.values)
    of_type = Task.objects.filter(task_type=query.task_type) if query.task_type else Task.objects.all()
    return listed(request, "tasks", of_type.listed_for(actor_of(request), query.target, query.status), query, shape, ("session",))


@router.get("/{task_id}", response=TaskWhole, openapi_extra=says(404, _200=["ETag"]))
def read_task(request: HttpRequest, task_id: str) -> HttpResponse:
    """One task, with the approvals asked on it."""
    task = _read(actor_of(request), path_id("task", task_id))
    asked = [approval_shape(approval) for approval in _asked_on.all(task.pk)]
    return JsonResponse({**shape(task), "approvals": asked}, headers={"ETag": etag(task)})


@Prepared
def _asked_on(task_id: UUID) -> QuerySet[Approval]:
    return Approval.objects.whole().filter(task_id=task_id).order_by("created_at", "id")


@Prepared
def _by_id(id: UUID) -> QuerySet[Task]:
    return Task.objects.whole().filter(pk=id)


def _read(actor: Actor, id: UUID) -> Task:
    task = _by_id.first(id)
    if not task or not actions.can_read_task(actor, task):
        raise NotFound("There is no such task, or it is not yours to read.")
    return task


@router.put("/{task_id}", response=TaskOut, openapi_extra=says(403, 404, 409, 412, _200=["ETag"]))
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
        allowed = TASK_MOVES.get(_read(actor, id).status, [])
        raise Conflict("A task does not go back to pending.", "move-not-allowed", allowed=allowed)
    else:
        task = actions.end_task(actor=actor, task_id=id, status=body.status, result=body.result, expected=expected)
    return one(task, shape(task))
