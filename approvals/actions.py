"""Every verb on approvals: ask, decide, cancel, expire; and what the end of a task does to them."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db.models import Exists, Q, QuerySet, Subquery
from django.db.models.functions import Now
from django.db.models.sql import UpdateQuery
from django.dispatch import receiver

from approvals.care import why_twice
from approvals.models import DECIDED, Approval
from audit.action import Key, Lapsed, Made, Versions, action, allow_changing, check_version, held, once
from audit.actor import SYSTEM, Actor, chart_role, org_role
from audit.errors import Conflict, DomainError, Invalid, KeyReused, NotAllowed, NotFound
from audit.models import AuditEvent, change, event, insert
from audit.prepared import Prepared, PreparedUpdate, updating
from sessions.actions import expire_session, locked_task
from sessions.models import Session, Task, retention
from sessions.signals import task_ending

SHORTEST, LONGEST = 60, 30 * 86_400
#: Per request: nothing if it was decided, else why not.
Outcomes = dict[UUID, DomainError | None]
ONLY_PEOPLE = "Only people decide; an agent cannot."


class Refused(NotAllowed):
    """An attempt to decide by somebody who may not: worth keeping, so it leaves an event."""

    slug = "not-yours-to-decide"

    def __init__(self, approval: Approval, message: str) -> None:
        super().__init__(message)
        self.approval = approval


def ask(
    *, actor: Actor, task_id: UUID, approver_role: str, reason: str = "", expires_in: int | None = None, key: Key | None = None
) -> Made[Approval]:
    """Ask a role to approve a task; asking again while the request is open finds it and consumes no key.

    `expires_in` is seconds, 60 to 30 days, cut to SESSION_RETENTION_DAYS. Raises Conflict when the task has ended.
    """
    chart_role("approver_role", approver_role)
    lifetime = _lifetime(expires_in)
    fresh = Approval(
        approver_role=approver_role, reason=reason, requested_by=actor.principal, requested_by_name=actor.name[:255],
        expires_at=Now() + lifetime, idempotency_key=key.value if key else None, request_digest=key.digest if key else None,
    )  # fmt: skip

    def make() -> Approval:
        task = locked_task(actor, task_id)
        role = _asking_role(actor, task)
        if not task.is_open:
            raise Conflict(f"The task is {task.status}; only an open task can be approved.", "task-ended")
        if there := _open_request.first(task.pk, approver_role):
            there.task = task
            if not there.has_lapsed:
                return there
            _expire(there)
        fresh.task, fresh.from_role, fresh.version = task, task.from_role, 1
        fresh.asked_in = role  # type: ignore[attr-defined]  # spares `asked_in` a query
        insert(fresh, "requested", actor=actor, role=role, of=approver_role, task=task.pk)
        return fresh

    try:
        made = once(Approval, "requested_by", actor, key, make)
    except DomainError:
        if key and (before := held(Approval, "requested_by", actor, key)):
            return Made(before, replayed=True)  # whatever became of the task
        raise
    return made if made.replayed or made.row is fresh else _found(actor, made.row, key)


@Prepared
def _open_request(task_id: UUID, approver_role: str) -> QuerySet[Approval]:
    return Approval.objects.select_for_update().filter(task_id=task_id, approver_role=approver_role, status="pending")


def _lifetime(expires_in: int | None) -> timedelta:
    seconds = settings.APPROVAL_TTL_SECONDS if expires_in is None else expires_in
    if not SHORTEST <= seconds <= LONGEST and expires_in is not None:
        raise Invalid("expires_in", f"Must be from {SHORTEST} to {LONGEST} seconds.")
    return min(timedelta(seconds=seconds), retention())


def _asking_role(actor: Actor, task: Task) -> str:
    """The role in which the caller asks: the task's creator, a holder of from_role, or its claimer may."""
    allow_changing(actor)
    if actor.holds(task.from_role) or actor.principal == task.created_by:
        return task.from_role
    if actor.principal == task.claimed_by:
        return task.to_role
    raise NotAllowed("Only who sent the task, its role, or who claimed it may ask for approval.")


def asked_in(approval: Approval) -> str:
    """The role in which it was asked, as its first event has it: the task may have been claimed since."""
    said: str | None = getattr(approval, "asked_in", None)
    return said or AuditEvent.objects.get(subject_type="approval", subject_id=approval.pk, version=1).role


def _found(actor: Actor, there: Approval, key: Key | None) -> Made[Approval]:
    """An open request that was there already: what the key made comes first, be it this one or one before it."""
    if key and (before := held(Approval, "requested_by", actor, key)):
        return Made(before, replayed=True)
    return Made(there, found=True)


def decide(*, actor: Actor, approval_id: UUID, verdict: str, note: str = "", expected: Versions = None) -> Approval:
    """Approve or reject: exactly one winner. The same verdict by the same person again changes nothing.

    Raises Conflict saying what, who and when if it was decided otherwise; Refused (with an event) if it is not the caller's.
    """
    try:
        return _decide(actor=actor, approval_id=approval_id, verdict=verdict, note=note, expected=expected)
    except Refused as refused:
        # After the rollback, in its own transaction: the refusal stays though nothing changed.
        told = event(
            refused.approval, "refused", actor=actor, role=actor.acting_as(refused.approval.approver_role), refused=True,
            verdict=verdict, because=str(refused),
        )  # fmt: skip
        told.save(force_insert=True)
        raise


@action
def _decide(*, actor: Actor, approval_id: UUID, verdict: str, note: str, expected: Versions) -> Approval:
    approval = _locked(actor, approval_id)
    if why := why_not_decide(actor, approval):
        raise Refused(approval, why)
    check_version(approval, expected)
    if approval.status == verdict and approval.decided_by == actor.principal:
        return approval
    if approval.status != "pending":
        raise already_decided(approval)
    if verdict == "rejected" and not note:
        raise Invalid("comments", "A rejection needs a reason, so that the asker knows what to change.")
    values = {"status": verdict, "notes": note, "decided_by": actor.principal, "decided_by_name": actor.name[:255], "decision_at": Now()}
    change(approval, verdict, values, actor=actor, role=actor.acting_as(approval.approver_role), **({"note": note} if note else {}))
    return approval


@PreparedUpdate
def _touch_session(approval_id: UUID) -> UpdateQuery:
    task = Approval.objects.filter(pk=approval_id).values("task_id")
    return updating(Session.objects.live().filter(task_id=Subquery(task)), updated_at=Now())


@Prepared
def _approval_for_update(id: UUID) -> QuerySet[Approval]:
    due = Q(status="pending", expires_at__lte=Now())  # the database's clock decides
    return Approval.objects.whole().select_for_update(of=("self",)).annotate(due=due).filter(pk=id)


def _locked(actor: Actor, approval_id: UUID) -> Approval:
    """The request with task and session, locked in the one order; NotFound unless readable, Lapsed if its time is over."""
    _touch_session(approval_id)
    approval = _approval_for_update.first(approval_id)
    if not approval or not can_read(actor, approval):
        raise NotFound("There is no such request, or it is not yours to read.")
    if (session := approval.task.carrier) and session.has_lapsed:
        raise Lapsed(lambda: expire_session(session.pk))
    if approval.due:  # type: ignore[attr-defined]  # annotated
        raise Lapsed(lambda: expire_approval(approval_id))
    return approval


def can_read(actor: Actor, approval: Approval) -> bool:
    """Approval.objects.readable_by for one row; the common cases without asking the database."""
    roles = {approval.approver_role, approval.from_role, approval.task.to_role}
    return actor.reads_all or bool(roles & actor.org_roles) or Task.objects.readable_by(actor).filter(pk=approval.task_id).exists()


def why_not_decide(actor: Actor, approval: Approval) -> str:
    """Why this caller may not decide it; empty if they may (contract, "Who may decide"; four eyes on every path)."""
    if not actor.is_person:
        return ONLY_PEOPLE
    if not (actor.holds(approval.approver_role) or actor.is_admin):
        return f"Only a holder of {approval.approver_role} decides this."
    if actor.principal == approval.requested_by:
        return "You asked for this yourself; somebody else must decide it."
    if actor.principal == approval.task.created_by:
        return "You sent this task yourself; somebody else must decide it."
    return ""


def already_decided(approval: Approval) -> Conflict:
    """What a late decider is told: what, who and when."""
    if approval.status not in DECIDED:
        return Conflict(f"The request is {approval.status}; nobody can decide it any more.", "not-pending", decision=approval.status)
    at = approval.decision_at
    who = {"decision": approval.status, "decided_by": approval.decided_by_name, "decision_at": at}
    return Conflict(f"{approval.decided_by_name} {approval.status} it at {at:%Y-%m-%d %H:%M:%S} UTC.", "already-decided", **who)


def decide_many(*, actor: Actor, approval_ids: Iterable[UUID], verdict: str, note: str = "") -> Outcomes:
    """One verdict and note for several requests, each decided by itself; says per request why it was not, None if it was.

    Raises Invalid, with nothing decided, when the note is missing. What needs a second look is not approved among others.
    """
    outcomes: Outcomes = {}
    tasks = {row.pk: row.task for row in Approval.objects.whole().filter(pk__in=approval_ids)}
    for id in dict.fromkeys(approval_ids):
        try:
            if verdict == "approved" and id in tasks and (why := why_twice(tasks[id])):
                raise Conflict(f"Open it to approve it: {why}.", "look-twice")
            decide(actor=actor, approval_id=id, verdict=verdict, note=note)
            outcomes[id] = None
        except Invalid:
            raise
        except DomainError as error:
            outcomes[id] = error
    return outcomes


def decide_for_task(
    *, actor: Actor, task_id: UUID, verdict: str, note: str = "", approver_role: str | None = None, expected: Versions = None,
    key: Key | None = None,
) -> tuple[Approval, bool]:  # fmt: skip
    """Decide the one open request of a task that the caller may decide (existing clients know no approval id).

    Says too whether it was decided now; False when the caller had given that verdict before. Deciding needs no key: one that
    asked for approval before raises KeyReused.
    """
    if approver_role:
        org_role("approver_role", approver_role)
    task = Task.objects.readable_by(actor).annotate(spent=_spent(actor, key)).filter(pk=task_id).first()
    if not task:
        raise NotFound("There is no such task, or it is not yours to read.")
    if task.spent:  # type: ignore[attr-defined]
        raise KeyReused()
    asked = Approval.objects.whole().filter(task=task, **({"approver_role": approver_role} if approver_role else {}))
    open_ones = list(asked.waiting())
    mine = [approval for approval in open_ones if not why_not_decide(actor, approval)]
    if len(mine) > 1:
        ids = [f"approval-{approval.pk}" for approval in mine]
        raise Conflict("Several requests are open; decide one of them by its id.", "several-open", approval_ids=ids)
    if open_ones:
        return decide(actor=actor, approval_id=(mine or open_ones)[0].pk, verdict=verdict, note=note, expected=expected), True
    if not actor.is_person:
        raise NotAllowed(ONLY_PEOPLE)
    return _decided_before(actor, verdict, asked), False


def _spent(actor: Actor, key: Key | None) -> Exists:
    """Whether the caller's key asked for something before, in its time."""
    lifetime = timedelta(seconds=settings.IDEMPOTENCY_TTL_SECONDS)
    asked = Approval.objects.filter(requested_by=actor.principal, created_at__gte=Now() - lifetime)
    return Exists(asked.filter(idempotency_key=key.value) if key else asked.none())


def _decided_before(actor: Actor, verdict: str, asked: QuerySet[Approval]) -> Approval:
    decided = asked.filter(status__in=DECIDED).order_by("-decision_at")
    if same := decided.filter(status=verdict, decided_by=actor.principal).first():
        return same
    if last := decided.first():
        raise already_decided(last)
    raise Conflict("No request is open on this task.", "no-open-approval")


@action
def cancel(*, actor: Actor, approval_id: UUID, reason: str = "") -> Approval:
    """Take a request back: who asked, or admin. A cancelled one stays as it is."""
    approval = _locked(actor, approval_id)
    allow_changing(actor)
    if not (actor.principal == approval.requested_by or actor.is_admin):
        raise NotAllowed("Only who asked, or admin, may cancel the request.")
    if approval.status == "cancelled":
        return approval
    if approval.status != "pending":
        raise already_decided(approval)
    _cancel(approval, actor, actor.acting_as(approval.from_role), because=reason)
    return approval


def _cancel(approval: Approval, actor: Actor, role: str, because: str) -> None:
    values = {"status": "cancelled", "decision_at": Now()}
    change(approval, "cancelled", values, actor=actor, role=role, **({"because": because} if because else {}))


@action
def expire_approval(approval_id: UUID) -> bool:
    """Expire one request if its time is over. Says whether it did; somebody else's lock means somebody else does."""
    lapsed = Approval.objects.lapsed().select_for_update(of=("self",), skip_locked=True).whole()
    approval = lapsed.filter(pk=approval_id).first()
    if approval:
        _expire(approval)
    return bool(approval)


def _expire(approval: Approval) -> None:
    """The moment that counts is when its time was over, not when somebody noticed."""
    change(approval, "expired", {"status": "expired", "decision_at": approval.expires_at}, actor=SYSTEM, role="system")


def expire_due(batch: int = 500) -> int:
    """One batch of everything whose time is over; returns how many objects it expired. Safe twice and in parallel."""
    sessions = [expire_session(pk) for pk in Session.objects.lapsed().values_list("pk", flat=True)[:batch]]
    requests = [expire_approval(pk) for pk in Approval.objects.lapsed().values_list("pk", flat=True)[:batch]]
    return sum(sessions) + sum(requests)


@Prepared
def _open_requests(task_id: UUID) -> QuerySet[Approval]:
    return Approval.objects.select_for_update().filter(task_id=task_id, status="pending").order_by("id")


@receiver(task_ending, sender=Task)
def end_requests(*, task: Task, actor: Actor, role: str, because: str, **_: Any) -> None:
    """An ended task leaves no request open: completing waits for the answer, failing and cancelling take it back."""
    for approval in _open_requests.all(task.pk):
        approval.task = task
        if approval.has_lapsed:
            _expire(approval)
        elif task.status == "completed":
            raise Conflict(f"{approval.approver_role} has not answered yet; a task completes after that.", "approval-pending")
        else:
            _cancel(approval, actor, role, because)
