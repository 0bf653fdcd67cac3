"""Which events a caller may read: all of them, or those of one object that they may read."""

from collections.abc import Iterable
from uuid import UUID

from django.db.models import BooleanField
from django.db.models.expressions import RawSQL

from audit.actor import Actor
from audit.models import Audited, AuditEvent, AuditEventQuerySet

#: Whether an event still has the digest that its content and its subject's event before it give.
INTACT = """audit_events.digest = audit_digest(coalesce(lag(audit_events.digest) OVER (
  PARTITION BY audit_events.subject_type, audit_events.subject_id ORDER BY audit_events.timestamp), ''), audit_events)"""


def readable(actor: Actor, id: UUID) -> Audited | None:
    """The session, task or approval of that id, if the caller may read it.

    The apps above say who may (`readable_by`); this one knows them only as what is audited.
    """
    for model in Audited.__subclasses__():
        if row := model._default_manager.get_queryset().readable_by(actor).filter(pk=id).first():  # type: ignore[attr-defined]
            return row  # type: ignore[no-any-return]
    return None


def events_of(row: Audited) -> AuditEventQuerySet:
    """The object's events; a session brings its task's and its task's approvals'."""
    own = AuditEvent.objects.filter(subject_type=row.subject_type, subject_id=row.pk)
    task = getattr(row, "task_id", None) if row.subject_type == "session" else None
    if not task:
        return own
    of_task = AuditEvent.objects.filter(subject_type="task", subject_id=task)
    # A task may have been sent under another trace before the session took it.
    about_it = AuditEvent.objects.filter(event_type="approval.requested", metadata__task=str(task))
    asked = about_it.filter(trace_id__in=of_task.values("trace_id")), about_it.filter(trace_id=row.trace())
    of_approvals = (AuditEvent.objects.filter(subject_type="approval", subject_id__in=each.values("subject_id")) for each in asked)
    # Index walks; one condition with OR reads the whole table.
    return AuditEvent.objects.filter(pk__in=own.values("pk").union(*(each.values("pk") for each in (of_task, *of_approvals)), all=True))


def story_of(row: Audited) -> AuditEventQuerySet:
    """The same, oldest first, each event knowing whether it is `intact`."""
    return checked(events_of(row))


def checked(events: AuditEventQuerySet) -> AuditEventQuerySet:
    """Oldest first, each knowing whether it is `intact`; of each object all events must be there."""
    intact = RawSQL(INTACT, [], output_field=BooleanField())  # noqa: S611 - constant text
    return events.annotate(intact=intact).order_by("timestamp", "id")


def of_trace(trace_id: UUID) -> AuditEventQuerySet:
    """Everything under one trace, and what else happened to the objects in it: their chains begin where they begin."""
    kinds = [model.subject_type for model in Audited.__subclasses__()]
    within = AuditEvent.objects.story(trace_id).order_by().values("subject_id")
    # Two index walks; one condition with OR reads the whole table.
    under = AuditEvent.objects.filter(trace_id=trace_id).values("pk")
    of_them = AuditEvent.objects.filter(subject_type__in=kinds, subject_id__in=within).values("pk")
    return AuditEvent.objects.filter(pk__in=under.union(of_them))


def versions(events: Iterable[AuditEvent]) -> dict[UUID, int]:
    """The versions that the events' objects have now."""
    ids = {event.subject_id for event in events if event.subject_id}
    first, *others = (model._default_manager.filter(pk__in=ids).values_list("pk", "version") for model in Audited.__subclasses__())
    return dict(first.union(*others, all=True))
