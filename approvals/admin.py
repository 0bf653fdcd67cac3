"""Approvals in Django admin: to be looked at, expired when their time is over, and cancelled."""

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from approvals.actions import cancel, expire_approval
from approvals.models import Approval
from audit.actor import actor_of
from audit.admin import ReadOnlyAdmin
from audit.errors import DomainError
from audit.story import visible
from sessions.words import title


@admin.register(Approval)
class ApprovalAdmin(ReadOnlyAdmin):
    """Requests by their effective status. Nobody decides here: that is the inbox's, with its four eyes."""

    list_display = ("what", "from_role", "approver_role", "state", "asker", "decider", "expires_at", "created_at")
    list_filter = ("status", "created_at")
    list_select_related = ("task",)
    ids = ("id", "task_id")
    words = ("approver_role", "from_role", "requested_by_name", "decided_by_name")
    fields = (
        "id", "what", "task", "from_role", "approver_role", "state", "asker", "requested_by", "why", "created_at", "expires_at", "decider",
        "decided_by", "note", "decision_at", "version", "idempotency_key",
    )  # fmt: skip
    readonly_fields = fields
    ordering = ("-created_at", "-id")
    actions = ("expire", "cancel")

    @admin.display(description=_("state"))
    def state(self, approval: Approval) -> str:
        """As readers see it."""
        return approval.effective_status

    @admin.display(description=_("what"))
    def what(self, approval: Approval) -> str:
        """The task's title."""
        return title(approval.task)

    @admin.display(description=_("asked by"))
    def asker(self, approval: Approval) -> str:
        """The name, with what hides in it made visible."""
        return visible(approval.requested_by_name)

    @admin.display(description=_("decider"))
    def decider(self, approval: Approval) -> str:
        """Likewise."""
        return visible(approval.decided_by_name) or "-"

    @admin.display(description=_("reason"))
    def why(self, approval: Approval) -> str:
        """The asker's words."""
        return visible(approval.reason)

    @admin.display(description=_("note"))
    def note(self, approval: Approval) -> str:
        """The decider's words."""
        return visible(approval.notes)

    @admin.action(description=_("Expire what is over time"))
    def expire(self, request: HttpRequest, chosen: QuerySet[Approval]) -> None:
        """Through the action, with its audit event; the rest stays as it is."""
        done = [expire_approval(approval.pk) for approval in chosen]
        told = ngettext("%(n)d request expired", "%(n)d requests expired", sum(done)) % {"n": sum(done)}
        left = done.count(False)
        messages.info(request, f"{told}; {left} not over time." if left else f"{told}.")

    @admin.action(description=_("Cancel"))
    def cancel(self, request: HttpRequest, chosen: QuerySet[Approval]) -> None:
        """Take requests back as the administrator; each is told, whether it worked or why not."""
        for approval in chosen:
            try:
                cancel(actor=actor_of(request), approval_id=approval.pk, reason="cancelled by an administrator")
            except DomainError as error:
                messages.error(request, f"{approval.pk}: {error}")
            else:
                messages.success(request, _("%(id)s: cancelled.") % {"id": approval.pk})
