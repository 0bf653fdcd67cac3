"""Pages in the reader's time zone: the browser says it in a cookie (static/app.js); UTC until it has."""

from collections.abc import Callable
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from django.http import HttpRequest, HttpResponseBase
from django.utils import timezone


class ZoneMiddleware:
    """One zone for all that a page shows and for what its forms mean."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer in that zone."""
        with timezone.override(zone_of(request)):
            return self.get_response(request)


def zone_of(request: HttpRequest) -> ZoneInfo:
    """The zone that the cookie names; UTC for none, and for what is none."""
    name = request.COOKIES.get("zone", "UTC")
    return ZoneInfo(name if name in _names() else "UTC")


@cache
def _names() -> frozenset[str]:
    """Those that the database knows too: not posix/..., right/... and posixrules."""
    return frozenset(available_timezones())
