"""A login is asked for at the provider again before it changes anything: a lost role or a disabled account counts within a minute."""

import time
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render

from orchestrator.identity import SAFE, BadToken, to_sign_in
from orchestrator.oidc import LOGIN, renew
from orchestrator.provider import ProviderAway, Refused

ACTING, READING = 60, 300  # seconds until a login is asked for again


class FreshMiddleware:
    """Pages that need a login: renewed when it is old. While the provider is away people read on and change nothing."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Nothing to do on the way."""
        return self.get_response(request)

    def process_view(self, request: HttpRequest, view: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> HttpResponse | None:
        """Before the view, and before anybody asks for the roles."""
        if not settings.OIDC_ISSUER_URL or not getattr(view, "login_required", True):
            return None
        return self._renewed(request) if request.user.is_authenticated else None

    def _renewed(self, request: HttpRequest) -> HttpResponse | None:
        try:
            age = time.time() - request.session[LOGIN]["checked"]
            if age > (READING if request.method in SAFE else ACTING):
                renew(request)
        except ProviderAway:
            return None if request.method in SAFE else away(request)
        except (Refused, BadToken, KeyError):
            logout(request)
            return to_sign_in(request)
        return None

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """A sign-in that could not begin, or not end."""
        return away(request) if isinstance(error, ProviderAway) else None


def away(request: HttpRequest) -> HttpResponse:
    """503, with everything that was typed, to be sent again."""
    fields = [(name, value) for name, values in request.POST.lists() for value in values if name != "csrfmiddlewaretoken"]
    page = render(request, "provider_away.html", {"fields": fields}, status=503)
    page["Retry-After"] = "5"
    return page
