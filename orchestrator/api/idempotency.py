"""Same key, same answer: the HTTP side. PostgreSQL decides (audit/action.py); Redis holds a copy of the reply for speed."""

import hashlib
import json
import re
from collections.abc import Callable
from typing import Any, TypeVar

from django.conf import settings
from django.core.cache import cache
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from audit.action import Key, Made
from audit.actor import actor_of
from audit.errors import DomainError
from audit.models import Audited

Row = TypeVar("Row", bound=Audited)
KEY = re.compile(r'"?([A-Za-z0-9_.:-]{1,128})"?')
#: The routes that honour a key, and whether they need one.
KEYED = {"api/sessions": False, "api/tasks/route": True, "api/approvals": False, "api/audit/ingest": False}


class BadKey(DomainError):
    """The Idempotency-Key is missing where it is needed, or is none (400)."""

    slug, status = "bad-idempotency-key", 400


def answer(
    request: HttpRequest, *, status: int, run: Callable[[Key | None], Made[Row]], reply: Callable[[Row], dict[str, Any]],
    where: Callable[[Row], str], version: int = 1,
) -> HttpResponse:  # fmt: skip
    """Run a keyed creation, or replay it byte for byte.

    `reply` and `version` (the row's when it was made) may use only what was fixed at creation, so that the reply can be
    rebuilt from the row when Redis has no copy.
    """
    key = read_key(request)
    if key and (copy := _copy(request, key)):
        return _response(status, copy["body"], copy["location"], version, replayed=True)
    made = run(key)
    body, location = json.dumps(reply(made.row)), where(made.row)
    if key and not made.found:
        _keep(request, key, made, body, location)
    return _response(200 if made.found else status, body, location, version, made.replayed)


def key_text(request: HttpRequest) -> str | None:
    """The header's key, bare or as a quoted structured-field string; None where none is honoured. Raises BadKey."""
    route = request.resolver_match.route if request.resolver_match else ""
    if request.method != "POST" or route not in KEYED:
        return None
    given = request.headers.get("Idempotency-Key")
    if given is None:
        if KEYED[route]:
            raise BadKey("Send an Idempotency-Key header: any text of yours that names this request, the same at each retry.")
        return None
    match = KEY.fullmatch(given.strip())
    if not match or (given.strip().startswith('"') != given.strip().endswith('"')):
        raise BadKey("Idempotency-Key takes 1 to 128 characters of A-Z a-z 0-9 _ . : - (bare, or in double quotes).")
    return match[1]


def read_key(request: HttpRequest) -> Key | None:
    """The key with the digest of the body that it came with."""
    text = key_text(request)
    if text is None:
        return None
    canonical = json.dumps(json.loads(request.body), sort_keys=True, separators=(",", ":"))
    return Key(text, hashlib.sha256(canonical.encode()).hexdigest())


def _response(status: int, body: str, location: str, version: int, replayed: bool) -> HttpResponse:
    headers = {"Location": location, "ETag": f'"{version}"'}
    if replayed:
        headers["Idempotent-Replayed"] = "true"
    return HttpResponse(body, status=status, content_type="application/json", headers=headers)


def _name(request: HttpRequest, key: Key) -> str:
    """Under which name Redis holds the copy: bound to caller and route, so that nobody sees another's."""
    text = json.dumps([actor_of(request).principal, request.path, key.value])
    return f"idempotency:{hashlib.sha256(text.encode()).hexdigest()}"


def _copy(request: HttpRequest, key: Key) -> dict[str, str] | None:
    """The copy in Redis if it is whole and of this very body; any error is a miss, then PostgreSQL answers."""
    try:
        held = cache.get(_name(request, key))
    except Exception:  # noqa: BLE001 - garbage in Redis raises whatever its reader raises
        return None
    whole = isinstance(held, dict) and all(isinstance(held.get(part), str) for part in ("digest", "body", "location"))
    return held if whole and held["digest"] == key.digest else None


def _keep(request: HttpRequest, key: Key, made: Made[Row], body: str, location: str) -> None:
    """Keep a copy for as long as the key is held."""
    age = (timezone.now() - made.row.created_at).total_seconds() if made.replayed else 0  # type: ignore[attr-defined]
    left = int(settings.IDEMPOTENCY_TTL_SECONDS - age)
    if left > 0:
        cache.set(_name(request, key), {"digest": key.digest, "body": body, "location": location}, timeout=left)
