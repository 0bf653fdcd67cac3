"""The page of the audit trail."""

from django import forms
from django.core.exceptions import PermissionDenied
from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_safe

from audit.actor import Actor, actor_of
from audit.export import TYPES, export
from audit.listing import CursorField, IdField, MomentField, Page, page, query
from audit.models import AuditEvent, AuditEventQuerySet
from audit.story import SENTENCES, tell
from audit.trail import events_of, readable

#: What the event filter offers: all of one kind, or one type.
TYPED = ("session", "task", "approval", "ingest", *SENTENCES)
LONGEST = 300  # of a note in the list; the fold below it holds all


class Filter(forms.Form):
    """Which events to show."""

    type = forms.CharField(required=False, max_length=50, label=gettext_lazy("Event"), widget=forms.TextInput(attrs={"list": "types"}))
    actor = forms.CharField(required=False, max_length=600, label=gettext_lazy("Who"))
    role = forms.CharField(required=False, max_length=50, label=gettext_lazy("Role"))
    subject = IdField(required=False, label=gettext_lazy("Subject"))
    trace = IdField(required=False, label=gettext_lazy("Trace"))
    since = MomentField(required=False, label=gettext_lazy("From"))
    until = MomentField(required=False, label=gettext_lazy("Until"))
    before = CursorField(required=False)

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
    return export(form.narrow(_allowed(actor_of(request), form)), form.cleaned_data["format"])


@require_safe
def trail(request: HttpRequest) -> HttpResponse:
    """Everything for auditors and admins; for others the events of one object that they may read."""
    form = Filter(request.GET)
    valid = form.is_valid()
    events = _allowed(actor_of(request), form)
    found = page([form.narrow(events)], "timestamp", form) if valid else Page[AuditEvent]([], "")
    files = {name: query(form.data, format=name, before="") for name in TYPES}
    shown = {
        "here": "audit", "form": form, "lines": tell(found.rows, longest=LONGEST), "older": found.older, "files": files, "types": TYPED,
        "filtered": any(form.data.get(name) for name in form.fields),
    }  # fmt: skip
    return render(request, "audit/trail.html", shown, status=200 if valid else 400)


def _allowed(actor: Actor, form: Filter) -> AuditEventQuerySet:
    """The events that the caller may read; raises PermissionDenied without a subject, Http404 for one that is not theirs."""
    subject = form.cleaned_data.get("subject")
    if not subject and not actor.reads_all:
        raise PermissionDenied(_("The whole trail is for auditors. Open a session that you may read and follow its audit link."))
    row = readable(actor, subject) if subject else None
    if subject and not row and not actor.reads_all:
        raise Http404
    return events_of(row) if row else AuditEvent.objects.filter(subject_id=subject) if subject else AuditEvent.objects.all()
