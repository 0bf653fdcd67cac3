"""Page /, and what every page's frame shows."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from approvals.models import Approval
from audit.actor import Actor

COUNTED = 1000  # beyond that a count reads "1,000+"


def show(request: HttpRequest) -> HttpResponse:
    """The dashboard."""
    return render(request, "dashboard.html", {"here": "dashboard"})


def desk(request: HttpRequest) -> dict[str, Any]:
    """For every page's frame: who is signed in, and how many requests wait for them (the same query as the inbox)."""
    actor: Actor | None = getattr(request, "actor", None)
    if actor is None:
        return {}
    waiting = Approval.objects.waiting_for(actor).order_by()[: COUNTED + 1].count()
    initials = "".join(word[0] for word in actor.name.split()[:2]).upper()
    return {"desk": {"waiting": waiting if waiting <= COUNTED else "1,000+", "initials": initials, "roles": ", ".join(sorted(actor.roles))}}
