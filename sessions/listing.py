"""Which sessions a list shows, and what each row says."""

from dataclasses import dataclass
from datetime import datetime, time

from django import forms
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from audit.actor import Actor
from audit.listing import CursorField
from audit.story import span, visible
from sessions.models import Session, SessionQuerySet, SessionStatus
from sessions.search import chosen
from sessions.words import title

ANY = [("", _("any"))]
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
    def description(self) -> str:
        """What its task wants."""
        return visible(self.session.task.description) if self.session.task else ""

    @property
    def opened_by(self) -> str:
        """The name, as given then."""
        return visible(self.session.created_by_name)

    @property
    def age(self) -> str:
        """Since it was opened."""
        return span(self.now - self.session.created_at)


class Filter(forms.Form):
    """Which sessions to show."""

    q = forms.CharField(required=False, max_length=200, label=_("Find"), widget=forms.TextInput(attrs={"type": "search"}))
    state = forms.ChoiceField(required=False, label=_("State"), choices=[*ANY, *SessionStatus.choices])
    role = forms.CharField(required=False, max_length=50, label=_("Role"))
    since = forms.DateField(required=False, label=_("Opened since"), widget=forms.DateInput(attrs={"type": "date"}))
    before = CursorField(required=False)

    def chosen(self, actor: Actor) -> list[SessionQuerySet]:
        """The sessions of the caller's list that the filters let through, in lanes."""
        value = self.cleaned_data
        lanes = chosen(actor, value["q"], value["role"].lower(), value["state"])
        since = value["since"] and timezone.make_aware(datetime.combine(value["since"], time.min))
        return [lane.filter(created_at__gte=since) for lane in lanes] if since else lanes


def listed(actor: Actor) -> SessionQuerySet:
    """The sessions that the caller's list shows; the dashboard counts the same ones."""
    return Session.objects.of_roles(actor)
