"""Page /, and what every page's frame shows."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django.db.models import F
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.views.decorators.http import require_safe

from approvals.lines import Line
from approvals.models import Approval
from approvals.views import is_for, page
from audit.actor import Actor, actor_of
from audit.models import AuditEvent
from audit.story import span, tell
from orchestrator import figures
from sessions.listing import Notice, Row
from sessions.models import OPEN, Session, SessionStatus, Task
from sessions.words import title

NEXT = 4  # requests shown
LONGEST = 160  # of a note in the list of what happens


@require_safe
@page
def show(request: HttpRequest) -> HttpResponse:
    """The dashboard; or the part of it that changes, for htmx."""
    actor, now = actor_of(request), timezone.now()
    waiting, decided, sessions = figures.waiting(request), figures.decided(actor), figures.sessions(actor)
    events, (work, notices) = figures.latest(actor), figures.handed(actor, NEXT + 1)
    shown = {
        "here": "dashboard", "waiting": waiting, "oldest": span(now - waiting.oldest) if waiting.oldest else "",
        "decided": decided, "decided_today": decided["approved"] + decided["rejected"],
        "median": span(decided["median"]) if decided["median"] is not None else "",
        "most": span(decided["most"]) if decided["most"] is not None else "",
        "active": figures.written(sessions["active"]), "untouched": figures.written(sessions["untouched"]),
        "states": _states(sessions), "day": figures.day(actor),
        "next": [Line(approval, now) for approval in Approval.objects.waiting_for(actor).whole()[:NEXT]] if waiting.count else [],
        "work": [Row(task.session, now) for task in work[:NEXT]], "notices": [Notice(task, now) for task in notices],
        "work_count": figures.written(sessions["waiting"]), "lines": tell(events, _about(events), LONGEST),
    }  # fmt: skip
    if is_for(request, "live"):
        return render(request, "dashboard.html#live", {**shown, "part": True})
    return render(request, "dashboard.html", shown)


def _states(counts: dict[str, int]) -> list[tuple[str, str, str, str]]:
    """Per state: word, count, the bar's width in per cent, and the list's filters that show the same sessions."""
    most = max(*(counts[word] for word in SessionStatus.values), 1)
    since = f"&since={figures.since_month():%Y-%m-%d}"
    return [
        (word, figures.written(counts[word]), f"{100 * counts[word] / most:.1f}", "" if word in OPEN else since)
        for word in SessionStatus.values
    ]


def _about(events: Iterable[AuditEvent]) -> dict[UUID, SafeString]:
    """The task's title for each event's object, linked to its page."""
    ids = {event.subject_id for event in events if event.subject_id}
    links: dict[UUID, SafeString] = {}
    if not ids:
        return links
    # Three look-ups by index; one condition over three joined tables reads all of them.
    carried, asked = Session.objects.filter(pk__in=ids, task__isnull=False), Approval.objects.filter(pk__in=ids)
    tasks = Task.objects.filter(pk__in=ids).values("pk").union(carried.values("task_id"), asked.values("task_id"))
    rows = Task.objects.whole().filter(pk__in=tasks).annotate(asked=F("approvals__pk"))
    for task in rows:
        session = task.carrier.pk if task.carrier else None
        links[task.pk] = _link("session", session, title(task))
        pages = ("session", session), ("approval", task.asked)  # type: ignore[attr-defined]  # the annotation above
        links |= {id: _link(page, id, title(task)) for page, id in pages if id}
    return links


def _link(page: str, id: UUID | None, text: str) -> SafeString:
    return format_html('<a href="{}">{}</a>', reverse(page, args=[id]), text) if id else format_html("<b>{}</b>", text)


def desk(request: HttpRequest) -> dict[str, Any]:
    """For every page's frame: who is signed in, and how many requests wait for them (the same query as the inbox)."""
    actor: Actor | None = getattr(request, "actor", None)
    if actor is None:
        return {}
    waiting = figures.waiting(request)
    initials = "".join(word[0] for word in actor.name.split()[:2]).upper()
    return {
        "desk": {
            "waiting": waiting.count and waiting.written, "initials": initials, "roles": ", ".join(sorted(actor.roles)),
            "reads_all": actor.reads_all,
        }
    }  # fmt: skip
