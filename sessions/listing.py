"""Which sessions a list shows, and what each row says."""

from dataclasses import dataclass
from datetime import datetime, time
from uuid import UUID

from django import forms
from django.db.models import BooleanField, F, Func, Q, Value
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from audit.actor import Actor
from audit.listing import CursorField
from audit.story import span, visible
from sessions.models import Session, SessionQuerySet, SessionStatus
from sessions.words import TITLED, title

FOUND = 1_000  # rows of a search that are looked at further
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

    def narrow(self, sessions: SessionQuerySet) -> SessionQuerySet:
        """The sessions that the filters let through."""
        value = self.cleaned_data.get
        if state := value("state"):
            sessions = sessions.in_state(state)
        if role := value("role"):
            sessions = sessions.filter(role=role.lower())
        if since := value("since"):
            sessions = sessions.filter(created_at__gte=timezone.make_aware(datetime.combine(since, time.min)))
        words = value("q")
        return _matching(sessions, words) if words else sessions


class Noted(Func):
    """Whether the metadata holds the words, as PostgreSQL's text search sees words; written as its index is."""

    template = "to_tsvector('simple', %(expressions)s)"
    arg_joiner = ") @@ plainto_tsquery('simple', "
    output_field = BooleanField()


def _matching(sessions: SessionQuerySet, words: str) -> SessionQuerySet:
    """By the beginning of an id, the role, words of the metadata, or (of the latest) words of the task's title."""
    digits = words.lower().replace("-", "")
    if 6 <= len(digits) <= 32 and set(digits) <= set("0123456789abcdef") and not digits.isalpha():
        return sessions.filter(id__range=(UUID(digits.ljust(32, "0")), UUID(digits.ljust(32, "f"))))
    called = Q(task__description__icontains=words) | Q(task__task_type__icontains=words)
    for name in TITLED:
        called |= Q(**{f"task__data__{name}__icontains": words})
    latest = sessions.order_by("-created_at", "-id").values("pk")[:FOUND]
    # Each match is cut first and looked up before the list: walking the whole list for a rare word takes seconds.
    matches = [
        sessions.filter(Noted(F("metadata"), Value(words))),
        sessions.filter(role=words.lower()),
        Session.objects.filter(called, pk__in=latest),
    ]
    first, *others = (match.order_by().values_list("pk")[:FOUND] for match in matches)
    return sessions.filter(pk__in=[pk for (pk,) in first.union(*others)])


def listed(actor: Actor) -> SessionQuerySet:
    """The sessions that the caller's list shows; the dashboard counts the same ones."""
    return Session.objects.of_roles(actor)
