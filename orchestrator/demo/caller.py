"""How the played agents speak to the JSON API: a fresh token each, patient while the server is away, the same key at each retry."""

import time
from collections.abc import Callable
from threading import Event
from typing import Any
from uuid import uuid4

import httpx
from django.conf import settings

from audit.actor import Actor
from orchestrator.identity import own_token

PATIENT = {429, 502, 503, 504}  # not now: try again
LONGEST = 15.0  # seconds between tries


class NoServer(Exception):
    """Nobody answers where the server should be."""


class Caller:
    """The API as any of the demo's actors; `stop` ends every wait."""

    def __init__(self, address: str, stop: Event, say: Callable[[str], None]) -> None:
        self.address, self.stop, self.say = address, stop, say
        self.http = httpx.Client(base_url=f"{address}/api", timeout=10)
        self.tokens: dict[str, tuple[str, float]] = {}

    def check(self) -> None:
        """Raise NoServer unless our own API answers: another one there would refuse our tokens for ever."""
        bearer = {"Authorization": f"Bearer {own_token('demo-watcher', ['auditor', 'agent'], 60)}"}
        try:
            status = self.http.get("/me", headers=bearer).status_code
        except httpx.TransportError:
            status = 0
        hint = "start it with `make run`, then play the demo beside it, with the same PORT."
        if status == 401:
            raise NoServer(f"What answers at {self.address} is another instance, with other keys: {hint}")
        if status in (0, 404):
            raise NoServer(f"No server answers at {self.address}: {hint}")

    def get(self, who: Actor, path: str, **params: Any) -> dict[str, Any]:
        """What stands there; empty if it is refused."""
        return self._call(who, "GET", path, params=params)

    def post(self, who: Actor, path: str, **body: Any) -> dict[str, Any]:
        """Create something, once, however often it must be tried."""
        return self._call(who, "POST", path, json=body, headers={"Idempotency-Key": uuid4().hex})

    def put(self, who: Actor, path: str, **body: Any) -> dict[str, Any]:
        """Change something."""
        return self._call(who, "PUT", path, json=body)

    def _call(self, who: Actor, method: str, path: str, **request: Any) -> dict[str, Any]:
        headers = request.pop("headers", {})
        for tries in range(1_000_000):
            if self.stop.is_set():
                break
            bearer = {"Authorization": f"Bearer {self._token(who)}"}
            try:
                response = self.http.request(method, path, headers={**headers, **bearer}, **request)
            except httpx.TransportError as error:
                self._pause(tries, type(error).__name__)
                continue
            if not _again(response):
                return self._read(who, response)
            self._pause(tries, str(response.status_code), response.headers.get("Retry-After", ""))
        return {}

    def _read(self, who: Actor, response: httpx.Response) -> dict[str, Any]:
        """A refusal is an answer too: somebody else was faster, or a rule says no."""
        if response.is_success:
            return dict(response.json()) if response.content else {}
        problem = response.headers.get("Content-Type", "").startswith("application/problem+json")
        self.say_now(f"{who.name} was told: {response.json()['detail'] if problem else response.status_code}")
        return {}

    def _pause(self, tries: int, why: str, wanted: str = "") -> None:
        """Longer each time, or as the server wishes."""
        if not tries:
            self.say_now(f"The server does not answer right now ({why}); trying until it does.")
        self.stop.wait(min(LONGEST, max(0.5 * 2 ** min(tries, 6), float(wanted) if wanted.isdigit() else 0)))

    def _token(self, who: Actor) -> str:
        """Renewed at half of its time."""
        token, until = self.tokens.get(who.principal, ("", 0.0))
        if time.monotonic() >= until:
            token = own_token(who.principal.partition("|")[2], sorted(who.roles), settings.TOKEN_MAX_AGE, who.name)
            self.tokens[who.principal] = token, time.monotonic() + settings.TOKEN_MAX_AGE / 2
        return token

    def say_now(self, text: str) -> None:
        """One line with the time."""
        self.say(f"{time.strftime('%H:%M:%S')}  {text}")


def _again(response: httpx.Response) -> bool:
    """Not now; or a duplicate of ours that is still running."""
    return response.status_code in PATIENT or (response.status_code == 409 and "Retry-After" in response.headers)
