"""AuditEvent, and the two ways to write one: beside a new row, or after a change."""

from collections.abc import Sequence
from typing import Any, cast
from uuid import UUID

from django.contrib.postgres.functions import TransactionNow
from django.core.serializers.json import DjangoJSONEncoder
from django.db import connection, models
from django.db.models import sql
from django.db.models.expressions import DatabaseDefault
from django.utils.translation import gettext_lazy as _
from uuid_utils.compat import uuid7

from audit.actor import Actor, Kind

#: SQL and its parameters.
Statement = tuple[str, Sequence[Any]]


class AuditEventQuerySet(models.QuerySet["AuditEvent"]):
    """Named reads of the trail."""

    def story(self, trace_id: UUID) -> "AuditEventQuerySet":
        """Everything that happened under one trace, oldest first; what callers reported themselves is left out."""
        return self.filter(trace_id=trace_id, subject_id__isnull=False).order_by("timestamp", "id")

    def latest_first(self) -> "AuditEventQuerySet":
        """The trail as people read it."""
        return self.order_by("-timestamp", "-id")


class AuditEvent(models.Model):
    """One immutable record of one change, or of one refused attempt worth keeping.

    The database refuses UPDATE, DELETE and TRUNCATE, sets the time when none is given and chains the digests (migration 0001).
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False, db_comment="UUIDv7")
    event_type = models.CharField(max_length=50, db_comment="object.verb, for example approval.approved")
    role = models.CharField(max_length=50, db_comment="the role acted in; system for the system")
    timestamp = models.DateTimeField(db_default=TransactionNow(), db_comment="the database's clock; grows strictly per subject")
    trace_id = models.UUIDField(db_comment="ties a session, its task and its approvals together")
    metadata = models.JSONField(default=dict, encoder=DjangoJSONEncoder, db_comment="what changed, and why")
    actor = models.CharField(max_length=255, db_comment="the actor's name as text; survives the user")
    actor_id = models.CharField(max_length=600, db_comment="principal: <iss>|<sub>")
    actor_kind = models.CharField(max_length=10, choices=[(k.value, k.value) for k in Kind], db_comment="person, agent or system")
    subject_type = models.CharField(max_length=20, null=True, db_comment="session, task or approval; null for reported events")
    subject_id = models.UUIDField(null=True, db_comment="the object's id")
    version = models.PositiveIntegerField(null=True, db_comment="the object's version after the change; null for refusals")
    digest = models.CharField(
        max_length=64, editable=False, db_default="", db_comment="sha256 over the subject's previous digest and this event"
    )

    objects = AuditEventQuerySet.as_manager()

    class Meta:
        db_table = "audit_events"
        db_table_comment = "One immutable record of one change; UPDATE, DELETE and TRUNCATE are refused"
        verbose_name = _("audit event")
        constraints = [
            models.UniqueConstraint(fields=["subject_type", "subject_id", "version"], name="audit_events_subject_version"),
            models.CheckConstraint(
                condition=models.Q(subject_type__isnull=True, subject_id__isnull=True, version__isnull=True)
                # An unknown type IN a list is null, and a check lets null pass: say that there is one.
                | models.Q(subject_type__in=["session", "task", "approval"], subject_type__isnull=False, subject_id__isnull=False),
                name="audit_events_subject_whole",
            ),
        ]
        indexes = [
            models.Index(fields=["trace_id"], name="audit_events_trace"),
            models.Index(fields=["-timestamp", "-id"], name="audit_events_timestamp"),
            models.Index(fields=["event_type", "-timestamp", "-id"], name="audit_events_type"),
            models.Index(fields=["role", "-timestamp", "-id"], name="audit_events_role"),
            models.Index(fields=["actor", "-timestamp", "-id"], name="audit_events_actor"),
            # The last refusal of a subject: the digest chain's other end besides its last version.
            models.Index(fields=["subject_id", "timestamp"], name="audit_events_refusals", condition=models.Q(version__isnull=True)),
        ]

    def __str__(self) -> str:
        return f"{self.event_type} by {self.actor}"


class Audited(models.Model):
    """What sessions, tasks and approvals share: a version that grows by one with each change, each with its event."""

    subject_type: str

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False, db_comment="UUIDv7")
    version = models.PositiveIntegerField(default=1, editable=False, db_comment="1, and one more with each change")
    idempotency_key = models.CharField(
        max_length=128, null=True, blank=True, editable=False, db_comment="the creating call's key while it is held"
    )
    request_digest = models.CharField(max_length=64, null=True, editable=False, db_comment="sha256 of that call's body, canonical JSON")

    class Meta:
        abstract = True

    def trace(self) -> UUID:
        """The trace under which this object's events are written."""
        raise TypeError(f"{type(self).__name__} has no trace")


def event(subject: Audited, verb: str, *, actor: Actor, role: str, refused: bool = False, **details: Any) -> AuditEvent:
    """The event that tells of the subject's present version (or, `refused`, of an attempt that changed nothing)."""
    trace = subject.trace()
    if actor.request_trace != trace and actor.kind != Kind.SYSTEM:
        details["request_trace_id"] = actor.request_trace
    return AuditEvent(
        event_type=f"{subject.subject_type}.{verb}", role=role, trace_id=trace, metadata=details,
        actor=actor.name[:255], actor_id=actor.principal, actor_kind=actor.kind,
        subject_type=subject.subject_type, subject_id=subject.pk, version=None if refused else subject.version,
    )  # fmt: skip


def change(subject: Audited, verb: str, values: dict[str, Any], *, actor: Actor, role: str, **details: Any) -> None:
    """Write `values`, the next version and its event, in one statement; the caller holds the row's lock.

    Raises RuntimeError when the row moved on since it was read: then there was no lock, which is a defect.
    """
    subject.version += 1
    computed = _computed(values)
    row = _with_event(_update_sql(subject, values, computed), event(subject, verb, actor=actor, role=role, **details))
    if row is None:
        raise RuntimeError(f"{subject.subject_type} {subject.pk} changed without its lock")
    for name, value in {**values, **dict(zip(computed, row[1:], strict=True))}.items():
        setattr(subject, name, value)


def insert(row: Audited, verb: str, *, actor: Actor, role: str, **details: Any) -> None:
    """Insert a new row and its event, in one statement: one round trip instead of two on the hottest path."""
    statement, params = _insert_sql(row)
    _with_event((f"{statement} RETURNING version", params), event(row, verb, actor=actor, role=role, **details))


def _with_event(statement: Statement, told: AuditEvent) -> tuple[Any, ...] | None:
    """What the statement returns; the event is written beside it."""
    (row_sql, row_params), (event_sql, event_params) = statement, _insert_sql(told)
    with connection.cursor() as cursor:
        cursor.execute(f"WITH told AS ({event_sql}) {row_sql}", [*event_params, *row_params])
        return cast("tuple[Any, ...] | None", cursor.fetchone())


# SQL is written here, for the ORM takes longer to write these statements than PostgreSQL to run them.


def _insert_sql(row: models.Model) -> Statement:
    """What the row holds; the database fills in its own defaults."""
    held = [(field, getattr(row, field.attname)) for field in row._meta.concrete_fields]
    placed = {field.column: _placed(field, value) for field, value in held if not isinstance(value, DatabaseDefault)}
    columns, places = ", ".join(f'"{column}"' for column in placed), ", ".join(place for place, _ in placed.values())
    statement = f'INSERT INTO "{row._meta.db_table}" ({columns}) VALUES ({places})'  # noqa: S608 - names of models
    return statement, [param for _, params in placed.values() for param in params]


def _update_sql(subject: Audited, values: dict[str, Any], computed: list[str]) -> Statement:
    """The row as it was read gets the values and its new version; what the database computes comes back in the same round trip."""
    model = subject._meta
    placed = {name: _placed(cast("models.Field[Any, Any]", model.get_field(name)), value) for name, value in values.items()}
    columns = "".join(f'"{name}" = {place}, ' for name, (place, _) in placed.items())
    returned = ", ".join(["version", *computed])
    statement = f'UPDATE "{model.db_table}" SET {columns}version = %s WHERE id = %s AND version = %s RETURNING {returned}'  # noqa: S608
    return statement, [*(param for _, params in placed.values() for param in params), subject.version, subject.pk, subject.version - 1]


def _computed(values: dict[str, Any]) -> list[str]:
    """The names of what the database computes (its clock)."""
    return [name for name, value in values.items() if hasattr(value, "resolve_expression")]


def _placed(field: "models.Field[Any, Any]", value: Any) -> Statement:
    """A column's value: a parameter, or the SQL of what the database computes."""
    if not hasattr(value, "resolve_expression"):
        return "%s", [field.get_db_prep_save(value, connection)]
    compiler = sql.InsertQuery(field.model).get_compiler(connection=connection)
    return cast(Statement, compiler.compile(value.resolve_expression(compiler.query, allow_joins=False, for_save=True)))
