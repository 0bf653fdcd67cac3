"""Which sessions a list shows, and what each row says."""

from dataclasses import dataclass
from datetime import datetime, time
from typing import Any

from django import forms
from django.db.models import Q
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from audit.actor import Actor
from audit.listing import CursorField
from audit.story import span, visible
from sessions.models import Session, SessionQuerySet, SessionStatus, Task
from sessions.payload import Fact, facts
from sessions.search import chosen, found_by
from sessions.words import role_name, title
from sessions.words import visible as said

MESSAGE = 500  # characters of a notification
ANY = [("", _("any"))]
WORK = [*ANY, ("waiting", _("for us to pick up")), ("mine", _("picked up by me"))]
#: Each state's shape beside its word (static/app.css, .word).
SHAPES = {"pending": "wait", "active": "run", "completed": "end", "failed": "fail", "expired": "gone", "cancelled": "gone"}


@dataclass(frozen=True)
class Row:
    """One session, in words."""

    session: Session
    now: datetime

    @property
    def title(self) -> str:
        """Its task's; empty while it has none."""
        return title(self.session.task) if self.session.task else ""

    @property
    def shape(self) -> str:
        """Its state's."""
        return SHAPES[self.session.effective_status]

    @property
    def task_shape(self) -> str:
        """Its task's state's."""
        return SHAPES[self.session.task.status] if self.session.task else ""

    @property
    def task_type(self) -> str:
        """Its task's."""
        return visible(self.session.task.task_type) if self.session.task else ""

    @property
    def amount(self) -> Fact | None:
        """How much its task is about, where it says so."""
        found = facts(self.session.task.data, self.session.task.context) if self.session.task else []
        return next((fact for fact in found if fact.kind == "amount"), None)

    @property
    def waited(self) -> str:
        """Since its task was handed over."""
        return span(self.now - self.session.task.created_at) if self.session.task else ""

    @property
    def way(self) -> tuple[str, str]:
        """Which role handed its task over, and to which."""
        return (role_name(self.session.task.from_role), role_name(self.session.task.to_role)) if self.session.task else ("", "")

    @property
    def claimer(self) -> str:
        """Who picked its task up."""
        return visible(self.session.task.claimed_by_name) if self.session.task else ""

    @property
    def description(self) -> str:
        """What its task wants, unless the title says it whole."""
        text = visible(self.session.task.description.strip()) if self.session.task else ""
        return "" if text == self.title else text

    @property
    def opened_by(self) -> str:
        """The name, as given then."""
        return visible(self.session.created_by_name)

    @property
    def age(self) -> str:
        """Since it was opened."""
        return span(self.now - self.session.created_at)


@dataclass(frozen=True)
class Notice:
    """What an agent told a role, in words."""

    task: Task
    now: datetime

    @property
    def text(self) -> SafeString:
        """The message; else what its data says."""
        return said(self.task.description.strip() or title(self.task), MESSAGE)

    @property
    def way(self) -> tuple[str, str]:
        """Whose it is, and whom it is for."""
        return role_name(self.task.from_role), role_name(self.task.to_role)

    @property
    def is_urgent(self) -> bool:
        """Whether its sender gave it a high priority (contract, "MCP tools")."""
        return isinstance(self.task.data, dict) and self.task.data.get("priority") == "high"

    @property
    def age(self) -> str:
        """Since it was sent."""
        return span(self.now - self.task.created_at)


class Filter(forms.Form):
    """Which sessions to show."""

    q = forms.CharField(required=False, max_length=200, label=_("Find"), widget=forms.TextInput(attrs={"type": "search"}))
    state = forms.ChoiceField(required=False, label=_("State"), choices=[*ANY, *SessionStatus.choices])
    role = forms.CharField(required=False, max_length=50, label=_("Role"))
    task = forms.ChoiceField(required=False, label=_("Task"), choices=WORK)
    since = forms.DateField(required=False, label=_("Opened since"), widget=forms.DateInput(attrs={"type": "date"}))
    before = CursorField(required=False)

    def chosen(self, actor: Actor) -> list[SessionQuerySet]:
        """The sessions of the caller's list that the filters let through, in lanes."""
        value = self.cleaned_data
        lanes = [self._work(actor)] if value["task"] else chosen(actor, value["q"], value["role"].lower(), value["state"], wide=True)
        since = value["since"] and timezone.make_aware(datetime.combine(value["since"], time.min))
        return [lane.filter(created_at__gte=since) for lane in lanes] if since else lanes

    def _work(self, actor: Actor) -> SessionQuerySet:
        """Those whose task waits for the caller's roles, or is being done by the caller."""
        value = self.cleaned_data
        work = Session.objects.to_pick_up(actor) if value["task"] == "waiting" else Session.objects.picked_up_by(actor)
        given = {name: word for name, word in (("role", value["role"].lower()), ("status", value["state"])) if word}
        return work.filter(found_by(work, value["q"]) if value["q"] else Q(), **given)


class ResultForm(forms.Form):
    """What came of a task, in words."""

    text = forms.CharField(required=False, max_length=10_000, label=_("Result"), widget=forms.Textarea(attrs={"rows": 2}))

    @property
    def result(self) -> dict[str, Any] | None:
        """As the task keeps it; nothing for no words."""
        text = self.cleaned_data["text"]
        return {"summary": text} if text else None
