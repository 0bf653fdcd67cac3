"""Who may do what with a task: the actions ask, and so does the page that offers them (contract, "Who may write")."""

from audit.actor import Actor
from sessions.models import NOTIFICATION, Task


def may_claim(actor: Actor, task: Task) -> bool:
    """Holders of the role that it was handed to."""
    return actor.holds(task.to_role)


def may_end(actor: Actor, task: Task, status: str) -> bool:
    """Who claimed it; while nobody did, a holder of its role; admin may fail it."""
    unclaimed = task.claimed_by is None and actor.holds(task.to_role)
    return unclaimed or task.claimed_by == actor.principal or (status == "failed" and actor.is_admin)


def ends_unclaimed(actor: Actor, task: Task, status: str) -> bool:
    """What ends without having been picked up: a notification that was read, a task that the admin fails."""
    return (status == "completed" and task.task_type == NOTIFICATION) or (status == "failed" and actor.is_admin)


def may_cancel(actor: Actor, task: Task) -> bool:
    """Who sent it, or a person holding the role that it comes from."""
    return task.created_by == actor.principal or (actor.is_person and actor.holds(task.from_role))


def verbs(actor: Actor, task: Task) -> list[str]:
    """What the caller can do with the task now: claim, complete, fail, cancel."""
    if not (task.is_open and actor.may_change):
        return []
    found = ["claim"] if task.status == "pending" and may_claim(actor, task) else []
    for verb, status in (("complete", "completed"), ("fail", "failed")):
        if may_end(actor, task, status) and (task.status == "active" or ends_unclaimed(actor, task, status)):
            found.append(verb)
    return [*found, "cancel"] if may_cancel(actor, task) else found
