"""The pages of sessions: the list, and one session's story."""

from typing import Any
from uuid import UUID

from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from audit.actor import actor_of
from audit.listing import Page, page
from audit.proof import prove
from audit.story import tell
from audit.trail import story_of
from sessions.listing import Filter, Row
from sessions.models import Session
from sessions.payload import Row as PayloadRow
from sessions.payload import table
from sessions.waterfall import fall


@require_safe
def list_sessions(request: HttpRequest) -> HttpResponse:
    """The sessions of the caller's roles, newest first."""
    form, now = Filter(request.GET), timezone.now()
    valid = form.is_valid()
    found = page(form.chosen(actor_of(request)), "created_at", form, "task") if valid else Page[Session]([], "")
    shown = {
        "here": "sessions", "form": form, "rows": [Row(session, now) for session in found.rows], "older": found.older,
        "filtered": any(form.data.get(name) for name in form.fields),
    }  # fmt: skip
    return render(request, "sessions/list.html", shown, status=200 if valid else 400)


@require_safe
def show_session(request: HttpRequest, id: UUID) -> HttpResponse:
    """One session with its story, by its own id or by that of the task it carries."""
    readable = Session.objects.readable_by(actor_of(request)).select_related("task")
    session = readable.filter(Q(pk=id) | Q(task=id)).first()
    if not session:
        raise Http404
    events, now = list(story_of(session)), timezone.now()
    present = {row.pk: row.version for row in (session, session.task) if row}
    shown = {
        "here": "sessions", "session": session, "row": Row(session, now), "task": session.task, "story": tell(events),
        "proof": prove(events, present), "fall": fall(events, now), "payloads": _payloads(session),
    }  # fmt: skip
    return render(request, "sessions/session.html", shown)


def _payloads(session: Session) -> list[tuple[str, list[PayloadRow]]]:
    """Everything that agents gave along, as tables; what is empty is left out."""
    task = session.task
    given: list[tuple[str, str, dict[str, Any] | None]] = [(_("Session's metadata"), "metadata", session.metadata)]
    if task:
        said = [(_("What it says"), "data", task.data), (_("Context"), "context", task.context), (_("Result"), "result", task.result)]
        given = [*said, *given]
    return [(name, table(source, members)) for name, source, members in given if members]
