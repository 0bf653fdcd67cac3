"""The agents' door: one NinjaAPI, closed unless a route says otherwise."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from typing import Annotated, Any

from csp.decorators import csp_update
from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe
from ninja.errors import AuthenticationError, HttpError, ValidationError
from ninja.security import HttpBearer
from typing_extensions import TypedDict

from audit.actor import Kind, actor_of
from audit.errors import DomainError
from orchestrator import __version__, health
from orchestrator.api import approvals, audit, sessions, tasks
from orchestrator.api.idempotency import key_text
from orchestrator.api.openapi import DESCRIPTION, DescribedAPI, says
from orchestrator.api.problems import from_domain, problem
from orchestrator.api.wire import StrictParser, among
from orchestrator.identity import BadToken, actor_from_claims, set_actor, verified
from orchestrator.limits import REQUESTS
from orchestrator.provider import ProviderAway
from sessions.models import Task


class Bearer(HttpBearer):
    """A JWT in the Authorization header (RFC 6750)."""

    openapi_bearerFormat = "JWT"  # noqa: N815 - ninja takes OpenAPI's own name
    openapi_description = "An access token of the identity provider; on a development machine one of `manage.py token`."

    def authenticate(self, request: HttpRequest, token: str) -> dict[str, Any]:
        """Name the caller, then look at the query: nobody else learns what we know. The claims become `request.auth`."""
        claims = verified(token.strip())
        set_actor(request, actor := actor_from_claims(claims, request.trace_id))  # type: ignore[attr-defined]
        REQUESTS.spend(actor.principal)
        _refuse_unknown_parameters(request)
        key_text(request)  # before the body: a key that is none says so whatever it came with
        return claims


api = DescribedAPI(
    title="Org-Chart Orchestrator", version=__version__, urls_namespace="api", auth=Bearer(), parser=StrictParser(),
    docs_decorator=lambda view: login_not_required(require_safe(csp_update({"img-src": "data:"})(view))),  # Swagger's style has pictures
    description=DESCRIPTION, servers=[{"url": "/", "description": "This server"}],
)  # fmt: skip
api.add_router("/sessions", sessions.router)
api.add_router("/tasks", tasks.router)
api.add_router("/approvals", approvals.router)
api.add_router("/audit", audit.router)


class Me(TypedDict):
    """A caller."""

    principal: str
    name: str
    kind: Annotated[str, among([Kind.PERSON, Kind.AGENT])]
    roles: list[str]
    expires_at: datetime


class Roles(TypedDict):
    """Names of roles."""

    roles: list[str]


class Status(TypedDict):
    """That it runs."""

    status: Annotated[str, among(["ok"])]
    version: str


class Health(TypedDict):
    """How it is."""

    status: Annotated[str, among(["healthy", "degraded", "unhealthy"])]
    version: str
    database: Annotated[str, among(["connected", "disconnected"])]
    redis: Annotated[str, among(["connected", "disconnected"])]


@api.get("/me", response=Me, tags=["caller"])
def me(request: HttpRequest) -> JsonResponse:
    """Who you are here, and until when your token counts."""
    actor = actor_of(request)
    body: Me = {
        "principal": actor.principal, "name": actor.name, "kind": actor.kind, "roles": sorted(actor.roles),
        "expires_at": datetime.fromtimestamp(request.auth["exp"], UTC),  # type: ignore[attr-defined]
    }  # fmt: skip
    return JsonResponse(body)


@api.get("/roles", response=Roles, tags=["caller"])
def roles(request: HttpRequest) -> JsonResponse:
    """The roles of the org chart: as set, else those seen in tasks."""
    return JsonResponse({"roles": settings.ORG_ROLES or Task.objects.roles_seen()})


@api.get("/health", auth=None, response={200: Health, 503: Health}, tags=["probes"], openapi_extra=says(_503=["Retry-After"]))
def api_health(request: HttpRequest) -> HttpResponse:
    """Whether the database and Redis answer."""
    return health.health(request)


@api.get("/status", auth=None, response=Status, tags=["probes"])
def api_status(request: HttpRequest) -> HttpResponse:
    """Which version runs."""
    return health.status(request)


@cache
def _parameters() -> dict[tuple[str, str], set[str]]:
    """The query parameters of each (route, method), from the API's own description."""
    paths: dict[str, Any] = api.get_openapi_schema()["paths"]
    return {
        (path.replace("{", "<").replace("}", ">").lstrip("/"), method.upper()): {
            parameter["name"] for parameter in operation["parameters"] if parameter.get("in") == "query"
        }
        for path, operations in paths.items()
        for method, operation in operations.items()
    }


def _refuse_unknown_parameters(request: HttpRequest) -> None:
    match = request.resolver_match
    known = _parameters().get((match.route if match else "", request.method or ""), set())
    if unknown := sorted(request.GET.keys() - known):
        raise UnknownParameters(unknown)


class UnknownParameters(Exception):
    """Query parameters that the route does not have."""


@api.exception_handler(DomainError)
def _domain_error(request: HttpRequest, error: Any) -> HttpResponse:
    return from_domain(request, error)


@api.exception_handler(UnknownParameters)
def _unknown_parameters(request: HttpRequest, error: Any) -> HttpResponse:
    return _fields(request, [(name, "is no parameter of this route; leave it out") for name in error.args[0]])


@api.exception_handler(BadToken)
def _bad_token(request: HttpRequest, error: Any) -> HttpResponse:
    return problem(request, 401, str(error), headers={"WWW-Authenticate": 'Bearer error="invalid_token"'})


@api.exception_handler(ProviderAway)
def _provider_away(request: HttpRequest, error: Any) -> HttpResponse:
    said = "The identity provider does not answer, so your token cannot be checked; try again soon."
    return problem(request, 503, said, headers={"Retry-After": "5"})


@api.exception_handler(AuthenticationError)
def _no_token(request: HttpRequest, error: Any) -> HttpResponse:
    said = "Send Authorization: Bearer and your token."
    return problem(request, 401, said, headers={"WWW-Authenticate": 'Bearer error="invalid_request"'})


@api.exception_handler(Http404)
def _not_found(request: HttpRequest, error: Any) -> HttpResponse:
    return problem(request, 404)


@api.exception_handler(HttpError)
def _unreadable(request: HttpRequest, error: Any) -> HttpResponse:
    """ninja wraps whatever its parser raised; the parser's own sentence is the better one."""
    cause = error.__cause__
    return from_domain(request, cause) if isinstance(cause, DomainError) else problem(request, error.status_code)


@api.exception_handler(ValidationError)
def _invalid(request: HttpRequest, error: Any) -> HttpResponse:
    return _fields(request, [(_path(found["loc"]), _sentence(found)) for found in error.errors])


def _path(loc: tuple[Any, ...]) -> str:
    """Where in the body or query: task.task_type. ninja puts the source before it, and for a body the argument's name."""
    return ".".join(str(part) for part in loc[2 if loc[0] == "body" else 1 :] if part != "function-before") or "body"


SENTENCES: dict[str, Callable[[dict[str, Any]], str]] = {
    "extra_forbidden": lambda ctx: "is not known here; leave it out",
    "missing": lambda ctx: "is required",
    "string_too_short": lambda ctx: "must not be blank",
    "string_too_long": lambda ctx: f"may hold {ctx['max_length']} characters",
    "string_type": lambda ctx: "must be text",
    "dict_type": lambda ctx: "must be a JSON object",
    "model_type": lambda ctx: "must be a JSON object",
    "model_attributes_type": lambda ctx: "must be a JSON object",
    "value_error": lambda ctx: str(ctx["error"]),
    "uuid_type": lambda ctx: "must be an id, as text",
}


def _sentence(found: dict[str, Any]) -> str:
    sentence = SENTENCES.get(found["type"])
    return sentence(found.get("ctx", {})) if sentence else str(found["msg"])


def _fields(request: HttpRequest, found: list[tuple[str, str]]) -> HttpResponse:
    errors = [{"field": field, "message": message} for field, message in found]
    detail = "; ".join(f"{field} {message}" for field, message in found[:5])[:1000] + "."
    return problem(request, 422, detail, errors=errors)
