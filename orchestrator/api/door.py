"""The API's own way through the site: past all that only pages need."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponseBase
from django.urls import resolve

from orchestrator.api.problems import is_api
from orchestrator.health import is_outage, unavailable


class DoorMiddleware:
    """Logins, CSRF, messages and the content policy mean nothing to an agent, so its requests do not pay for them.

    No cookie counts here, so none can be abused; each endpoint asks for a token unless it says otherwise (api/__init__.py).
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.pages = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """An endpoint's answer, or the rest of the site's."""
        shows_docs = request.path_info == "/api/docs" and request.method == "GET"
        if not is_api(request) or shows_docs:
            return self.pages(request)
        response = _endpoint(request)
        if not response.streaming:
            response.headers["Content-Length"] = str(len(response.content))  # type: ignore[attr-defined]
        return response


def _endpoint(request: HttpRequest) -> HttpResponseBase:
    request.get_host()  # raises what makes a 400 of a name that is not ours
    request.resolver_match = found = resolve(request.path_info)
    try:
        answer: HttpResponseBase = found.func(request, *found.args, **found.kwargs)
    except Exception as error:
        if is_outage(error):
            return unavailable(request, error)
        raise
    return answer
