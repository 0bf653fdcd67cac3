"""Who may do what: each route and method that the URL configuration knows, for each sort of caller; two tables say what they hear.

The tables are the contract's rules ("Who may read", "write", "decide", "reads the audit") spelled out. Each call is made about the
caller's own work (finance's), about another's (people's) and about something that does not exist. What the tables do not state fails.
A refusal must change nothing.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode
from uuid import UUID, uuid4

import httpx
import pytest
from django.contrib.auth.models import Group, User
from django.test import Client
from django.test.client import ClientHandler
from django.urls import URLPattern, URLResolver, get_resolver

from approvals.actions import ask, cancel
from audit.actor import Actor
from orchestrator.identity import own_token
from sessions.actions import claim_task, open_session, route_task
from tests.conftest import agent, person
from tests.evidence import incomplete, refused, sql

METHODS = ("GET", "PUT", "PATCH", "DELETE", "POST")  # POST last: it signs out
#: What answers where nothing is, whatever the method: 404.
UNKNOWN = {"api/", "^api(?P<rest>/.*)?$"}

# --- the callers -----------------------------------------------------------------------------------------

#: The two letters of a column: name and roles. Capital A: an agent; P: a person.
CALLERS: dict[str, tuple[str, tuple[str, ...]]] = {
    "sA": ("finance-agent", ("finance", "agent")),  # opened the session, sent the task, asked for approval
    "sP": ("felix", ("finance",)),
    "sB": ("berta", ("finance", "manager")),  # sent it, and holds the role that is asked: four eyes
    "cA": ("finance-agent-2", ("finance", "agent")),  # a colleague: the sender's role
    "cP": ("fred", ("finance",)),
    "tA": ("legal-agent", ("legal", "agent")),  # holds the role that the task was sent to
    "tP": ("lea", ("legal",)),
    "kA": ("legal-agent-2", ("legal", "agent")),  # the same, and claimed it where it is claimed
    "kP": ("lars", ("legal",)),
    "aA": ("manager-agent", ("manager", "agent")),  # holds the role that was asked for approval
    "aP": ("maria", ("manager",)),
    "uA": ("support-agent", ("support", "agent")),  # has nothing to do with it
    "uP": ("sam", ("support",)),
    "nA": ("bare-agent", ("agent",)),  # no place on the org chart
    "nP": ("nobody", ()),
    "au": ("ada", ("auditor",)),
    "aU": ("anton", ("auditor", "support")),  # an auditor with a place on the chart
    "aM": ("amelie", ("auditor", "manager")),
    "ad": ("root", ("admin",)),
    "aD": ("root-agent", ("admin", "agent")),
    "no": ("", ()),  # no token
    "ex": ("felix", ("finance",)),  # a token past its time
}
#: About another's work the same people are as unrelated as support is.
ELSEWHERE = {name: ("uA" if name.endswith("A") else "uP") for name in CALLERS if name[0] in "sctk" or name in ("aA", "aP")} | {"aM": "aU"}


def actor(caller: str) -> Actor:
    """The caller as the actions see them."""
    name, roles = CALLERS[caller]
    return agent(name, *roles) if "agent" in roles else person(name, *roles)


# --- what the calls are about ----------------------------------------------------------------------------


@dataclass
class Work:
    """What a call is about. `stage` says how far it is: "asked" (a task that waits, a request on it), "claimed" (the request was
    taken back, so that the task can be completed), "empty" (a session without a task, a notification that no session carries),
    "roles" (nothing but the roles that a body names)."""

    sender: Actor
    claimer: Actor
    stage: str
    roles: tuple[str, str, str] = ("finance", "legal", "manager")
    session: UUID = field(default_factory=uuid4)
    task: UUID = field(default_factory=uuid4)
    approval: UUID = field(default_factory=uuid4)

    def make(self) -> "Work":
        """Through the actions, committed."""
        return self if self.stage == "roles" else self._made()

    def _made(self) -> "Work":
        role, target, _approver = self.roles
        if self.stage == "empty":
            self.session = open_session(actor=self.sender, role=role).row.pk
        kind = "notification" if self.stage == "empty" else "budget"
        task = route_task(actor=self.sender, target=target, task_type=kind, from_role=role).row
        self.task = task.pk
        if self.stage != "empty":
            self.session = task.session.pk
            self._ask()
        return self

    def _ask(self) -> None:
        self.approval = ask(actor=self.sender, task_id=self.task, approver_role=self.roles[2]).row.pk
        if self.stage == "claimed":
            cancel(actor=self.sender, approval_id=self.approval)
            claim_task(actor=self.claimer, task_id=self.task)

    def path(self, route: str, by_task: bool = False) -> str:
        """The route's address about this work."""
        session = f"task-{self.task}" if by_task else self.session
        ids = {"<session_id>": session, "<task_id>": f"task-{self.task}", "<approval_id>": f"approval-{self.approval}"}
        page = self.task if "/notices/" in route else session if "/sessions/" in route else self.approval
        for name, id in {**ids, "<uuid:id>": page}.items():
            route = route.replace(name, str(id))
        return route


def own(caller: str, stage: str) -> Work:
    """The caller's own where they are a sender or a claimer; else finance's agent's."""
    return Work(actor(caller if caller[0] == "s" else "sA"), actor(caller if caller[0] == "k" else "kA"), stage)


def others(stage: str) -> Work:
    """Work of roles that none of the callers holds."""
    return Work(agent("people-agent", "people"), agent("it-agent", "it"), stage, ("people", "it", "board"))


# --- the calls -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Call:
    """What a word in the table's third column stands for: the stage that it needs ("" for none), and what is sent along."""

    stage: str
    said: Callable[[Work], dict[str, Any]] = lambda work: {}
    by_task: bool = False  # a session is named by its task


def body(stage: str, **members: Any) -> Call:
    """A body that names nothing of the work."""
    return Call(stage, lambda work: {"json": members})


def keyed(**members: Any) -> dict[str, Any]:
    """A body under a key of its own."""
    return {"json": members, "headers": {"Idempotency-Key": uuid4().hex}}


TASK = {"task_type": "budget"}
CALLS = {
    "-": Call(""),
    "one": Call("asked"),
    "mine?": Call("asked", lambda work: {"params": {"page_size": 100}}),
    "its-task": Call("asked", by_task=True),
    "open": Call("roles", lambda work: {"json": {"agent_role": work.roles[0]}}),
    "adopt": Call("empty", lambda work: {"json": {"agent_role": work.roles[0], "task_id": str(work.task)}}),
    "take": Call("empty", lambda work: {"json": {"task_id": str(work.task)}}),
    "note": body("asked", metadata={"n": 1}),
    "end": body("asked", status="completed"),
    "beat": Call("asked"),
    "send": Call("roles", lambda work: keyed(target="legal", task=TASK, from_role=work.roles[0])),
    "send-in": Call("empty", lambda work: keyed(target="legal", task=TASK, session_id=str(work.session))),
    "claim": body("asked", status="active"),
    "reclaim": body("claimed", status="active"),
    "back": body("asked", status="pending"),
    "complete": body("claimed", status="completed"),
    "notified": body("empty", status="completed"),
    "fail": body("claimed", status="failed"),
    "fail-new": body("asked", status="failed"),
    "cancel": body("asked", status="cancelled"),
    "ask": Call("asked", lambda work: {"json": {"task_id": str(work.task), "approver_role": "archive"}}),
    "give": Call("asked", lambda work: {"json": {"task_id": str(work.task), "decision": "approved"}}),
    "approve": body("asked", decision="approved"),
    "reject": body("asked", decision="rejected", comments="No."),
    "withdraw": Call("asked"),
    "report": body("", source="matrix", category="a", action="b"),
    "session": Call("asked", lambda work: {"params": {"subject": str(work.session)}}),
    "task": Call("asked", lambda work: {"params": {"subject": f"task-{work.task}"}}),
    "request": Call("asked", lambda work: {"params": {"subject": f"approval-{work.approval}"}}),
    "ours?": Call("asked", lambda work: {"params": {"tab": "asked"}}),
    "all?": Call("asked", lambda work: {"params": {"tab": "all"}}),
    "verdict": Call("asked", lambda work: {"data": {"verdict": "approved"}}),
    "result": Call("claimed", lambda work: {"data": {"text": "Done."}}),
    "several": Call("asked", lambda work: {"params": {"verdict": "approved", "id": str(work.approval)}}),
    "notice": Call("empty"),
    "severals": Call("asked", lambda work: {"data": {"verdict": "approved", "id": str(work.approval)}}),
    "file": Call("", lambda work: {"params": {"format": "csv"}}),
    "about": Call("asked", lambda work: {"params": {"format": "csv", "subject": str(work.session)}}),
}
# "in" and "out" are lists: 200, and the work is in it or is not. Whoever has no row of their own for what is missing hears 404;
# 401 comes before that. A row "(missing)" under another says otherwise: what the token and the body alone forbid is 403 first.
API = """
                                           call      sA  sP  sB  cA  cP  tA  tP  kA  kP  aA  aP  uA  uP  nA  nP  au  aU  aM  ad  aD  no  ex
GET  /api/openapi.json                     -         200 200 200 200 200 200 200 200 200 200 200 200 200 200 200 200 200 200 200 200 200 200
GET  /api/docs                             -         200 200 200 200 200 200 200 200 200 200 200 200 200 200 200 200 200 200 200 200 200 200
GET  /api/health                           -         200 200 200 200 200 200 200 200 200 200 200 200 200 200 200 200 200 200 200 200 200 200
GET  /api/status                           -         200 200 200 200 200 200 200 200 200 200 200 200 200 200 200 200 200 200 200 200 200 200
GET  /api/me                               -         200 200 200 200 200 200 200 200 200 200 200 200 200 200 200 200 200 200 200 200 401 401
GET  /api/roles                            -         200 200 200 200 200 200 200 200 200 200 200 200 200 200 200 200 200 200 200 200 401 401

GET  /api/sessions                         mine?     in  in  in  in  in  out out out out out out out out out out in  in  in  in  in  401 401
GET  /api/sessions/<session_id>            one       200 200 200 200 200 200 200 200 200 200 200 404 404 404 404 200 200 200 200 200 401 401
GET  /api/sessions/<session_id>            its-task  200 200 200 200 200 200 200 200 200 200 200 404 404 404 404 200 200 200 200 200 401 401
POST /api/sessions                         open      201 201 201 201 201 403 403 403 403 403 403 403 403 403 403 403 403 403 403 403 401 401
POST /api/sessions                         adopt     201 201 201 404 404 403 403 403 403 403 403 403 403 403 403 403 403 403 403 403 401 401
     (missing)                                      404 404 404 404 404 403 403 403 403 403 403 403 403 403 403 403 403 403 403 403 401 401
PUT  /api/sessions/<session_id>            note      200 200 200 403 200 403 403 403 403 403 403 404 404 404 404 403 403 403 200 200 401 401
PUT  /api/sessions/<session_id>            end       200 200 200 403 200 403 403 403 403 403 403 404 404 404 404 403 403 403 200 200 401 401
PUT  /api/sessions/<session_id>            take      200 200 200 403 404 404 404 404 404 404 404 404 404 404 404 403 403 403 404 404 401 401
POST /api/sessions/<session_id>/heartbeat  beat      204 204 204 403 204 403 403 403 403 403 403 404 404 404 404 403 403 403 204 204 401 401

GET  /api/tasks                            mine?     in  in  in  in  in  in  in  in  in  out out out out out out in  in  in  in  in  401 401
GET  /api/tasks/<task_id>                  one       200 200 200 200 200 200 200 200 200 200 200 404 404 404 404 200 200 200 200 200 401 401
POST /api/tasks/route                      send      202 202 202 202 202 403 403 403 403 403 403 403 403 403 403 403 403 403 403 403 401 401
POST /api/tasks/route                      send-in   202 202 202 403 202 404 404 404 404 404 404 404 404 403 403 403 403 403 202 202 401 401
     (missing)                                      404 404 404 404 404 404 404 404 404 404 404 404 404 403 403 403 404 404 404 404 401 401
PUT  /api/tasks/<task_id>                  claim     403 403 403 403 403 200 200 200 200 403 403 404 404 404 404 403 403 403 403 403 401 401
PUT  /api/tasks/<task_id>                  reclaim   403 403 403 403 403 409 409 200 200 403 403 404 404 404 404 403 403 403 403 403 401 401
PUT  /api/tasks/<task_id>                  back      409 409 409 409 409 409 409 409 409 409 409 404 404 404 404 409 409 409 409 409 401 401
PUT  /api/tasks/<task_id>                  complete  403 403 403 403 403 403 403 200 200 403 403 404 404 404 404 403 403 403 403 403 401 401
PUT  /api/tasks/<task_id>                  notified  403 403 403 403 403 200 200 200 200 404 404 404 404 404 404 403 403 403 403 403 401 401
PUT  /api/tasks/<task_id>                  fail      403 403 403 403 403 403 403 200 200 403 403 404 404 404 404 403 403 403 200 200 401 401
PUT  /api/tasks/<task_id>                  fail-new  403 403 403 403 403 409 409 409 409 403 403 404 404 404 404 403 403 403 200 200 401 401
PUT  /api/tasks/<task_id>                  cancel    200 200 200 403 200 403 403 403 403 403 403 404 404 404 404 403 403 403 403 403 401 401

GET  /api/approvals                        mine?     in  in  in  in  in  out out out out in  in  out out out out in  in  in  in  in  401 401
GET  /api/approvals/<approval_id>          one       200 200 200 200 200 200 200 200 200 200 200 404 404 404 404 200 200 200 200 200 401 401
POST /api/approvals                        ask       202 202 202 202 202 403 403 403 403 403 403 404 404 403 403 403 403 403 403 403 401 401
     (missing)                                      404 404 404 404 404 404 404 404 404 404 404 404 404 403 403 403 404 404 404 404 401 401
POST /api/approvals                        give      403 403 403 403 403 403 403 403 403 403 202 404 404 404 404 403 403 202 202 403 401 401
POST /api/approvals/<approval_id>/decision approve   403 403 403 403 403 403 403 403 403 403 200 404 404 404 404 403 403 200 200 403 401 401
POST /api/approvals/<approval_id>/decision reject    403 403 403 403 403 403 403 403 403 403 200 404 404 404 404 403 403 200 200 403 401 401
POST /api/approvals/<approval_id>/cancel   withdraw  200 200 200 403 403 403 403 403 403 403 403 404 404 404 404 403 403 403 200 200 401 401

POST /api/audit/ingest                     report    202 202 202 202 202 202 202 202 202 202 202 202 202 202 202 202 202 202 202 202 401 401
GET  /api/audit                            -         403 403 403 403 403 403 403 403 403 403 403 403 403 403 403 200 200 200 200 200 401 401
GET  /api/audit                            session   200 200 200 200 200 200 200 200 200 200 200 404 404 404 404 200 200 200 200 200 401 401
GET  /api/audit                            task      200 200 200 200 200 200 200 200 200 200 200 404 404 404 404 200 200 200 200 200 401 401
GET  /api/audit                            request   200 200 200 200 200 200 200 200 200 200 200 404 404 404 404 200 200 200 200 200 401 401
GET  /api/audit/export                     -         403 403 403 403 403 403 403 403 403 403 403 403 403 403 403 200 200 200 200 200 401 401
GET  /api/audit/export                     session   200 200 200 200 200 200 200 200 200 200 200 404 404 404 404 200 200 200 200 200 401 401
"""

# Pages: "sign" sends to the sign-in, "home" to the dashboard. an: nobody signed in; ro: no role; un: support; ap: manager;
# as: finance, who asked; au: auditor; ad: administrator. Django's own forms take PUT for POST.
PAGES = """
                                    call     an   ro   un   ap   as   au   ad
GET  /                              -        sign 200  200  200  200  200  200
GET  /approvals/                    -        sign 200  200  200  200  200  200
GET  /approvals/                    mine?    sign out  out  in   out  in   in
GET  /approvals/                    ours?    sign out  out  out  in   out  out
GET  /approvals/                    all?     sign out  out  in   out  in   in
GET  /approvals/<uuid:id>/          one      sign 404  404  200  200  200  200
GET  /approvals/decide/             several  sign 200  200  200  200  200  200
     (missing)                               sign 200  200  200  200  200  200
POST /approvals/decide/             severals sign 200  200  200  200  200  200
     (missing)                               sign 200  200  200  200  200  200
POST /approvals/<uuid:id>/decide/   verdict  sign 404  404  303  403  403  303
GET  /sessions/                     mine?    sign out  out  out  in   in   in
GET  /sessions/<uuid:id>/           one      sign 404  404  200  200  200  200
POST /sessions/<uuid:id>/claim/     one      sign 404  404  403  403  403  403
POST /sessions/<uuid:id>/complete/  result   sign 404  404  403  403  403  403
POST /sessions/<uuid:id>/fail/      result   sign 404  404  403  403  403  303
POST /sessions/<uuid:id>/cancel/    one      sign 404  404  403  303  403  403
POST /sessions/notices/<uuid:id>/read/ notice sign 404 404 404 403 403 403
GET  /audit/                        -        sign 403  403  403  403  200  200
GET  /audit/                        session  sign 404  404  200  200  200  200
     (missing)                               sign 404  404  404  404  200  200
GET  /audit/export/                 file     sign 403  403  403  403  200  200
GET  /audit/export/                 about    sign 404  404  200  200  200  200
     (missing)                               sign 404  404  404  404  200  200
GET  /sign-in/                      -        200  home home home home home home
POST /sign-in/                      -        200  home home home home home home
PUT  /sign-in/                      -        200  home home home home home home
GET  /sign-in/start/                -        404  404  404  404  404  404  404
GET  /sign-in/back/                 -        404  404  404  404  404  404  404
POST /sign-out/                     -        sign sign sign sign sign sign sign
POST /sign-out/back-channel/        -        404  404  404  404  404  404  404
GET  /signed-out/                   -        200  200  200  200  200  200  200
GET  /password/                     -        sign 200  200  200  200  200  200
POST /password/                     -        sign 200  200  200  200  200  200
PUT  /password/                     -        sign 200  200  200  200  200  200
GET  /admin/                        -        sign sign sign sign sign sign 200
GET  /admin/login/                  -        sign 403  403  403  403  403  403
GET  /health                        -        200  200  200  200  200  200  200
GET  /livez                         -        200  200  200  200  200  200  200
GET  /status                        -        200  200  200  200  200  200  200
"""


# --- reading the tables ----------------------------------------------------------------------------------


@dataclass
class Row:
    """One line of a table: what is called, and what each caller hears."""

    method: str
    route: str
    word: str
    cells: dict[str, str]
    missing: dict[str, str] = field(default_factory=dict)

    @property
    def call(self) -> Call:
        """What is sent, about work how far."""
        return CALLS[self.word]

    @property
    def is_list(self) -> bool:
        """Whether it is about what stands in a list."""
        return "in" in self.cells.values()

    def places(self, elsewhere: dict[str, str]) -> dict[str, dict[str, str]]:
        """What each caller hears about their own work, about another's, and about what is missing."""
        stated = {"own": self.cells}
        if self.call.stage:
            stated["another's"] = {caller: self.cells[elsewhere.get(caller, caller)] for caller in self.cells}
        if self.call.stage not in ("", "roles") and not self.is_list:
            stated["missing"] = self.missing or {caller: cell if cell in ("401", "sign") else "404" for caller, cell in self.cells.items()}
        return stated


def rows(table: str) -> list[Row]:
    """The lines of a table."""
    header, *lines = table.strip("\n").splitlines()
    found: list[Row] = []
    for line in filter(None, lines):
        method, *rest = line.split()
        if method == "(missing)":
            found[-1].missing = dict(zip(header.split()[1:], rest, strict=True))
        else:
            found.append(Row(method, rest[0], rest[1], dict(zip(header.split()[1:], rest[2:], strict=True))))
    return found


def name(row: Row) -> str:
    """How a test is called."""
    return f"{row.method} {row.route} {row.word}"


# --- calling ---------------------------------------------------------------------------------------------

Hear = Callable[[str, Row, Work], str]
LISTED = {"sessions": "session", "tasks": "task", "approvals": "approval"}


def shows(row: Row, work: Work, text: str) -> str:
    """Whether the list holds the work."""
    return "in" if str(getattr(work, LISTED[row.route.removeprefix("/api").strip("/")])) in text else "out"


def changes() -> int:
    """How many changes there were; a refused decision leaves an event, but no change."""
    return int(sql("SELECT count(*) FROM audit_events WHERE version IS NOT NULL")[0][0])


def wrong(row: Row, elsewhere: dict[str, str], own_work: Callable[[str, str], Work], hear: Hear) -> list[str]:
    """Every cell of which the server does not do what is stated; work is made anew only after it was changed."""
    found, made = [], dict[tuple[str, str, str], Work]()
    for place, cells in row.places(elsewhere).items():
        for caller, stated in cells.items():
            work = others(row.call.stage) if place == "another's" else own_work(caller, row.call.stage)
            about = (place, work.sender.principal, work.claimer.principal)
            if about not in made:
                made[about] = work.make() if row.call.stage and place != "missing" else work
            before, heard = changes(), hear(caller, row, made[about])
            if heard != stated:
                found.append(f"{caller} about {place}: {heard}, stated is {stated}")
            if changes() != before:
                made.pop(about)
                if row.method == "GET" or heard in ("401", "403", "404", "409", "sign"):
                    found.append(f"{caller} about {place}: {heard}, but something changed")
    return found


@pytest.fixture(scope="module")
def doors(server: str) -> Iterator[dict[str, httpx.Client]]:
    """The API as each caller sees it."""
    opened = {}
    for caller, (called, roles) in CALLERS.items():
        token = own_token(called, list(roles), -60 if caller == "ex" else 3600)
        headers = {} if caller == "no" else {"Authorization": f"Bearer {token}"}
        opened[caller] = httpx.Client(base_url=server, headers=headers, timeout=60, verify=False)
    yield opened
    for each in opened.values():
        each.close()


@pytest.mark.parametrize("row", rows(API), ids=name)
def test_each_caller_of_the_api_hears_what_is_stated(store: None, doors: dict[str, httpx.Client], row: Row) -> None:
    def hear(caller: str, row: Row, work: Work) -> str:
        path = work.path(row.route, row.call.by_task)
        answer = doors[caller].request(row.method, path, **row.call.said(work))
        if answer.status_code >= 400:
            refused(answer, answer.status_code)
        if answer.status_code == 401:
            assert answer.headers["WWW-Authenticate"].startswith('Bearer error="')
        return shows(row, work, answer.text) if row.is_list and answer.status_code == 200 else str(answer.status_code)

    assert wrong(row, ELSEWHERE, own, hear) == []
    assert incomplete() == []


#: Who looks at the pages: name and role.
READERS = {"ro": ("nobody", ""), "un": ("sam", "support"), "ap": ("maria", "manager"), "as": ("felix", "finance")}
READERS |= {"au": ("ada", "auditor"), "ad": ("root", "admin")}


@pytest.fixture(scope="module")
def site() -> ClientHandler:
    """The site as the browsers share it: it looks through the static files only once."""
    return ClientHandler(enforce_csrf_checks=False)


@pytest.fixture
def browsers(store: None, site: ClientHandler) -> dict[str, Client]:
    """A browser for each reader, signed in; and one for nobody."""
    opened = {reader: Client() for reader in ("an", *READERS)}
    for reader, (called, role) in READERS.items():
        user = User.objects.create(username=called, is_staff=role == "admin", is_superuser=role == "admin")
        user.groups.set([Group.objects.get_or_create(name=role)[0]] if role else [])
        opened[reader].force_login(user)
    for each in opened.values():
        each.handler = site
    return opened


@pytest.mark.parametrize("row", rows(PAGES), ids=name)
def test_each_reader_of_the_pages_sees_what_is_stated(browsers: dict[str, Client], row: Row) -> None:
    def hear(reader: str, row: Row, work: Work) -> str:
        said = row.call.said(work)
        address = f"{work.path(row.route)}?{urlencode(said.get('params', {}))}"
        answer = browsers[reader].generic(row.method, address, urlencode(said.get("data", {})), "application/x-www-form-urlencoded")
        if answer.status_code == 302:
            return "sign" if answer["Location"].startswith(("/sign-in/", "/admin/login/")) else "home"
        text = "" if answer.streaming else answer.content.decode()
        return shows(row, work, text) if row.is_list and answer.status_code == 200 else str(answer.status_code)

    assert wrong(row, {"ap": "un", "as": "un"}, lambda reader, stage: own("sP", stage), hear) == []


# --- nothing is left out ---------------------------------------------------------------------------------


def routes(patterns: list[URLPattern | URLResolver], before: str = "") -> Iterator[str]:
    """Every route of the site; Django admin, which test_admin.py looks at, counts as one."""
    for pattern in patterns:
        route = f"{before}{pattern.pattern}"
        if route == "admin/":
            yield route
        elif isinstance(pattern, URLResolver):
            yield from routes(pattern.url_patterns, route)
        else:
            yield route


def stated(table: str) -> dict[str, set[str]]:
    """The methods that the table states, by route."""
    found: dict[str, set[str]] = {}
    for row in rows(table):
        found.setdefault(row.route[1:], set()).add(row.method)
    return found


def test_every_route_is_stated() -> None:
    assert set(routes(get_resolver().url_patterns)) - UNKNOWN == set(stated(API)) | set(stated(PAGES))


def test_the_api_takes_the_methods_that_are_stated_and_no_other(store: None, doors: dict[str, httpx.Client]) -> None:
    taken = {route: methods(route, lambda method, path: doors["ad"].request(method, path)) for route in stated(API)}
    assert taken == stated(API)


def test_the_pages_take_the_methods_that_are_stated_and_no_other(browsers: dict[str, Client]) -> None:
    browsers |= dict.fromkeys(("sign-in/", "admin/login/"), browsers["an"])  # who is signed in is sent on, whatever the method
    asked = sorted(set(stated(PAGES)) - {"admin/"}, key="sign-out/".__eq__)  # what ends the login comes last
    taken = {route: methods(route, browsers.get(route, browsers["ad"]).generic) for route in asked}
    assert taken | {"admin/": {"GET"}} == stated(PAGES)


def methods(route: str, ask: Callable[[str, str], Any]) -> set[str]:
    """The methods that the route takes; its refusal of the others must name them."""
    answers = {method: ask(method, own("sP", "asked").path(f"/{route}")) for method in METHODS}
    taken = {method for method, answer in answers.items() if answer.status_code != 405}
    for method in METHODS:
        assert method in taken or set(answers[method].headers["Allow"].split(", ")) - {"HEAD", "OPTIONS"} == taken
    return taken


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("path", ["/api", "/api/", "/api/profiles/finance"])
def test_what_is_no_route_of_the_api_is_404_for_everybody(doors: dict[str, httpx.Client], path: str, method: str) -> None:
    for door in doors.values():
        refused(door.request(method, path), 404, "not-found")
