"""Pages in the reader's time zone: the browser says it in a cookie (static/app.js); UTC until it has."""

import re
from collections.abc import Callable
from zoneinfo import ZoneInfo

from django.http import HttpRequest, HttpResponseBase
from django.utils import timezone

NAME = re.compile(r"[\w+-]{1,20}(/[\w+-]{1,20}){0,2}", re.ASCII)


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
    try:
        return ZoneInfo(name if NAME.fullmatch(name) else "UTC")
    except (KeyError, ValueError, OSError):
        return ZoneInfo("UTC")
