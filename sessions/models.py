"""Session and Task, and how they are read."""

from datetime import timedelta
from typing import Self
from uuid import UUID

from django.conf import settings
from django.contrib.postgres.functions import TransactionNow
from django.db import models
from django.db.models import Exists, OuterRef, Q, Value
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from audit.actor import Actor
from audit.lanes import few, later
from audit.models import Audited

#: Where each state may go (contract, "Session moves").
MOVES = {"pending": ["active", "expired"], "active": ["completed", "failed", "expired"], "completed": [], "failed": [], "expired": []}
TASK_MOVES = {"pending": ["active", "cancelled"], "active": ["completed", "failed", "cancelled"]}
OPEN = ("pending", "active")
NOTIFICATION = "notification"
MOST_WAITING = 1001  # tasks of a role that wait longest: beyond 1,000 nobody counts
RECENT = 500  # tasks of a role, and as many of its open ones, that a list looks at for sessions of other roles


def retention() -> timedelta:
    """How long a session may lie still before it is expired."""
    return timedelta(days=settings.SESSION_RETENTION_DAYS)


class TaskStatus(models.TextChoices):
    """Where a task can be."""

    PENDING = "pending", _("pending")
    ACTIVE = "active", _("active")
    COMPLETED = "completed", _("completed")
    FAILED = "failed", _("failed")
    CANCELLED = "cancelled", _("cancelled")


class SessionStatus(models.TextChoices):
    """Where a session can be."""

    PENDING = "pending", _("pending")
    ACTIVE = "active", _("active")
    COMPLETED = "completed", _("completed")
    FAILED = "failed", _("failed")
    EXPIRED = "expired", _("expired")


class TaskQuerySet(models.QuerySet["Task"]):
    """Named reads of tasks."""

    def of_roles(self, actor: Actor) -> Self:
        """The list a caller sees: tasks from or to the caller's roles; auditor and admin see all."""
        roles = actor.org_roles
        return self if actor.reads_all else self.filter(Q(from_role__in=roles) | Q(to_role__in=roles))

    def readable_by(self, actor: Actor) -> Self:
        """Tasks the caller may read, also as one who was asked for approval, or as the carrying session's role.

        For single rows: who may read is asked of each.
        """
        if actor.reads_all:
            return self
        roles = actor.org_roles
        carried = Exists(Session.objects.filter(task=OuterRef("pk"), role__in=roles))
        asked = Exists(Task.objects.filter(pk=OuterRef("pk"), approvals__approver_role__in=roles))
        return self.filter(Q(from_role__in=roles) | Q(to_role__in=roles) | carried | asked)

    def listed_for(self, actor: Actor, target: str | None = None, status: str | None = None) -> list[Self]:
        """The caller's list in lanes: tasks to and from the caller's roles; auditor and admin see all."""
        wanted = {name: word for name, word in (("to_role", target), ("status", status)) if word}
        if actor.reads_all:
            return [self.filter(**wanted)]
        roles = sorted(actor.org_roles)
        received = [Q(to_role=role) for role in roles if target in (None, role)]
        sent = [Q(from_role=role) & ~Q(to_role__in=roles) for role in roles if target not in roles]
        return [self.filter(side, **wanted) for side in [*received, *sent]] or [self.none()]

    def roles_seen(self) -> list[str]:
        """The roles that tasks were sent to, from one look at the index for each."""
        seen: list[str] = []
        while role := self.filter(to_role__gt=seen[-1] if seen else "").order_by("to_role").values_list("to_role", flat=True).first():
            seen.append(role)
        return seen

    def whole(self) -> Self:
        """With the session that carries it, in the same query."""
        return self.select_related("session")

    def notices_for(self, actor: Actor) -> Self:
        """Notifications to the caller's roles that nobody has marked as read, newest first."""
        return self.filter(to_role__in=actor.org_roles, status="pending", task_type=NOTIFICATION).order_by("-created_at", "-id")

    def waiting_for(self, actor: Actor) -> Self:
        """Tasks that the caller's roles have not picked up yet, oldest first."""
        return self.filter(to_role__in=actor.org_roles, status="pending").order_by("created_at", "id")


class Task(Audited):
    """Work handed from one role to another."""

    subject_type = "task"

    task_type = models.CharField(max_length=50, db_comment="free text, for example budget_approval")
    description = models.TextField(blank=True, default="", db_comment="what is wanted, for people")
    from_role = models.CharField(max_length=50, db_comment="the role that hands it over")
    to_role = models.CharField(max_length=50, db_comment="the role that is to do it")
    status = models.CharField(max_length=20, choices=TaskStatus, default=TaskStatus.PENDING, db_comment="pending, active, or how it ended")
    data = models.JSONField(default=dict, db_comment="the figures, as the sender gave them")
    context = models.JSONField(default=dict, db_comment="what the sender wants known beside them")
    result = models.JSONField(null=True, blank=True, db_comment="what came of it, from the claimer")
    trace_id = models.UUIDField(db_comment="the session's trace id when it was routed")
    created_at = models.DateTimeField(db_default=TransactionNow(), db_comment="UTC")
    updated_at = models.DateTimeField(db_default=TransactionNow(), db_comment="UTC; the last change")
    created_by = models.CharField(max_length=600, db_comment="principal of the sender")
    created_by_name = models.CharField(max_length=255, db_comment="the sender's name then")
    claimed_by = models.CharField(max_length=600, null=True, blank=True, db_comment="principal of the claimer")
    claimed_by_name = models.CharField(max_length=255, blank=True, default="", db_comment="the claimer's name then")
    claimed_at = models.DateTimeField(null=True, blank=True, db_comment="UTC")

    session: "Session"
    objects = TaskQuerySet.as_manager()

    class Meta:
        db_table = "tasks"
        db_table_comment = "Work handed from one role to another"
        constraints = [
            models.UniqueConstraint(fields=["created_by", "idempotency_key"], name="tasks_key"),
            models.CheckConstraint(condition=Q(status__in=TaskStatus.values), name="tasks_status"),
            models.CheckConstraint(
                condition=Q(claimed_by__isnull=True, claimed_at__isnull=True) | Q(claimed_by__isnull=False, claimed_at__isnull=False),
                name="tasks_claim_whole",
            ),
        ]
        indexes = [
            models.Index(fields=["trace_id"], name="tasks_trace_id"),
            models.Index(fields=["-created_at", "-id"], name="tasks_created_at"),
            models.Index(fields=["to_role", "status", "-created_at", "-id"], name="tasks_inbox"),
            models.Index(fields=["to_role", "-created_at", "-id"], name="tasks_to_role", include=["task_type"]),
            models.Index(fields=["from_role", "-created_at", "-id"], name="tasks_from_role", include=["to_role", "task_type"]),
            models.Index(fields=["from_role", "status", "-created_at", "-id"], name="tasks_sent", include=["to_role"]),
            models.Index(fields=["status", "-created_at", "-id"], name="tasks_by_status"),
            models.Index(fields=["task_type", "-created_at", "-id"], name="tasks_by_type"),
            models.Index(
                fields=["to_role", "-created_at", "-id"], name="tasks_notices", condition=Q(status="pending", task_type=NOTIFICATION)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.task_type} from {self.from_role} to {self.to_role}"

    @property
    def carrier(self) -> "Session | None":
        """The session that carries it, if any (a notification has none)."""
        return getattr(self, "session", None)

    @property
    def is_open(self) -> bool:
        """Whether anything can still happen to it."""
        return self.status in OPEN

    def trace(self) -> UUID:
        """The carrying session's, or its own."""
        return self.carrier.trace_id if self.carrier else self.trace_id


class SessionQuerySet(models.QuerySet["Session"]):
    """Named reads of sessions; "effective" means that what ran out of time counts as expired at once."""

    def of_roles(self, actor: Actor) -> Self:
        """The list a caller sees: sessions of the caller's roles; auditor and admin see all."""
        return self if actor.reads_all else self.filter(role__in=actor.org_roles)

    def readable_by(self, actor: Actor) -> Self:
        """Sessions the caller may read, also by their task or by an approval asked on it."""
        if actor.reads_all:
            return self
        carried = Task.objects.filter(pk=OuterRef("task_id")).readable_by(actor)
        return self.filter(Q(role__in=actor.org_roles) | Exists(carried))

    def listed_for(self, actor: Actor, role: str | None = None, status: str | None = None) -> list[Self]:
        """The caller's list in lanes: sessions of the caller's roles; auditor and admin see all."""
        if actor.reads_all and not role:
            return self.effective(status)
        roles = [word for word in ([role] if role else sorted(actor.org_roles)) if actor.reads_all or actor.holds(word)]
        return [lane for word in roles for lane in self.filter(role=word).effective(status)] or [self.none()]

    def handed(self, actor: Actor) -> Self:
        """Sessions of other roles whose task the caller's roles were handed, or handed over: a lane beside those of the caller's own.

        Of each role's latest tasks, and of its latest open ones: a session knows its task's roles only through the task.
        """
        first, *others = (
            Task.objects.filter(**wanted).order_by("-created_at", "-id").values("pk")[:RECENT]
            for role in sorted(actor.org_roles)
            for wanted in ({"to_role": role}, {"from_role": role}, *({"to_role": role, "status": status} for status in OPEN))
        )
        return self.exclude(role__in=actor.org_roles).filter(task__in=first.union(*others, all=True))

    def shown_to(self, actor: Actor, role: str | None = None, status: str | None = None) -> list[Self]:
        """What the pages list, in lanes: the caller's list, and the work that the caller's roles were handed or handed over."""
        listed = self.listed_for(actor, role, status)
        if actor.reads_all or not actor.org_roles:
            return listed
        handed = self.handed(actor).filter(role=role) if role else self.handed(actor)
        return [*listed, *handed.effective(status)]

    def to_pick_up(self, actor: Actor) -> Self:
        """Work that the caller's roles were handed and nobody has picked up yet: of each role what waits longest."""
        first, *others = (
            Task.objects.filter(to_role=role, status="pending").order_by("created_at", "id").values("pk")[:MOST_WAITING]
            for role in sorted(actor.org_roles) or [""]
        )
        return self._alive().filter(task__in=first.union(*others, all=True) if others else first)

    def picked_up_by(self, actor: Actor) -> Self:
        """Work that the caller has picked up and not ended."""
        doing = Task.objects.filter(to_role__in=actor.org_roles, status="active", claimed_by=actor.principal)
        return self._alive().filter(task__in=doing)

    def _alive(self) -> Self:
        """Open ones that have not lapsed, said so that no index on state or time tempts the planner: there are few candidates."""
        return self.filter(later("updated_at", Now() - Value(retention()))).exclude(status__in=[word for word in MOVES if word not in OPEN])

    def concerning(self, actor: Actor) -> Self:
        """What the pages list, as one condition on rows that were found by something else."""
        roles = actor.org_roles
        return self if actor.reads_all else self.filter(Q(role__in=roles) | Q(task__to_role__in=roles) | Q(task__from_role__in=roles))

    def effective(self, status: str | None) -> list[Self]:
        """Those in a state as readers see it (any without one), in lanes."""
        if status == "expired":
            return [self.filter(status="expired"), few(self.lapsed())]
        alive = [later("updated_at", Now() - Value(retention()))] if status in OPEN else []
        return [self.filter(*alive, status=status) if status else self]

    def lapsed(self) -> Self:
        """Open ones that nobody touched for the retention time."""
        return self.filter(status__in=OPEN, updated_at__lte=Now() - retention())

    def live(self) -> Self:
        """Open ones that have not lapsed."""
        return self.filter(status__in=OPEN, updated_at__gt=Now() - retention())

    def in_state(self, status: str) -> Self:
        """By effective status."""
        if status == "expired":
            return self.filter(Q(status="expired") | Q(status__in=OPEN, updated_at__lte=Now() - retention()))
        return self.live().filter(status=status) if status in OPEN else self.filter(status=status)


class Session(Audited):
    """One agent's piece of work, from opening to completed, failed or expired."""

    subject_type = "session"

    role = models.CharField(max_length=50, db_comment="the role that works in it")
    task = models.OneToOneField(
        Task, null=True, blank=True, on_delete=models.PROTECT, related_name="session", db_comment="the one task it carries in its life"
    )
    status = models.CharField(
        max_length=20, choices=SessionStatus, default=SessionStatus.PENDING, db_comment="pending, active, or how it ended"
    )
    metadata = models.JSONField(default=dict, db_comment="what the agent wants kept; an object")
    trace_id = models.UUIDField(db_comment="ties the session, its task and its approvals together")
    created_at = models.DateTimeField(db_default=TransactionNow(), db_comment="UTC")
    updated_at = models.DateTimeField(db_default=TransactionNow(), db_comment="UTC; the last sign of activity")
    created_by = models.CharField(max_length=600, db_comment="principal of who opened it")
    created_by_name = models.CharField(max_length=255, db_comment="the name then")

    objects = SessionQuerySet.as_manager()

    class Meta:
        db_table = "sessions"
        db_table_comment = "One agent's piece of work"
        constraints = [
            models.UniqueConstraint(fields=["created_by", "idempotency_key"], name="sessions_key"),
            models.CheckConstraint(condition=Q(status__in=SessionStatus.values), name="sessions_status"),
        ]
        indexes = [
            models.Index(fields=["status", "-created_at", "-id"], name="sessions_by_status", include=["updated_at"]),
            models.Index(fields=["-created_at", "-id"], name="sessions_created_at"),
            models.Index(fields=["role", "-created_at", "-id"], name="sessions_role"),
            models.Index(fields=["role", "status", "-created_at", "-id"], name="sessions_of_role", include=["updated_at"]),
            models.Index(fields=["updated_at"], name="sessions_open", condition=Q(status__in=OPEN)),
        ]

    def __str__(self) -> str:
        return f"session of {self.role}"

    @property
    def has_lapsed(self) -> bool:
        """Whether its time is over though nobody expired it yet."""
        return self.status in OPEN and self.updated_at <= timezone.now() - retention()

    @property
    def effective_status(self) -> str:
        """The status as readers see it."""
        return "expired" if self.has_lapsed else self.status

    def trace(self) -> UUID:
        """Its own."""
        return self.trace_id
