"""Probes, and what every request hears while PostgreSQL is away."""

import logging
import sys
from collections.abc import Callable

from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import BadRequest, ValidationError
from django.db import DatabaseError, DataError, InterfaceError, OperationalError, ProgrammingError, connection
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe
from django_redis import get_redis_connection
from psycopg import errors

from orchestrator import __version__
from orchestrator.api.problems import is_api, problem
from orchestrator.postgres.base import patient

log = logging.getLogger(__name__)
#: What values of no sense in an address or a form raise in Django admin.
NONSENSE = (ValueError, OverflowError, ValidationError, DataError)
AWAY = "The database cannot be reached right now; try again in a few seconds."


class OutageMiddleware:
    """503 with Retry-After at once while the database is away, or not migrated yet; back without a restart.

    Errors in views arrive here; those in other middleware reach `server_error`, the site's handler500.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Nothing to do on the way."""
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """Only an outage is ours; any other error is a defect and goes on (what Django admin makes of an odd address is 400)."""
        if request.path_info.startswith("/admin/") and isinstance(error, NONSENSE):
            log.warning("admin cannot read %s: %s", request.path_info, type(error).__name__)
            raise BadRequest from error
        return unavailable(request, error) if is_outage(error) else None


def server_error(request: HttpRequest) -> HttpResponse:
    """The site's handler500: an outage is a 503, a defect a page (or a problem) that gives nothing away."""
    error = sys.exception()
    if error and is_outage(error):
        return unavailable(request, error)
    if is_api(request):
        return problem(request, 500)
    return render(None, "500.html", {"trace_id": getattr(request, "trace_id", "")}, status=500)


def is_outage(error: BaseException) -> bool:
    """Whether the database, not the request, is the reason."""
    not_migrated = isinstance(error, ProgrammingError) and isinstance(error.__cause__, errors.UndefinedTable)
    return not_migrated or isinstance(error, OperationalError | InterfaceError)


def unavailable(request: HttpRequest, error: BaseException) -> HttpResponse:
    """503: a problem for programs, a page for people."""
    log.warning("database unavailable: %s", type(error).__name__)
    if is_api(request):
        return problem(request, 503, AWAY, headers={"Retry-After": "2"})
    page = render(None, "503.html", {"away": AWAY}, status=503)
    page["Retry-After"] = "2"
    return page


@require_safe
@login_not_required
def livez(request: HttpRequest) -> HttpResponse:
    """200 while the process runs."""
    return JsonResponse({"status": "ok"})


@require_safe
@login_not_required
def status(request: HttpRequest) -> HttpResponse:
    """Which version runs."""
    return JsonResponse({"status": "ok", "version": __version__})


@require_safe
@login_not_required
def health(request: HttpRequest) -> HttpResponse:
    """healthy; degraded without Redis (all still works); unhealthy without the database (503)."""
    database, redis = _database(), _redis()
    word = "healthy" if database and redis else "degraded" if database else "unhealthy"
    said = {True: "connected", False: "disconnected"}
    body = {"status": word, "version": __version__, "database": said[database], "redis": said[redis]}
    return JsonResponse(body, status=200 if database else 503, headers={} if database else {"Retry-After": "2"})


def _database() -> bool:
    try:
        with patient(2), connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except (DatabaseError, InterfaceError):
        connection.close()
        return False
    return True


def _redis() -> bool:
    try:
        return bool(get_redis_connection().ping())
    except Exception:  # noqa: BLE001 - whatever it is, Redis does not answer
        return False
