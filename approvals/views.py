"""The inbox, one request, and the verdict on it: full pages, and the parts of them that htmx asks for."""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from functools import wraps
from hashlib import sha256
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotModified, HttpResponseRedirect
from django.shortcuts import render
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.cache import patch_cache_control, patch_vary_headers
from django.utils.http import parse_etags
from django.views.decorators.http import require_POST, require_safe
from django_htmx.http import trigger_client_event

from approvals import actions
from approvals.forms import VerdictForm
from approvals.lines import LAST_PAGE, TABS, Line, Listing, next_after
from approvals.models import Approval
from approvals.sheet import Sheet, readable
from audit.actor import actor_of
from audit.errors import DomainError, Invalid, NotFound

View = Callable[..., HttpResponse]


class SeeOther(HttpResponseRedirect):
    """303: look there, with GET."""

    status_code = 303


def page(view: View) -> View:
    """Pages and parts never mix in a cache, and nothing is kept unasked."""

    @wraps(view)
    def shown(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        response = view(request, *args, **kwargs)
        patch_vary_headers(response, ["Cookie", "HX-Request", "HX-Target", "HX-History-Restore-Request"])
        patch_cache_control(response, private=True, no_cache=True)
        return response

    return shown


@require_safe
@page
def inbox(request: HttpRequest) -> HttpResponse:
    """The list, and on a wide screen its first request; or the list alone, if it changed, for htmx."""
    listing = _listing(request)
    if is_for(request, "rows"):
        return _rows(request, listing)
    first = listing.lines[0] if listing.lines else None
    sheet = Sheet(first.approval, listing.now, actor=listing.actor) if first else None
    return _page(request, {"listing": listing, "sheet": sheet})


@require_safe
@page
def show(request: HttpRequest, id: UUID) -> HttpResponse:
    """One request, beside the list; or alone for htmx."""
    return _sheet(request, id)


@require_POST
@page
def decide(request: HttpRequest, id: UUID) -> HttpResponse:
    """A verdict. What cannot be done is told in the sheet, with the note that was typed."""
    form = VerdictForm(request.POST)
    if not form.is_valid():
        return _sheet(request, id, form, 422)
    try:
        actions.decide(actor=actor_of(request), approval_id=id, **form.cleaned_data)
    except NotFound as error:
        raise Http404 from error
    except Invalid as error:
        form.add_error("note", str(error))
        return _sheet(request, id, form, 422)
    except DomainError as error:
        return trigger_client_event(_sheet(request, id, form, error.status, refused=error), "decided")
    if not is_for(request, "sheet"):
        return SeeOther(f"{reverse('approval', args=[id])}?{_listing(request).query}")
    return trigger_client_event(_sheet(request, id, decided=True), "decided")


# --- what a request asks for ---------------------------------------------------------------------------


def is_for(request: HttpRequest, part: str) -> bool:
    """Whether htmx asks for this part of the page alone."""
    return "HX-Request" in request.headers and request.headers.get("HX-Target") == part and not _restores(request)


def _restores(request: HttpRequest) -> bool:
    return "HX-History-Restore-Request" in request.headers


def _tab(request: HttpRequest) -> str:
    """The tab in the address; one that does not exist, or is not the reader's, is the first."""
    tab = request.GET.get("tab", "mine")
    return tab if tab in TABS and (tab != "all" or actor_of(request).reads_all) else "mine"


def _listing(request: HttpRequest) -> Listing:
    number = _number(request, "page") or 1
    since = _number(request, "since")
    opened = datetime.fromtimestamp(since, UTC) if since else None
    return Listing(actor_of(request), _tab(request), max(1, min(number, LAST_PAGE)), opened)


def _number(request: HttpRequest, name: str) -> int:
    text = request.GET.get(name, "")
    return int(text) if re.fullmatch(r"[0-9]{1,10}", text) else 0


# --- what it gets --------------------------------------------------------------------------------------


def _page(request: HttpRequest, shown: dict[str, Any], status: int = 200) -> HttpResponse:
    shown = {**shown, "here": "approvals", "poll": _poll(shown["listing"])}
    return render(request, "approvals/inbox.html", shown, status=status)


def _poll(listing: Listing) -> str:
    """Where the list asks for itself; it remembers since when it is open."""
    opened = int((listing.since or listing.now).timestamp())
    return f"{reverse('approvals')}?{urlencode({'tab': listing.tab, 'page': listing.page, 'since': opened})}"


def _rows(request: HttpRequest, listing: Listing) -> HttpResponse:
    """The list, unless the reader has it: its ETag is made of what it shows."""
    rows = render_to_string("approvals/inbox.html#rows", {"listing": listing, "part": True}, request)
    etag = f'"{sha256(rows.encode()).hexdigest()[:32]}"'
    if etag in parse_etags(request.headers.get("If-None-Match", "")):
        response: HttpResponse = HttpResponseNotModified()
    else:
        response = HttpResponse(
            rows + render_to_string("approvals/inbox.html#poller", {"poll": _poll(listing), "headers": json.dumps({"If-None-Match": etag})})
        )
    response["ETag"] = etag
    return response


def _sheet(
    request: HttpRequest,
    id: UUID,
    form: VerdictForm | None = None,
    status: int = 200,
    refused: DomainError | None = None,
    decided: bool = False,
) -> HttpResponse:
    """The request's sheet: for htmx alone, else within the page."""
    actor, listing = actor_of(request), _listing(request)
    approval = readable(actor, id)
    if approval is None:
        raise Http404
    shown = {
        "listing": listing, "sheet": Sheet(approval, listing.now, actor=actor), "asked": True, "form": form, "refused": refused,
        "decided": decided, "next": _next(listing, approval),
    }  # fmt: skip
    if is_for(request, "sheet"):
        return render(request, "approvals/request.html", shown, status=status)
    return _page(request, shown, status)


def _next(listing: Listing, approval: Approval) -> Line | None:
    """What waits for the reader after this one; only a request that has its answer needs to say so."""
    after = next_after(listing.actor, approval) if approval.effective_status != "pending" else None
    return Line(after, listing.now) if after else None
