"""Sessions and tasks in Django admin: to be looked at, and expired when their time is over."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from audit.actor import actor_of
from audit.admin import ReadOnlyAdmin, as_json
from audit.errors import DomainError
from audit.story import visible
from sessions.actions import end_task, expire_session
from sessions.models import Session, Task
from sessions.words import title


@admin.register(Session)
class SessionAdmin(ReadOnlyAdmin):
    """Sessions by their effective status."""

    list_display = ("what", "role", "state", "opened_by", "created_at", "updated_at")
    list_filter = ("status", "created_at")
    list_select_related = ("task",)
    ids = ("id", "task_id", "trace_id")
    words = ("role", "created_by_name", "created_by")
    fields = (
        "id", "role", "state", "task", "opened_by", "created_by", "created_at", "updated_at", "trace_id", "version", "details",
        "idempotency_key",
    )  # fmt: skip
    readonly_fields = fields
    ordering = ("-created_at", "-id")
    actions = ("expire",)

    @admin.display(description=_("state"))
    def state(self, session: Session) -> str:
        """As readers see it."""
        return session.effective_status

    @admin.display(description=_("what"))
    def what(self, session: Session) -> str:
        """Its task's title."""
        return title(session.task) if session.task else gettext("No task yet")

    @admin.display(description=_("opened by"))
    def opened_by(self, session: Session) -> str:
        """The name, with what hides in it made visible."""
        return visible(session.created_by_name)

    @admin.display(description=_("metadata"))
    def details(self, session: Session) -> SafeString:
        """What the agent wants kept."""
        return as_json(session.metadata)

    @admin.action(description=_("Expire what is over time"))
    def expire(self, request: HttpRequest, chosen: QuerySet[Session]) -> None:
        """Through the action, so that the task, its requests and the audit go along; the rest stays as it is."""
        done = [expire_session(session.pk) for session in chosen]
        told = ngettext("%(n)d session expired", "%(n)d sessions expired", sum(done)) % {"n": sum(done)}
        left = done.count(False)
        messages.info(request, f"{told}; {left} not over time." if left else f"{told}.")


@admin.register(Task)
class TaskAdmin(ReadOnlyAdmin):
    """Tasks with what they say."""

    list_display = ("what", "task_type", "from_role", "to_role", "status", "claimed", "created_at")
    list_filter = ("status", "created_at")
    ids = ("id", "trace_id")
    words = ("task_type", "from_role", "to_role", "created_by_name", "claimed_by_name")
    fields = (
        "id", "what", "task_type", "text", "from_role", "to_role", "status", "given", "around", "came", "claimed", "claimed_by",
        "claimed_at", "created_by", "created_at", "updated_at", "trace_id", "version", "idempotency_key",
    )  # fmt: skip
    readonly_fields = fields
    ordering = ("-created_at", "-id")
    actions = ("fail",)

    @admin.action(description=_("Fail, with its session"))
    def fail(self, request: HttpRequest, chosen: QuerySet[Task]) -> None:
        """As the administrator, through the action; each is told, whether it worked or why not."""
        for task in chosen:
            try:
                end_task(actor=actor_of(request), task_id=task.pk, status="failed", result={"summary": "failed by an administrator"})
            except DomainError as error:
                messages.error(request, f"{task.pk}: {error}")
            else:
                messages.success(request, _("%(id)s: failed.") % {"id": task.pk})

    @admin.display(description=_("what"))
    def what(self, task: Task) -> str:
        """Its title."""
        return title(task)

    @admin.display(description=_("claimer"))
    def claimed(self, task: Task) -> str:
        """The name, with what hides in it made visible."""
        return visible(task.claimed_by_name) or "-"

    @admin.display(description=_("description"))
    def text(self, task: Task) -> str:
        """What is wanted."""
        return visible(task.description)

    @admin.display(description=_("data"))
    def given(self, task: Task) -> SafeString:
        """The figures."""
        return as_json(task.data)

    @admin.display(description=_("context"))
    def around(self, task: Task) -> SafeString:
        """What the sender wants known beside them."""
        return as_json(task.context)

    @admin.display(description=_("result"))
    def came(self, task: Task) -> Any:
        """What came of it."""
        return "-" if task.result is None else as_json(task.result)
