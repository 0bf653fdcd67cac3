"""The inbox, one request, and the verdict on one or several: full pages, and the parts of them that htmx asks for."""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from functools import wraps
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotModified, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.cache import patch_cache_control, patch_vary_headers
from django.utils.http import parse_etags
from django.views.decorators.gzip import gzip_page
from django.views.decorators.http import require_http_methods, require_POST, require_safe
from django_htmx.http import trigger_client_event

from approvals import actions
from approvals.care import why_twice
from approvals.forms import Filter, SeveralForm, VerdictForm
from approvals.lines import Line
from approvals.listing import LAST_PAGE, PAGE, TABS, Listing, next_after
from approvals.models import Approval
from approvals.seen import LASTS, Seen, digest, told_since
from approvals.several import Several
from approvals.sheet import Sheet, readable
from audit.actor import actor_of
from audit.errors import DomainError, Invalid, NotFound

View = Callable[..., HttpResponse]


class SeeOther(HttpResponseRedirect):
    """303: look there, with GET."""

    status_code = 303


def page(view: View) -> View:
    """Pages and parts never mix in a cache, and nothing is kept unasked; both are compressed (Django blurs the length: BREACH)."""

    @wraps(view)
    def shown(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        response = view(request, *args, **kwargs)
        patch_vary_headers(response, ["Cookie", "HX-Request", "HX-Target", "HX-History-Restore-Request"])
        patch_cache_control(response, private=True, no_cache=True)
        return response

    return gzip_page(shown)


@require_safe
@page
def inbox(request: HttpRequest) -> HttpResponse:
    """The list, and on a wide screen its first request; or the list alone, if it changed, for htmx."""
    listing = _listing(request)
    if is_for(request, "rows"):
        return _rows(request, listing)
    first = Sheet(listing.lines[0].approval, listing.now, actor=listing.actor) if listing.lines else None
    return _page(request, {"listing": listing, "sheet": first, "headers": _if_changed(first.etag) if first else ""})


@require_safe
@page
def show(request: HttpRequest, id: UUID) -> HttpResponse:
    """One request, beside the list; or alone for htmx, if it changed."""
    return _sheet(request, id)


@require_POST
@page
def decide(request: HttpRequest, id: UUID) -> HttpResponse:
    """A verdict. What cannot be done is told in the sheet, with the note that was typed."""
    if "leave" in request.POST:  # back from the second look, with the note as it stands
        return _sheet(request, id, form=VerdictForm(initial={"note": request.POST.get("note", "")}))
    form = VerdictForm(request.POST)
    if not form.is_valid():
        return _sheet(request, id, 422, form=form)
    said = {name: form.cleaned_data[name] for name in ("verdict", "note")}
    if said["verdict"] == "approved" and not form.cleaned_data["confirmed"] and _asks_twice(request, id):
        return _sheet(request, id, form=form, twice=True)
    try:
        actions.decide(actor=actor_of(request), approval_id=id, **said)
    except NotFound as error:
        raise Http404 from error
    except Invalid as error:
        form.add_error("note", str(error))
        return _sheet(request, id, 422, form=form)
    except DomainError as error:
        return trigger_client_event(_sheet(request, id, error.status, form=form, refused=error), "decided")
    if not is_for(request, "sheet"):
        return SeeOther(f"{reverse('approval', args=[id])}?{_listing(request).query}")
    return trigger_client_event(_sheet(request, id, decided=True), "decided")


@require_http_methods(["GET", "HEAD", "POST"])
@page
def several(request: HttpRequest) -> HttpResponse:
    """One verdict on all that is selected: GET shows what it would be, POST decides each by itself and says what became of it."""
    form = SeveralForm(request.POST if request.method == "POST" else request.GET)
    if "verdict" in form.errors:
        raise Http404
    if request.method != "POST" or not form.is_valid():
        return _several(request, form, 422 if request.method == "POST" else 200)
    said = {name: form.cleaned_data[name] for name in ("verdict", "note")}
    try:
        outcomes = actions.decide_many(actor=actor_of(request), approval_ids=form.cleaned_data["id"][:PAGE], **said)
    except Invalid as error:
        form.add_error("note", str(error))
        return _several(request, form, 422)
    return trigger_client_event(_several(request, form, outcomes=outcomes), "decided")


# --- what a request asks for ---------------------------------------------------------------------------


def is_for(request: HttpRequest, part: str) -> bool:
    """Whether htmx asks for this part of the page alone."""
    return "HX-Request" in request.headers and request.headers.get("HX-Target") == part and not _restores(request)


def _restores(request: HttpRequest) -> bool:
    return "HX-History-Restore-Request" in request.headers


def _tags(request: HttpRequest) -> list[str]:
    """The states that the reader has already. Weakly compared (RFC 9110, 13.1.2): compression makes a tag a weak one."""
    return [tag.removeprefix("W/") for tag in parse_etags(request.headers.get("If-None-Match", ""))]


def _tab(request: HttpRequest) -> str:
    """The tab in the address; one that does not exist, or is not the reader's, is the first that can hold something."""
    actor = actor_of(request)
    usual = "all" if actor.reads_all and not actor.org_roles else "mine"
    tab = request.GET.get("tab", usual)
    return tab if tab in TABS and (tab != "all" or actor.reads_all) else usual


def _listing(request: HttpRequest) -> Listing:
    number = _number(request, "page") or 1
    since = _number(request, "since")
    opened = datetime.fromtimestamp(since, UTC) if since else None
    wanted = Filter(request.GET)
    narrowed = wanted.cleaned_data if wanted.is_valid() else {}
    return Listing(actor_of(request), _tab(request), max(1, min(number, LAST_PAGE)), opened, narrowed)


def _number(request: HttpRequest, name: str) -> int:
    text = request.GET.get(name, "")
    return int(text) if re.fullmatch(r"[0-9]{1,10}", text) else 0


def _asks_twice(request: HttpRequest, id: UUID) -> bool:
    """Whether it is still to be decided by the reader, and is to be confirmed."""
    actor = actor_of(request)
    approval = readable(actor, id)
    if approval is None or approval.effective_status != "pending" or actions.why_not_decide(actor, approval):
        return False
    return bool(why_twice(approval.task))


# --- what it gets --------------------------------------------------------------------------------------


def _page(request: HttpRequest, shown: dict[str, Any], status: int = 200) -> HttpResponse:
    shown = {**shown, "here": "approvals", "poll": _poll(shown["listing"])}
    return render(request, "approvals/inbox.html", shown, status=status)


def _poll(listing: Listing) -> str:
    """Where the list asks for itself; it remembers since when it is open."""
    opened = int((listing.since or listing.now).timestamp())
    return f"{reverse('approvals')}?{urlencode({**listing.filters, 'page': listing.page, 'since': opened})}"


def _rows(request: HttpRequest, listing: Listing) -> HttpResponse:
    """The list, unless the reader has it."""
    actor, said = listing.actor, (request.COOKIES.get("zone"), request.headers.get("Accept-Language"))
    by = digest(actor.principal, sorted(actor.roles), listing.query, listing.since, said)[:16]
    had = [seen for tag in _tags(request) if (seen := Seen.of_tag(tag)) and seen.by == by]
    if held := next((seen for seen in had if seen.holds(listing.now)), None):
        return HttpResponseNotModified(headers={"ETag": held.tag})
    since = int((listing.now - LASTS).timestamp())
    told = told_since(since)  # before the list is read: what happens meanwhile counts as news
    seen = Seen(digest(listing.state), by, since, told, int(listing.turns_at.timestamp()))
    if any(seen.shown == other.shown for other in had):
        return HttpResponseNotModified(headers={"ETag": seen.tag})
    shown = {"listing": listing, "part": True, "poll": _poll(listing), "headers": _if_changed(seen.tag)}
    response = render(request, "approvals/inbox.html#rows", shown)
    response["ETag"] = seen.tag
    return response


def _sheet(request: HttpRequest, id: UUID, status: int = 200, **told: Any) -> HttpResponse:
    """The request's sheet: for htmx alone, else within the page; `told`: the form, why it was refused, whether it was decided now."""
    actor, listing = actor_of(request), _listing(request)
    approval = next((row for row in _listed(request, listing) if row.pk == id), None) or readable(actor, id)
    if approval is None:
        raise Http404
    if not is_for(request, "sheet"):
        return _page(request, {**_shown(listing, approval), "asked": True, **told}, status)
    if not told and Sheet(approval, listing.now, actor=actor).etag in _tags(request):
        return HttpResponseNotModified()
    watched = not told and "If-None-Match" in request.headers
    shown = {**_shown(listing, approval), "asked": True, "watched": watched, **told}
    return render(request, "approvals/request.html", shown, status=status)


def _listed(request: HttpRequest, listing: Listing) -> list[Approval]:
    """The list's requests, where the page shows them anyway."""
    return [] if is_for(request, "sheet") else listing.rows


def _if_changed(etag: str) -> str:
    return json.dumps({"If-None-Match": etag})


def _shown(listing: Listing, approval: Approval) -> dict[str, Any]:
    """One request, and what waits for the reader after it; only a request that has its answer needs to say so."""
    sheet = Sheet(approval, listing.now, actor=listing.actor)
    after = None if sheet.is_open else next_after(listing, approval)
    return {"listing": listing, "sheet": sheet, "headers": _if_changed(sheet.etag), "next": Line(after, listing.now) if after else None}


def _several(request: HttpRequest, form: SeveralForm, status: int = 200, outcomes: actions.Outcomes | None = None) -> HttpResponse:
    listing = _listing(request)
    chosen = Several(listing, form.cleaned_data.get("verdict", ""), tuple(form.cleaned_data.get("id", [])[:PAGE]), outcomes)
    shown = {"listing": listing, "several": chosen, "form": form}
    if is_for(request, "sheet"):
        return render(request, "approvals/several.html", shown, status=status)
    return _page(request, shown, status)
