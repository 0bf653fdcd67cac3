"""The page of the audit trail."""

from typing import NamedTuple

from django import forms
from django.core.exceptions import PermissionDenied
from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_safe

from audit.actor import Actor, actor_of
from audit.export import TYPES, export
from audit.listing import CursorField, IdField, MomentField, Page, page, query
from audit.models import AuditEvent, AuditEventQuerySet
from audit.proof import Proof, prove
from audit.story import SENTENCES, tell
from audit.trail import checked, events_of, of_trace, readable, versions

#: What the event filter offers: all of one kind, or one type.
TYPED = ("session", "task", "approval", "ingest", *SENTENCES)
LONGEST_STORY = 500  # events that are told and proved on one page
LONGEST = 300  # of a note in the list; the fold below it holds all


class Filter(forms.Form):
    """Which events to show."""

    type = forms.CharField(required=False, max_length=50, label=gettext_lazy("Event"), widget=forms.TextInput(attrs={"list": "types"}))
    actor = forms.CharField(required=False, max_length=600, label=gettext_lazy("Who"))
    role = forms.CharField(required=False, max_length=50, label=gettext_lazy("Role"))
    subject = IdField(
        required=False,
        label=gettext_lazy("Object"),
        widget=forms.TextInput(attrs={"class": "mono", "placeholder": gettext_lazy("id of a session, task or request")}),
    )
    trace = IdField(
        required=False,
        label=gettext_lazy("Trace"),
        widget=forms.TextInput(attrs={"class": "mono", "placeholder": gettext_lazy("trace id")}),
    )
    since = MomentField(required=False, label=gettext_lazy("From"))
    until = MomentField(required=False, label=gettext_lazy("Until"))
    before = CursorField(required=False)

    @property
    def is_of_one(self) -> bool:
        """Whether a trace or an object is asked for, and nothing else."""
        given = {name for name, value in self.cleaned_data.items() if value}
        return given in ({"trace"}, {"subject"})

    @property
    def file_name(self) -> str:
        """What an export is called: by what it is about, else by the day."""
        value = self.cleaned_data
        about = next((f"{name}-{value[name]}" for name in ("subject", "trace") if value[name]), "")
        return f"audit-{about.replace('subject-', '') or timezone.localdate().isoformat()}"

    def narrow(self, events: AuditEventQuerySet) -> AuditEventQuerySet:
        """The events that the filters let through; the subject is the view's to look at."""
        value = self.cleaned_data.get
        wanted = Q()
        if kind := value("type"):
            wanted &= Q(event_type=kind) if "." in kind else Q(event_type__startswith=f"{kind}.")
        if actor := value("actor"):
            wanted &= Q(actor=actor) | Q(actor_id=actor)
        for name, lookup in (("role", "role"), ("trace", "trace_id"), ("since", "timestamp__gte"), ("until", "timestamp__lt")):
            wanted &= Q(**{lookup: value(name)}) if value(name) else Q()
        return events.filter(wanted)


@require_safe
def download(request: HttpRequest) -> HttpResponseBase:
    """The same events as a file, oldest first."""
    form = Filter(request.GET)
    form.fields["format"] = forms.ChoiceField(choices=[(name, name) for name in TYPES])
    if not form.is_valid():
        return redirect(f"{reverse('audit')}?{request.GET.urlencode()}")
    return export(form.narrow(_allowed(actor_of(request), form)), form.cleaned_data["format"], form.file_name)


@require_safe
def trail(request: HttpRequest) -> HttpResponse:
    """Everything for auditors and admins; for others the events of one object that they may read.

    One trace or one object alone is told from its beginning, with the proof that nothing is missing.
    """
    form, whole = Filter(request.GET), Whole([], None)
    valid = form.is_valid()
    events = _allowed(actor_of(request), form)
    if valid and form.is_of_one:
        whole = _whole(form, events)
    found = page([form.narrow(events)], "timestamp", form) if valid and not whole.proof else Page[AuditEvent](whole.events, "")
    files = {name: query(form.data, format=name, before="") for name in TYPES}
    shown = {
        "here": "audit", "form": form, "lines": tell(found.rows, longest=LONGEST), "older": found.older, "files": files, "types": TYPED,
        "proof": whole.proof, "filtered": any(form.data.get(field.name) for field in form.visible_fields()),
    }  # fmt: skip
    return render(request, "audit/trail.html", shown, status=200 if valid else 400)


class Whole(NamedTuple):
    """A story from its beginning, and its proof; without one where it is too long for a page."""

    events: list[AuditEvent]
    proof: Proof | None


def _whole(form: Filter, events: AuditEventQuerySet) -> Whole:
    trace = form.cleaned_data.get("trace")
    found = list(checked(of_trace(trace) if trace else events)[: LONGEST_STORY + 1])
    if not found or len(found) > LONGEST_STORY:
        return Whole([], None)
    return Whole([event for event in found if trace in (None, event.trace_id)], prove(found, versions(found)))


def _allowed(actor: Actor, form: Filter) -> AuditEventQuerySet:
    """The events that the caller may read; raises PermissionDenied without a subject, Http404 for one that is not theirs."""
    subject = form.cleaned_data.get("subject")
    if not subject and not actor.reads_all:
        raise PermissionDenied(_("The whole trail is for auditors. Open a session that you may read and follow its audit link."))
    row = readable(actor, subject) if subject else None
    if subject and not row and not actor.reads_all:
        raise Http404
    return events_of(row) if row else AuditEvent.objects.filter(subject_id=subject) if subject else AuditEvent.objects.all()
