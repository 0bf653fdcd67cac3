"""How much one caller may ask in a minute, over all server processes: counted in Redis, and alone while that is away."""

import time
from collections import Counter
from threading import Lock

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django_redis import get_redis_connection
from redis.exceptions import RedisError

from audit.errors import DomainError

MINUTE = 60
PAUSE = 5.0  # seconds without a look at a Redis that did not answer: a frozen one costs 0.2 s each time


class TooMany(DomainError):
    """The caller's minute is used up (429; RFC 6585)."""

    slug, status = "too-many-requests", 429

    def __init__(self, seconds: int) -> None:
        super().__init__(f"You have sent more than is allowed in a minute; go on in {seconds} s.")
        self.retry_after = seconds


class Limit:
    """So many per minute for each caller, the number being a setting.

    A process takes a hundredth of it at a time out of the shared count, so that most requests cost no round trip; what it
    took counts as used. Redis decides nothing that must not be lost: without it each process holds to the limit by itself.
    """

    def __init__(self, setting: str, name: str = "", times: int = 1) -> None:
        self.setting, self.name, self.times = setting, name or setting, times
        self.lock, self.minute, self.away_until = Lock(), 0, 0.0
        self.left: dict[str, int] = {}  # what this process took and did not use; below 0: nothing more to take
        self.alone: Counter[str] = Counter()

    def spend(self, who: str) -> None:
        """Count one request of this caller. Raises TooMany when the minute is used up."""
        minute, second = divmod(int(time.time()), MINUTE)
        with self.lock:
            if minute != self.minute:
                self.minute, self.left, self.alone = minute, {}, Counter()
            if not self.left.get(who):
                self.left[who] = self._take(who) or -1
            if self.left[who] > 0:
                self.left[who] -= 1
                return
        raise TooMany(MINUTE - second)

    def _take(self, who: str) -> int:
        """How many this process may let through."""
        limit = int(getattr(settings, self.setting)) * self.times
        wanted = max(limit // 100, 1)
        taken = self._count(who, wanted)
        return max(min(wanted, limit - taken + wanted), 0)

    def _count(self, who: str, wanted: int) -> int:
        """What all processes took in this minute, `wanted` included."""
        self.alone[who] += wanted
        if time.monotonic() < self.away_until:
            return self.alone[who]
        name = f"limit:{self.name}:{self.minute}:{who}"
        try:
            with get_redis_connection().pipeline() as pipe:
                return int(pipe.incrby(name, wanted).expire(name, 2 * MINUTE).execute()[0])
        except RedisError:
            self.away_until = time.monotonic() + PAUSE
            return self.alone[who]


REQUESTS = Limit("RATE_LIMIT")
SIGN_INS = Limit("SIGN_IN_LIMIT")
#: With an identity provider no name is known yet: one address, which a whole office may share.
SIGN_IN_STARTS = Limit("SIGN_IN_LIMIT", "SIGN_IN_STARTS", times=10)


def too_many_page(request: HttpRequest, error: TooMany) -> HttpResponse:
    """The same for people."""
    page = render(request, "429.html", {"said": str(error)}, status=429)
    page["Retry-After"] = str(error.retry_after)
    return page
