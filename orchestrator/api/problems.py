"""One shape for every error of the API: application/problem+json (RFC 9457); and each request's trace id."""

import json
import re
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

from django.conf import settings
from django.core.serializers.json import DjangoJSONEncoder
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.http.response import ResponseHeaders

from audit.errors import DomainError, KeyReused

TITLES = {
    400: "Bad request", 401: "Not signed in", 403: "Not allowed", 404: "Not found", 405: "Method not allowed", 406: "Not acceptable",
    409: "Conflict", 412: "Precondition failed", 413: "Too large", 415: "Unsupported media type", 422: "Cannot be processed",
    429: "Too many requests", 500: "Internal error", 503: "Not available right now",
}  # fmt: skip
SLUGS = {
    400: "bad-request", 401: "unauthorized", 403: "not-allowed", 404: "not-found", 405: "method-not-allowed", 406: "not-acceptable",
    409: "conflict", 412: "precondition-failed", 413: "too-large", 415: "unsupported-media-type", 422: "invalid",
    429: "too-many-requests", 500: "internal", 503: "unavailable",
}  # fmt: skip
DETAILS = {
    400: "The request cannot be read.",
    404: "There is nothing here.",
    405: "This address does not take that method; the Allow header names those it takes.",
    406: "Only JSON is spoken here: send Accept: application/json.",
    500: "Something went wrong on our side; it has been logged under the trace id.",
}
#: What a client that takes JSON says, whatever parameters come with it.
JSON = {"*/*", "application/*", "application/json", "application/problem+json"}
TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
UUID_TEXT = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


def problem(
    request: HttpRequest, status: int, detail: str = "", slug: str = "", headers: dict[str, str] | None = None, **members: Any
) -> HttpResponse:
    """A problem of that status; further members go along as they are."""
    body = {
        "type": f"urn:orchestrator:{slug or SLUGS[status]}", "title": TITLES[status], "status": status,
        "detail": detail or DETAILS.get(status, TITLES[status]), "trace_id": str(getattr(request, "trace_id", "")), **members,
    }  # fmt: skip
    response = HttpResponse(json.dumps(body, cls=DjangoJSONEncoder), status=status, content_type="application/problem+json")
    for name, value in (headers or {}).items():
        response[name] = value
    return response


def from_domain(request: HttpRequest, error: DomainError) -> HttpResponse:
    """A rule's no, in the wire's shape."""
    members = dict(error.facts)
    if field := "Idempotency-Key" if isinstance(error, KeyReused) else getattr(error, "field", ""):
        members["errors"] = [{"field": field, "message": str(error)}]
    headers = {"Retry-After": str(error.retry_after)} if error.retry_after else {}
    return problem(request, error.status, str(error), error.slug, headers, **members)


def is_api(request: HttpRequest) -> bool:
    """Whether the request came to the agents' door."""
    return request.path_info == "/api" or request.path_info.startswith("/api/")


def trace_of(request: HttpRequest) -> UUID:
    """The request's own trace id: X-Trace-Id, else traceparent's (W3C), else a new one; malformed ones are ignored."""
    given = request.headers.get("X-Trace-Id", "").strip()
    if UUID_TEXT.fullmatch(given):
        return UUID(given)
    if match := TRACEPARENT.fullmatch(request.headers.get("traceparent", "")):
        return UUID(match[1])
    return uuid4()


class TraceMiddleware:
    """Gives each request its trace id, turns away what cannot be an API call, and shapes the API's plain errors."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer under one trace id."""
        request.trace_id = trace_of(request)  # type: ignore[attr-defined]
        response = self._turned_away(request) or self._answer(request)
        response.headers["X-Trace-Id"] = str(request.trace_id)  # type: ignore[attr-defined]
        return response

    def _turned_away(self, request: HttpRequest) -> HttpResponse | None:
        if "\0" in request.path or "%00" in request.META.get("QUERY_STRING", ""):
            return self._plain(request, 400, "The address holds a NUL character.")
        if "\0" in "".join(request.COOKIES.values()):
            return self._plain(request, 400, "A cookie holds a NUL character.")
        if int(request.META.get("CONTENT_LENGTH") or 0) > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
            return self._plain(request, 413, "The body may hold 1 MiB at most.")
        if request.META.get("orchestrator.cut"):
            return self._plain(request, 400, "The body ended before it was complete.")
        if not is_api(request):
            return self._lost_client(request)
        if request.path != "/api/docs" and not JSON.intersection(f"{kind.main_type}/{kind.sub_type}" for kind in request.accepted_types):
            return problem(request, 406)
        if request.method == "HEAD":
            request.method = "GET"  # the server drops the body
        return None

    def _lost_client(self, request: HttpRequest) -> HttpResponse | None:
        """An agent that knows the predecessor's addresses gets a sentence, not a page."""
        speaks_api = request.headers.get("Authorization", "").lower().startswith("bearer ") or request.content_type == "application/json"
        if speaks_api and request.path not in {"/health", "/livez", "/status"}:
            return problem(request, 404, "The API lives under /api: set CONTROLLER_URL to end in /api.")
        return None

    def _answer(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        if is_api(request) and response.status_code >= 400 and not response.headers["Content-Type"].startswith("application/"):
            return self._shaped(request, response.status_code, response.headers)
        return response

    def _shaped(self, request: HttpRequest, status: int, headers: ResponseHeaders) -> HttpResponse:
        status = status if status in TITLES else 400
        return problem(request, status, headers={name: headers[name] for name in ("Allow", "Retry-After") if name in headers})

    def _plain(self, request: HttpRequest, status: int, detail: str) -> HttpResponse:
        return problem(request, status, detail) if is_api(request) else HttpResponse(detail, status=status, content_type="text/plain")
