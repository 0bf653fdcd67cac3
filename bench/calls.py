"""The measurements: which requests they send to which server, and as whom."""

import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID, uuid4

import httpx
import psycopg
from django.db import connection
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext

from audit.action import Key
from audit.actor import Actor, Kind
from bench.measure import Call, Seen, pgbench, request, send
from bench.stage import LARGE, SMALL, WORK, Stage, cookie
from orchestrator.api.paging import next_cursor
from orchestrator.api.sessions import SessionsQuery
from orchestrator.identity import own_token, set_actor
from sessions.actions import open_session
from sessions.models import Session

METADATA = {"ticket": "T-1000"}
FASTEST = 10_000  # requests a second that no measurement here comes near: so many keys lie ready
AGENT = Actor(principal="local|finance-agent", name="finance-agent", kind=Kind.AGENT, roles=frozenset({"finance", "agent"}))


@dataclass
class Measurements:
    """Every measurement by its name, in the order in which a round takes them: each stands near its baseline."""

    stage: Stage
    run: str = field(default_factory=lambda: uuid4().hex[:12])
    keys: list[str] = field(default_factory=list)  #: of the latest round's first executions

    def __post_init__(self) -> None:
        bearer = {"Authorization": f"Bearer {own_token('finance-agent', ['finance', 'agent'], 3600)}"}
        maria = {"Authorization": f"Bearer {own_token('maria', ['manager'], 3600)}"}
        body = json.dumps({"agent_role": "finance", "metadata": METADATA})
        work, opening = self.stage.ports[WORK], request("POST", "/api/sessions", {**bearer, "Idempotency-Key": "@@@"}, body)
        self.opening = Call(work, opening, 201)
        self.replaying = Call(work, opening, 201, "Idempotent-Replayed: true")
        self.reading = Call(work, request("GET", "/api/sessions/@@@", bearer))
        verdict = json.dumps({"decision": "approved"})
        self.deciding = Call(work, request("POST", "/api/approvals/approval-@@@/decision", maria, verdict))
        self.bare = Call(self.stage.ports["bare"], request("GET", "/session?@@@"))
        self.listing = {name: Call(self.stage.ports[name], request("GET", "/api/sessions?@@@", bearer)) for name in (SMALL, LARGE)}
        self.people = {name: {"Cookie": cookie(self.stage.ports[name])} for name in (SMALL, LARGE)}
        self.script = _script()
        self.cursor = f"cursor={_last_cursor(self.stage)}"
        self.sessions = _ids(self.stage, "SELECT id FROM sessions LIMIT 10000")
        self.pending = _ids(self.stage, "SELECT id FROM approvals WHERE status = 'pending'")

    def all(self) -> dict[str, Callable[[int, float], Seen]]:
        """What a round takes; each gets the round's number and the seconds."""
        return {
            "sql": self._sql, "open": self._open, "replay": lambda _, seconds: send(self.replaying, self.keys, seconds),
            "decide": self._decide, "bare": lambda _, seconds: send(self.bare, self.sessions, seconds),
            "read": lambda _, seconds: send(self.reading, self.sessions, seconds),
            "first": lambda _, seconds: send(self.listing[SMALL], ["", ""], seconds),
            "deep": lambda _, seconds: send(self.listing[LARGE], [self.cursor] * 2, seconds),
            "inbox_small": lambda _, seconds: self._inbox(SMALL, seconds), "inbox_large": lambda _, seconds: self._inbox(LARGE, seconds),
            "poll": self._poll,
        }  # fmt: skip

    def _sql(self, number: int, seconds: float) -> Seen:
        return pgbench(f"{self.stage.url}/{WORK}", self.script, seconds, round=number, run=int(self.run[:6], 16), n=0)

    def _open(self, number: int, seconds: float) -> Seen:
        fresh = [f"{self.run}-{number}-{count}" for count in range(int(FASTEST * seconds))]
        seen = send(self.opening, fresh, seconds, again=False)
        # Each process takes every second key, one after the other; half of them, as one may be far ahead of the other.
        self.keys = fresh[: max(len(seen.times) // 2, 2)]
        return seen

    def _decide(self, number: int, seconds: float) -> Seen:
        seen = send(self.deciding, self.pending, seconds, again=False)
        self.pending = _ids(self.stage, "SELECT id FROM approvals WHERE status = 'pending'")
        return seen

    def _inbox(self, name: str, seconds: float) -> Seen:
        return send(Call(self.stage.ports[name], request("GET", "/approvals/?@@@", self.people[name])), ["", ""], seconds)

    def _poll(self, number: int, seconds: float) -> Seen:
        """As the page asks for its list every four seconds, with the ETag that it got the last time."""
        port = self.stage.ports[LARGE]
        headers = {**self.people[LARGE], "HX-Request": "true", "HX-Target": "rows"}
        path = f"/approvals/?tab=mine&page=1&since={int(time.time()) - 60}"
        shown = httpx.get(f"http://127.0.0.1:{port}{path}", headers=headers, timeout=30)
        call = Call(port, request("GET", f"{path}&_=@@@", {**headers, "If-None-Match": shown.headers["ETag"]}), 304)
        return send(call, ["", ""], seconds)


def _ids(stage: Stage, query: str) -> list[str]:
    with psycopg.connect(f"{stage.url}/{WORK}") as database:
        return [str(id) for (id,) in database.execute(query)]


def _script() -> str:
    """The statements of one keyed POST /sessions as the product sends them, with each client's own ids and keys.

    Ids grow with time, as UUIDv7 does; the digests of body and key stay, for the database does not look at them.
    """
    key = Key("the-key", "0" * 64)
    with CaptureQueriesContext(connection) as sent:
        opened = open_session(actor=AGENT, role="finance", metadata=METADATA, key=key).row
    connection.close()
    statements = ";\n".join(query["sql"].rstrip(";") for query in sent.captured_queries)
    statements = statements.replace(key.value, "bench-:run-:round-:client-:n")
    ids = dict.fromkeys(re.findall(r"\b[0-9a-f]{32}\b", statements))  # psycopg writes them without hyphens
    if opened.pk.hex not in ids:
        raise RuntimeError(f"The new session's id does not stand in its INSERT:\n{statements}")
    for place, id in enumerate(ids):
        statements = statements.replace(id, f":head-:client-7000-8000-00000000000{place}")
    numbers = ["\\set n :n + 1", "\\set client :client_id + 1000", "\\set head :round * 1000000 + 10000000 + :n"]
    return "\n".join([*numbers, f"{statements};"])


def _last_cursor(stage: Stage) -> str:
    """The cursor that a walk over the large database's list has reached a hundred rows before its end."""
    with psycopg.connect(f"{stage.url}/{LARGE}") as database:
        found: tuple[UUID, datetime] | None
        found = database.execute("SELECT id, created_at FROM sessions ORDER BY created_at, id OFFSET 100 LIMIT 1").fetchone()
    assert found
    asked = RequestFactory().get("/api/sessions")
    set_actor(asked, AGENT)
    return next_cursor(asked, SessionsQuery(), Session(pk=found[0], created_at=found[1]), "created_at", many=True)
