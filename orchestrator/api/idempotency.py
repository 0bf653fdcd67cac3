"""Same key, same answer: the HTTP side. PostgreSQL decides (audit/action.py); Redis holds a copy of the reply for speed.

In Redis: `idempotency:<sha256 of caller, route and key>`, a JSON object, never for longer than PostgreSQL holds the key.
"""

import hashlib
import json
import re
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import Any, TypeVar

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.crypto import constant_time_compare, salted_hmac
from django_redis import get_redis_connection

from audit.action import Key, Made
from audit.actor import actor_of
from audit.errors import DomainError, NotAllowed
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
    where: Callable[[Row], str], role: Callable[[Row], str] = lambda row: "", version: int = 1,
) -> HttpResponse:  # fmt: skip
    """Run a keyed creation, or replay it byte for byte.

    `reply`, `role` and `version` (the row's when it was made) may use only what was fixed at creation, so that the reply can
    be rebuilt from the row when Redis has no copy. Without `role` (if it names one) by now, the caller hears no replay.
    """
    key, began = read_key(request), timezone.now()
    if key and (copy := _copy(request, key)):
        return _response(request, status, copy, version, replayed=True)
    made = run(key)
    said = {"body": json.dumps(reply(made.row)), "location": where(made.row), "role": "" if made.found else role(made.row)}
    if key and not made.found:
        born = made.row.created_at if made.replayed else began  # type: ignore[attr-defined]
        _keep(request, key, born, said)
    return _response(request, 200 if made.found else status, said, version, made.replayed)


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


def _response(request: HttpRequest, status: int, said: dict[str, str], version: int, replayed: bool) -> HttpResponse:
    actor, role = actor_of(request), said["role"]
    if replayed and role and not (actor.holds(role) or actor.is_admin):
        raise NotAllowed(f"This was made in the role {role}, which you do not hold any more.")
    headers = {"Location": said["location"], "ETag": f'"{version}"', **({"Idempotent-Replayed": "true"} if replayed else {})}
    return HttpResponse(said["body"], status=status, content_type="application/json", headers=headers)


# --- the copy in Redis: any error is a miss, then PostgreSQL answers --------------------------------------


def _name(request: HttpRequest, key: Key) -> str:
    """Under which name Redis holds the copy: bound to caller and route, so that nobody sees another's."""
    text = json.dumps([actor_of(request).principal, request.path, key.value])
    return f"idempotency:{hashlib.sha256(text.encode()).hexdigest()}"


def _copy(request: HttpRequest, key: Key) -> dict[str, str] | None:
    """The copy, if it is of this very body and as we wrote it: nobody else who writes to Redis makes our answers."""
    name = _name(request, key)
    with suppress(Exception):  # whatever reading garbage raises
        held: dict[str, str] = json.loads(get_redis_connection().get(name))
        if constant_time_compare(held.pop("seal"), _seal(name, held)) and held["digest"] == key.digest:
            return held
    return None


def _keep(request: HttpRequest, key: Key, born: datetime, said: dict[str, str]) -> None:
    """Keep a copy, in whole seconds rounded down: it must be gone when PostgreSQL frees the key."""
    name, copy = _name(request, key), {**said, "digest": key.digest}
    left = int(settings.IDEMPOTENCY_TTL_SECONDS - max(0, (timezone.now() - born).total_seconds()))
    with suppress(Exception):  # the answer stands already
        get_redis_connection().set(name, json.dumps({**copy, "seal": _seal(name, copy)}), ex=left)


def _seal(name: str, copy: dict[str, str]) -> str:
    return salted_hmac("idempotency", json.dumps([name, copy], sort_keys=True), algorithm="sha256").hexdigest()
