"""The pages of sessions: the list, one session's story, and what its reader may do with its task."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from audit.actor import Actor, actor_of
from audit.errors import Conflict, DomainError, NotAllowed, NotFound
from audit.listing import Page, page
from audit.proof import prove
from audit.story import tell
from audit.trail import story_of
from sessions.actions import cancel_task, claim_task, end_task
from sessions.listing import Filter, ResultForm, Row
from sessions.may import verbs
from sessions.models import NOTIFICATION, Session, Task
from sessions.payload import Row as PayloadRow
from sessions.payload import facts, table, told
from sessions.waterfall import fall

Verb = Callable[[Actor, UUID, dict[str, Any] | None], object]
#: What a button on the page does; `result` is what was typed beside it.
VERBS: dict[str, Verb] = {
    "claim": lambda actor, task, result: claim_task(actor=actor, task_id=task),
    "complete": lambda actor, task, result: end_task(actor=actor, task_id=task, status="completed", result=result),
    "fail": lambda actor, task, result: end_task(actor=actor, task_id=task, status="failed", result=result),
    "cancel": lambda actor, task, result: cancel_task(actor=actor, task_id=task),
}


@require_safe
def list_sessions(request: HttpRequest) -> HttpResponse:
    """The sessions of the caller's roles and those whose task they were handed or handed over, newest first."""
    form, now = Filter(request.GET), timezone.now()
    valid = form.is_valid()
    found = page(form.chosen(actor_of(request)), "created_at", form, "task") if valid else Page[Session]([], "")
    shown = {
        "here": "sessions", "form": form, "rows": [Row(session, now) for session in found.rows], "older": found.older,
        "filtered": any(form.data.get(field.name) for field in form.visible_fields()),
    }  # fmt: skip
    return render(request, "sessions/list.html", shown, status=200 if valid else 400)


@require_safe
def show_session(request: HttpRequest, id: UUID) -> HttpResponse:
    """One session with its story, by its own id or by that of the task it carries."""
    return _page(request, _session(request, id))


@require_POST
def act(request: HttpRequest, id: UUID, verb: str) -> HttpResponse:
    """Claim, complete, fail or cancel the session's task; what cannot be done is told on its page, with what was typed."""
    session, form = _session(request, id), ResultForm(request.POST)
    if not session.task_id:
        raise Http404
    if not form.is_valid():
        return _page(request, session, form, status=422)
    try:
        VERBS[verb](actor_of(request), session.task_id, form.result)
    except NotFound as error:
        raise Http404 from error
    except DomainError as error:
        return _page(request, _session(request, id), form, refused=error, status=error.status)
    return HttpResponseRedirect(reverse("session", args=[session.pk]), status=303)


@require_POST
def read_notice(request: HttpRequest, id: UUID) -> HttpResponse:
    """A notification is read: it leaves the dashboard of all who hold the role. What somebody else read before has left it already."""
    if not Task.objects.filter(pk=id, task_type=NOTIFICATION).exists():
        raise Http404
    try:
        end_task(actor=actor_of(request), task_id=id, status="completed")
    except NotFound as error:
        raise Http404 from error
    except NotAllowed as error:
        raise PermissionDenied(str(error)) from error
    except Conflict:
        pass
    return HttpResponseRedirect(reverse("dashboard"), status=303)


def _session(request: HttpRequest, id: UUID) -> Session:
    readable = Session.objects.readable_by(actor_of(request)).select_related("task")
    session = readable.filter(Q(pk=id) | Q(task=id)).first()
    if not session:
        raise Http404
    return session


def _page(
    request: HttpRequest, session: Session, form: ResultForm | None = None, refused: DomainError | None = None, status: int = 200
) -> HttpResponse:
    events, now, task = list(story_of(session)), timezone.now(), session.task
    present = {row.pk: row.version for row in (session, task) if row}
    shown = {
        "here": "sessions", "session": session, "row": Row(session, now), "task": task, "story": tell(events),
        "proof": prove(events, present), "fall": fall(events, now), "payloads": _payloads(session), "refused": refused,
        "facts": facts(task.data, task.context) if task else [], "form": form or ResultForm(),
        "verbs": verbs(actor_of(request), task) if task and not session.has_lapsed else [],
    }  # fmt: skip
    return render(request, "sessions/session.html", shown, status=status)


def _payloads(session: Session) -> list[tuple[str, list[PayloadRow]]]:
    """Everything that agents gave along, as tables; what is empty, or told by the facts above, is left out."""
    task = session.task
    given: list[tuple[str, str, dict[str, Any] | None]] = [(_("Session's metadata"), "metadata", session.metadata)]
    shown = told(task.data, facts(task.data, task.context)) if task else set()
    if task:
        said = [(_("Result"), "result", task.result), (_("What it says"), "data", task.data), (_("Context"), "context", task.context)]
        given = [*said, *given]
    tables = [(name, table(source, members, shown)) for name, source, members in given if members]
    return [(name, rows) for name, rows in tables if rows]
