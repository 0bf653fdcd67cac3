"""Approval, and how it is read: what a caller may see, may decide, waits for."""

from typing import Self
from uuid import UUID

from django.contrib.postgres.functions import TransactionNow
from django.db import models
from django.db.models import Exists, F, OuterRef, Q
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from audit.actor import Actor
from audit.lanes import few, later_than_now
from audit.models import Audited
from sessions.models import Task

DECIDED = ("approved", "rejected")


class ApprovalStatus(models.TextChoices):
    """Where a request can be."""

    PENDING = "pending", _("pending")
    APPROVED = "approved", _("approved")
    REJECTED = "rejected", _("rejected")
    EXPIRED = "expired", _("expired")
    CANCELLED = "cancelled", _("cancelled")


class ApprovalQuerySet(models.QuerySet["Approval"]):
    """Named reads; "effective" means that what ran out of time counts as expired at once."""

    def of_roles(self, actor: Actor) -> Self:
        """The list a caller sees: asked of or by the caller's roles; auditor and admin see all."""
        roles = actor.org_roles
        return self if actor.reads_all else self.filter(Q(approver_role__in=roles) | Q(from_role__in=roles))

    def readable_by(self, actor: Actor) -> Self:
        """Requests whose task the caller may read."""
        return self if actor.reads_all else self.filter(Exists(Task.objects.filter(pk=OuterRef("task_id")).readable_by(actor)))

    def listed_for(self, actor: Actor, approver_role: str | None = None, status: str | None = None) -> list[Self]:
        """The caller's list in lanes: asked of and by the caller's roles; auditor and admin see all."""
        wanted = self.filter(approver_role=approver_role) if approver_role else self
        if actor.reads_all:
            return wanted.effective(status)
        roles = sorted(actor.org_roles)
        asked = [Q(approver_role=word) for word in roles if approver_role in (None, word)]
        # A request that one role of the caller's asks of another stands in the other's lane.
        asking = [Q(from_role=word) & ~Q(approver_role__in=roles) for word in roles if approver_role not in roles]
        return [lane for side in [*asked, *asking] for lane in wanted.filter(side).effective(status)] or [self.none()]

    def effective(self, status: str | None) -> list[Self]:
        """Those in a state as readers see it (any without one), in lanes."""
        if status == "expired":
            return [self.filter(status="expired"), few(self.lapsed())]
        if status == "pending":
            return [self.filter(later_than_now("expires_at"), status="pending")]
        return [self.filter(status=status) if status else self]

    def whole(self) -> Self:
        """With the task and the session that carries it, in the same query."""
        return self.select_related("task__session")

    def waiting(self) -> Self:
        """Pending and in time, what runs out first first."""
        return self.filter(status="pending", expires_at__gt=Now()).order_by("expires_at", "id")

    def lapsed(self) -> Self:
        """Pending, but its time is over."""
        return self.filter(status="pending", expires_at__lte=Now())

    def waiting_for(self, actor: Actor) -> Self:
        """What this person may decide now: asked of a role held, neither asked nor sent by the same person."""
        if not actor.is_person:
            return self.none()
        own = Q(requested_by=actor.principal) | Q(task__created_by=actor.principal)
        return self.waiting().filter(approver_role__in=actor.org_roles).exclude(own)

    def asked_by_roles_of(self, actor: Actor) -> Self:
        """Waiting for somebody else: asked by the caller's roles."""
        return self.waiting().filter(from_role__in=actor.org_roles).exclude(pk__in=self.waiting_for(actor).values("pk"))

    def decided(self, most: int) -> Self:
        """The latest that no longer wait: what nobody has expired yet, then an index walk; one condition for both reads every row."""
        ended = self.exclude(status="pending").order_by("-decision_at", "-id").values("pk")[:most]
        ids = self.lapsed().order_by("-expires_at").values("pk")[:most].union(ended, all=True)
        return self.filter(pk__in=ids).order_by(F("decision_at").desc(nulls_first=True), "-id")


class Approval(Audited):
    """A question to a role about a task: pending, then approved, rejected, expired or cancelled."""

    subject_type = "approval"

    task = models.ForeignKey(Task, on_delete=models.PROTECT, related_name="approvals", db_comment="what it is about")
    approver_role = models.CharField(max_length=50, db_comment="the role that is asked")
    status = models.CharField(max_length=20, choices=ApprovalStatus, default=ApprovalStatus.PENDING, db_comment="pending, or how it ended")
    decision_at = models.DateTimeField(null=True, blank=True, db_comment="UTC; set exactly when it is not pending")
    notes = models.TextField(blank=True, default="", db_comment="the decider's words")
    created_at = models.DateTimeField(db_default=TransactionNow(), db_comment="UTC")
    reason = models.TextField(blank=True, default="", db_comment="the asker's words")
    from_role = models.CharField(max_length=50, db_comment="the task's, copied for lists")
    requested_by = models.CharField(max_length=600, db_comment="principal of who asked")
    requested_by_name = models.CharField(max_length=255, db_comment="the asker's name then")
    decided_by = models.CharField(max_length=600, null=True, blank=True, db_comment="principal of who approved or rejected")
    decided_by_name = models.CharField(max_length=255, blank=True, default="", db_comment="the decider's name then")
    expires_at = models.DateTimeField(db_comment="UTC; afterwards nobody can decide it")

    objects = ApprovalQuerySet.as_manager()

    class Meta:
        db_table = "approvals"
        db_table_comment = "A question to a role about a task, and its answer"
        constraints = [
            models.UniqueConstraint(fields=["requested_by", "idempotency_key"], name="approvals_key"),
            models.UniqueConstraint(fields=["task", "approver_role"], condition=Q(status="pending"), name="approvals_one_pending"),
            models.CheckConstraint(condition=Q(status__in=ApprovalStatus.values), name="approvals_status"),
            models.CheckConstraint(
                condition=Q(status="pending", decision_at__isnull=True) | (~Q(status="pending") & Q(decision_at__isnull=False)),
                name="approvals_decision_at",
            ),
            models.CheckConstraint(
                condition=Q(status__in=DECIDED, decided_by__isnull=False) | (~Q(status__in=DECIDED) & Q(decided_by__isnull=True)),
                name="approvals_decided_by",
            ),
            models.CheckConstraint(condition=Q(decided_by__isnull=True) | ~Q(decided_by=F("requested_by")), name="approvals_four_eyes"),
        ]
        indexes = [
            models.Index(fields=["status", "-created_at", "-id"], name="approvals_by_status", include=["expires_at"]),
            models.Index(fields=["-created_at", "-id"], name="approvals_created_at"),
            models.Index(fields=["approver_role", "expires_at", "id"], name="approvals_inbox", condition=Q(status="pending")),
            models.Index(fields=["expires_at", "id"], name="approvals_due", condition=Q(status="pending")),
            models.Index(fields=["approver_role", "-created_at", "-id"], name="approvals_asked_of"),
            models.Index(fields=["from_role", "-created_at", "-id"], name="approvals_asked_by", include=["approver_role"]),
            models.Index(fields=["requested_by", "-created_at"], name="approvals_asker"),
            models.Index(fields=["approver_role", "status", "-created_at", "-id"], name="approvals_of_role", include=["expires_at"]),
            models.Index(
                fields=["from_role", "status", "-created_at", "-id"], name="approvals_from_role", include=["expires_at", "approver_role"]
            ),
            models.Index(fields=["from_role", "expires_at", "id"], name="approvals_asked", condition=Q(status="pending")),
            models.Index(fields=["-decision_at", "-id"], name="approvals_decided", condition=~Q(status="pending")),
        ]

    def __str__(self) -> str:
        return f"{self.from_role} asks {self.approver_role}"

    @property
    def has_lapsed(self) -> bool:
        """Whether its time is over though nobody expired it yet."""
        return self.status == "pending" and self.expires_at <= timezone.now()

    @property
    def effective_status(self) -> str:
        """The status as readers see it."""
        return "expired" if self.has_lapsed else self.status

    def trace(self) -> UUID:
        """The session's."""
        return self.task.trace()
