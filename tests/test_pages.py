"""The pages of dashboard, sessions and audit: who sees what, at what price, whatever stands in the address."""

from collections.abc import Iterator
from contextlib import contextmanager
from html.parser import HTMLParser
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.http import HttpResponse
from django.shortcuts import render
from django.test import Client
from django.test.utils import CaptureQueriesContext

from approvals.actions import Refused, ask, decide
from audit.actor import Actor
from audit.models import AuditEvent
from sessions.actions import claim_task, end_task, open_session, route_task
from sessions.models import Session, Task
from tests.conftest import Enter, agent, person

HERE = 3  # login session, person with roles, and how many requests wait (the frame)


@pytest.fixture
def task(store: None, finance: Actor) -> Task:
    """Finance asks manager; the request waits."""
    sent = route_task(
        actor=finance,
        target="manager",
        task_type="budget_approval",
        description="Second line",
        data={"title": "Q3 cloud budget", "amount": 5},
    ).row
    ask(actor=finance, task_id=sent.pk, approver_role="manager", reason="The forecast is exceeded.")
    return sent


def approval_of(task: Task) -> Any:
    """The request on it."""
    return task.approvals.get()


def done(task: Task) -> None:
    """Maria approves after somebody else was refused; manager's agent does the work."""
    request = approval_of(task)
    with pytest.raises(Refused):
        decide(actor=person("felix", "finance"), approval_id=request.pk, verdict="approved")
    decide(actor=person("maria", "manager"), approval_id=request.pk, verdict="approved", note="Agreed.")
    claim_task(actor=agent("manager-agent", "manager"), task_id=task.pk)
    end_task(actor=agent("manager-agent", "manager"), task_id=task.pk, status="completed", result={"paid": True})


@contextmanager
def at_most(queries: int) -> Iterator[None]:
    """Fails when more are asked."""
    with CaptureQueriesContext(connection) as asked:
        yield
    told = [query["sql"] for query in asked if not query["sql"].startswith(("BEGIN", "COMMIT", "SET LOCAL"))]
    assert len(told) <= queries, "\n".join(told)


def text(answer: Any) -> str:
    """The page's words."""
    return str(answer.content.decode())


class Inline(HTMLParser):
    """Collects what the content security policy would refuse."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An inline style, an inline script, an event handler, a script from nowhere."""
        names = dict(attrs)
        self.found += [f"{tag} {name}" for name in names if name == "style" or (name.startswith("on") and name != "one")]
        if tag == "style" or (tag == "script" and "src" not in names):
            self.found.append(tag)


def inline(answer: Any) -> list[str]:
    """What is inline on the page."""
    parser = Inline()
    parser.feed(text(answer))
    return parser.found


# --- the dashboard ---------------------------------------------------------------------------------------


def test_the_dashboard_counts_what_waits_and_shows_it_first(enter: Enter, task: Task) -> None:
    page = text(enter("maria", "manager").get("/"))
    assert "<b>1</b>" in page and "Q3 cloud budget" in page and f"/approvals/{approval_of(task).pk}/" in page
    assert "finance-agent</b> asks" in page


def test_the_figures_of_the_dashboard_add_up(enter: Enter, task: Task, finance: Actor) -> None:
    done(task)
    route_task(actor=finance, target="manager", task_type="other")
    open_session(actor=finance, role="finance")
    context = enter("felix", "finance").get("/").context
    assert (context["decided_today"], context["decided"]["approved"], context["decided"]["rejected"]) == (1, 1, 0)
    assert {word: count for word, count, *_ in context["states"]} == {
        "pending": "1",
        "active": "1",
        "completed": "1",
        "failed": "0",
        "expired": "0",
    }
    assert (context["active"], context["untouched"]) == ("1", "1")
    assert (context["day"].asked, context["day"].decided) == (1, 1)
    assert context["day"].hours[-1].asked + context["day"].hours[-2].asked == 1
    assert context["median"].endswith(" s") and context["waiting"].count == 0


def test_the_dashboard_shows_nothing_of_other_roles(enter: Enter, task: Task) -> None:
    page = text(enter("lea", "legal").get("/"))
    assert "Q3 cloud budget" not in page and "finance-agent" not in page
    assert "Nothing waits for you" in page


def test_what_happens_twice_is_told_once(enter: Enter, task: Task) -> None:
    done(task)
    lines = enter("ada", "auditor").get("/").context["lines"]
    assert [line.event.event_type for line in lines] == [
        "task.completed", "task.claimed", "approval.approved", "approval.refused", "approval.requested",
    ]  # fmt: skip


def test_who_holds_no_role_gets_an_empty_desk(store: None) -> None:
    client = Client()
    client.force_login(User.objects.create(username="nobody"))
    for path in ("/", "/sessions/"):
        assert client.get(path).status_code == 200


@pytest.mark.parametrize(("name", "role"), [("maria", "manager"), ("felix", "finance"), ("ada", "auditor")])
def test_the_dashboard_costs_few_queries_however_much_there_is(enter: Enter, task: Task, finance: Actor, name: str, role: str) -> None:
    done(task)
    for number in range(6):
        more = route_task(actor=finance, target="manager", task_type=f"t{number}").row
        ask(actor=finance, task_id=more.pk, approver_role="manager")
    client = enter(name, role)
    with at_most(2 + 8):
        assert client.get("/").status_code == 200


# --- sessions --------------------------------------------------------------------------------------------


def test_the_list_holds_the_sessions_of_the_readers_roles_alone(enter: Enter, task: Task) -> None:
    assert "Q3 cloud budget" in text(enter("felix", "finance").get("/sessions/"))
    assert "Q3 cloud budget" in text(enter("ada", "auditor").get("/sessions/"))
    other = text(enter("lea", "legal").get("/sessions/"))
    assert "Q3 cloud budget" not in other and "each request leads to its session" in other


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("state=active", True), ("state=completed", False), ("role=finance", True), ("role=FINANCE", True), ("role=legal", False),
        ("q=cloud+budget", True), ("q=BUDGET_approval", True), ("q=finance", True), ("q=nonsense", False), ("since=2020-01-01", True),
        ("since=2999-01-01", False), ("q=west&state=active", True),
    ],
)  # fmt: skip
def test_the_list_is_filtered(enter: Enter, finance: Actor, query: str, shown: bool) -> None:
    session = open_session(actor=finance, role="finance", metadata={"region": "eu-west"}).row
    route_task(actor=finance, target="manager", task_type="budget_approval", data={"title": "Q3 cloud budget"}, session_id=session.pk)
    page = text(enter("felix", "finance").get(f"/sessions/?{query}"))
    assert ("Q3 cloud budget" in page) is shown


def test_a_session_is_found_by_the_beginning_of_its_id(enter: Enter, task: Task) -> None:
    session = Session.objects.get()
    assert "Q3 cloud budget" in text(enter("felix", "finance").get(f"/sessions/?q={str(session.pk)[:13]}"))
    assert "No session matches" in text(enter("felix", "finance").get("/sessions/?q=00000000-1"))


def test_older_sessions_are_a_link_away_and_none_is_lost_or_doubled(enter: Enter, finance: Actor) -> None:
    made = {open_session(actor=finance, role="finance").row.pk for _ in range(103)}
    client, path, seen, pages = enter("felix", "finance"), "/sessions/?state=pending", list[Any](), 0
    while path:
        answer = client.get(path)
        seen += [row.session.pk for row in answer.context["rows"]]
        path, pages = f"/sessions/?{answer.context['older']}" if answer.context["older"] else "", pages + 1
    assert (len(seen), set(seen), pages) == (103, made, 3)


def test_a_session_is_read_by_whoever_may(enter: Enter, task: Task) -> None:
    path = f"/sessions/{Session.objects.get().pk}/"
    for name, role in (("felix", "finance"), ("maria", "manager"), ("ada", "auditor"), ("root", "admin")):
        assert enter(name, role).get(path).status_code == 200
    assert enter("lea", "legal").get(path).status_code == 404
    assert enter("felix", "finance").get(f"/sessions/{task.pk}/").status_code == 200
    assert enter("felix", "finance").get(f"/sessions/{uuid4()}/").status_code == 404


def test_a_session_tells_its_whole_story_and_proves_it(enter: Enter, task: Task) -> None:
    done(task)
    page = text(enter("maria", "manager").get(f"/sessions/{Session.objects.get().pk}/"))
    for said in (
        "Session opened by",
        "routed from finance to",
        "Approval asked of",
        "tried to decide and was refused",
        "“<span class=said>Agreed.",
        "Task claimed by",
        "Session completed",
    ):
        assert said in page
    assert "8 events: session versions 1 to 2, task 1 to 3, approval 1 to 2, 1 refused attempt." in " ".join(page.split())
    assert "No gap; every digest agrees." in page and str(Session.objects.get().trace_id) in page


def test_the_story_holds_nothing_of_other_sessions_under_the_same_trace(enter: Enter, task: Task, finance: Actor) -> None:
    same = Actor(finance.principal, finance.name, finance.kind, finance.roles, task.trace_id)
    open_session(actor=same, role="finance", metadata={"note": "another"})
    context = enter("felix", "finance").get(f"/sessions/{task.pk}/").context
    assert context["proof"].events == 3 == len(context["story"])


def test_a_task_that_a_session_took_later_brings_its_past(enter: Enter, store: None, finance: Actor) -> None:
    notice = route_task(actor=finance, target="manager", task_type="notification").row
    session = open_session(actor=agent("finance-agent", "finance"), role="finance", task_id=notice.pk).row
    proof = enter("felix", "finance").get(f"/sessions/{session.pk}/").context["proof"]
    assert (proof.faults, proof.runs) == ([], ["task versions 1 to 1", "session 1 to 2"])


def test_an_altered_event_is_told(enter: Enter, task: Task) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        cursor.execute("UPDATE audit_events SET actor = 'nobody' WHERE event_type = 'task.routed'")
        cursor.execute("SET session_replication_role = origin")
    page = text(enter("felix", "finance").get(f"/sessions/{task.pk}/"))
    assert "The event task.routed of" in page and "was altered" in page and "every digest agrees" not in page


def test_what_agents_write_cannot_become_a_part_of_the_page(enter: Enter, finance: Actor) -> None:
    evil = "<img src=x onerror=alert(1)>\u202e"
    sent = route_task(
        actor=finance, target="manager", task_type=evil[:50], description=evil, data={evil: evil, "rows": [{evil: [evil]}], "title": evil},
        context={"list": [{evil: evil}]},
    ).row  # fmt: skip
    ask(actor=finance, task_id=sent.pk, approver_role="manager", reason=evil)
    for client, path in (
        (enter("felix", "finance"), f"/sessions/{sent.pk}/"), (enter("felix", "finance"), "/sessions/"), (enter("maria", "manager"), "/"),
        (enter("ada", "auditor"), "/audit/"),
    ):  # fmt: skip
        answer = client.get(path)
        assert answer.status_code == 200 and "<img" not in text(answer) and "\u202e" not in text(answer) and inline(answer) == []


def test_session_pages_cost_few_queries(enter: Enter, task: Task, finance: Actor) -> None:
    done(task)
    for number in range(5):
        route_task(actor=finance, target="manager", task_type=f"t{number}")
    client = enter("felix", "finance")
    with at_most(HERE + 2):
        client.get("/sessions/?q=budget&state=completed")
    with at_most(HERE + 2):
        client.get(f"/sessions/{task.pk}/")


# --- the audit -------------------------------------------------------------------------------------------


def test_auditors_and_admins_read_the_whole_trail(enter: Enter, task: Task) -> None:
    for name, role in (("ada", "auditor"), ("root", "admin")):
        assert "routed from finance to" in text(enter(name, role).get("/audit/"))


def test_others_must_name_something_that_they_may_read(enter: Enter, task: Task) -> None:
    felix, lea = enter("felix", "finance"), enter("lea", "legal")
    refused = felix.get("/audit/")
    assert refused.status_code == 403 and "Open a session that you may read" in text(refused)
    assert felix.get(f"/audit/?trace={task.trace_id}").status_code == 403
    for id in (Session.objects.get().pk, task.pk, approval_of(task).pk, f"task-{task.pk}"):
        assert felix.get(f"/audit/?subject={id}").status_code == 200
        assert lea.get(f"/audit/?subject={id}").status_code == 404


def test_a_session_brings_its_tasks_and_approvals_events(enter: Enter, task: Task) -> None:
    done(task)
    lines = enter("felix", "finance").get(f"/audit/?subject={Session.objects.get().pk}").context["lines"]
    assert len(lines) == 8
    assert len(enter("felix", "finance").get(f"/audit/?subject={approval_of(task).pk}").context["lines"]) == 3


@pytest.mark.parametrize(
    ("query", "number"),
    [
        ("type=task.routed", 1), ("type=approval", 3), ("type=approv", 0), ("actor=maria", 1), ("actor=local%7Cmaria", 1),
        ("role=manager&type=task", 2),
        ("since=2020-01-01T00:00", 8), ("until=2020-01-01T00:00", 0), ("since=2999-01-01T00:00", 0), ("type=task&actor=manager-agent", 2),
    ],
)  # fmt: skip
def test_the_trail_is_filtered(enter: Enter, task: Task, query: str, number: int) -> None:
    done(task)
    assert len(enter("ada", "auditor").get(f"/audit/?{query}").context["lines"]) == number


def test_one_trace_is_followed(enter: Enter, task: Task, finance: Actor) -> None:
    route_task(actor=agent("finance-agent", "finance"), target="manager", task_type="other")
    ada = enter("ada", "auditor")
    assert len(ada.get(f"/audit/?trace={task.trace_id}").context["lines"]) == 3
    assert len(ada.get(f"/audit/?trace={task.trace_id}&type=task").context["lines"]) == 1


def test_older_events_are_a_link_away_without_offset_or_count(enter: Enter, finance: Actor) -> None:
    for _ in range(70):
        open_session(actor=finance, role="finance")
    ada, seen = enter("ada", "auditor"), list[Any]()
    first = ada.get("/audit/?type=session")
    with CaptureQueriesContext(connection) as asked:
        second = ada.get(f"/audit/?{first.context['older']}")
    seen = [line.event.pk for answer in (first, second) for line in answer.context["lines"]]
    assert len(seen) == len(set(seen)) == 70 and not second.context["older"]
    trail = [query["sql"] for query in asked if 'FROM "audit_events"' in query["sql"]]
    assert len(trail) == 1 and "OFFSET" not in trail[0] and "COUNT" not in trail[0]


HOSTILE = [
    "subject=zzz", "subject=session-", "trace=1", "since=nope", "since=0001-01-01T00:00%2B14:00", "until=9999-12-31T23:59-12:00",
    "since=2026-13-45T00:00", "before=x", "before=2026-01-01_", "before=2026-01-01T00:00:00_zz",
    "before=0001-01-01T00:00:00%2B14:00_01a1fbb1-3662-762a-badf-a2a9cb622447", "type=" + "x" * 5000,
]  # fmt: skip


@pytest.mark.parametrize("query", HOSTILE)
def test_a_filter_that_cannot_be_read_is_told_at_its_field(enter: Enter, task: Task, query: str) -> None:
    answer = enter("ada", "auditor").get(f"/audit/?{query}")
    assert answer.status_code == 400 and "wrong" in text(answer) and not answer.context["lines"]
    assert enter("felix", "finance").get(f"/audit/?{query}").status_code in (403, 404)
    assert enter("ada", "auditor").get(f"/audit/export/?{query}&format=csv").status_code == 302


@pytest.mark.parametrize("query", ["state=odd", "since=nope", "since=0000-00-00", "before=1_2", "q=" + "x" * 300])
def test_the_same_holds_for_the_list_of_sessions(enter: Enter, task: Task, query: str) -> None:
    answer = enter("felix", "finance").get(f"/sessions/?{query}")
    assert answer.status_code == 400 and "wrong" in text(answer)


@pytest.mark.parametrize("path", ["/sessions/?q=%00", "/audit/?subject=%00", "/audit/?before=%00_%00", "/admin/audit/auditevent/?q=%00"])
def test_a_nul_is_refused_and_nothing_breaks(enter: Enter, path: str) -> None:
    assert enter("root", "admin").get(path).status_code == 400


@pytest.mark.parametrize(
    "query",
    ["q=%27%3B+DROP", "q=%25_%5C", "q=%26%7C%21%28", "q=%F0%9F%99%82", "q=%ED%A0%80", "role=%25", "since=0001-01-01", "since=9999-12-31"],
)
def test_odd_words_are_only_words(enter: Enter, task: Task, query: str) -> None:
    assert enter("felix", "finance").get(f"/sessions/?{query}").status_code == 200


def test_the_trail_leaves_as_a_file(enter: Enter, task: Task) -> None:
    done(task)
    felix = enter("felix", "finance")
    rows = b"".join(felix.get(f"/audit/export/?subject={Session.objects.get().pk}&format=csv").streaming_content).decode().splitlines()  # type: ignore[attr-defined]
    assert len(rows) == 9 and rows[0].startswith("event_id,event_type")
    assert felix.get("/audit/export/?format=csv").status_code == 403
    assert enter("ada", "auditor").get("/audit/export/?format=jsonl&type=task.routed")["Content-Type"] == "application/jsonl"


def test_what_callers_reported_is_marked_as_theirs(enter: Enter, finance: Actor) -> None:
    from audit.actions import ingest

    ingest(actor=finance, source="goose", category="tool", action="run", content="<b>hi")
    page = text(enter("ada", "auditor").get("/audit/?type=ingest"))
    assert "Reported by" in page and "&lt;b&gt;hi" in page


def test_the_trail_costs_few_queries(enter: Enter, task: Task) -> None:
    done(task)
    ada, felix = enter("ada", "auditor"), enter("felix", "finance")
    with at_most(HERE + 1):
        ada.get("/audit/?type=approval&role=manager")
    request = approval_of(task)
    with at_most(HERE + 5):
        felix.get(f"/audit/?subject={request.pk}")
    with at_most(HERE + 2):
        ada.get(f"/audit/?trace={task.trace_id}")


def test_one_trace_or_one_object_is_told_from_its_beginning_and_proved(enter: Enter, task: Task) -> None:
    done(task)
    ada = enter("ada", "auditor")
    answer = ada.get(f"/audit/?trace={task.trace_id}")
    assert answer.context["lines"][0].event.event_type == "session.opened"
    said = " ".join(text(answer).split())
    assert "One trace, from its beginning" in said and "No gap; every digest agrees." in said and "session versions 1 to 2" in said
    assert "approval versions 1 to 2" in text(ada.get(f"/audit/?subject={approval_of(task).pk}"))
    assert ada.get(f"/audit/?trace={task.trace_id}&type=task").context["proof"] is None
    assert ada.get(f"/audit/?trace={uuid4()}").context["proof"] is None


def test_an_event_that_is_missing_or_altered_is_told_on_the_trail(enter: Enter, task: Task) -> None:
    done(task)
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        cursor.execute("UPDATE audit_events SET role = 'legal' WHERE event_type = 'approval.approved'")
        cursor.execute("DELETE FROM audit_events WHERE event_type = 'task.completed'")
        cursor.execute("SET session_replication_role = origin")
    page = text(enter("ada", "auditor").get(f"/audit/?trace={task.trace_id}"))
    assert "The event approval.approved of" in page and "A gap: task version 3 has no event" in page and "No gap" not in page


def test_a_trace_that_a_task_brought_along_is_proved_from_where_its_chains_begin(enter: Enter, store: None, finance: Actor) -> None:
    notice = route_task(actor=finance, target="manager", task_type="notification").row
    session = open_session(actor=agent("finance-agent", "finance"), role="finance", task_id=notice.pk).row
    end_task(actor=agent("manager-agent", "manager"), task_id=notice.pk, status="completed")
    for trace in (session.trace_id, notice.trace_id):
        assert enter("ada", "auditor").get(f"/audit/?trace={trace}").context["proof"].faults == []


def test_the_second_page_of_everything_is_still_everything(enter: Enter, finance: Actor) -> None:
    for _ in range(60):
        open_session(actor=finance, role="finance")
    for path, name, role in (("/audit/", "ada", "auditor"), ("/sessions/", "felix", "finance")):
        client = enter(name, role)
        second = client.get(f"{path}?{client.get(path).context['older']}")
        assert second.context["filtered"] is False and "Events that match" not in text(second)


def test_a_file_is_called_by_what_it_is_about(enter: Enter, task: Task) -> None:
    ada = enter("ada", "auditor")
    for query, name in (
        (f"subject=task-{task.pk}", f"audit-{task.pk}.csv"),
        (f"trace={task.trace_id}", f"audit-trace-{task.trace_id}.csv"),
    ):
        assert ada.get(f"/audit/export/?format=csv&{query}")["Content-Disposition"] == f'attachment; filename="{name}"'
    assert ada.get("/audit/export/?format=csv")["Content-Disposition"].startswith('attachment; filename="audit-20')


def test_an_events_details_are_told_member_by_member(enter: Enter, task: Task) -> None:
    done(task)
    page = text(enter("ada", "auditor").get("/audit/?type=approval.refused"))
    assert '<dt>verdict</dt><dd class="text">approved</dd>' in page and "Only a holder of manager decides this." in page


# --- every page ------------------------------------------------------------------------------------------


def test_no_page_needs_an_exception_from_the_content_security_policy(enter: Enter, task: Task) -> None:
    done(task)
    ada, lea = enter("ada", "auditor"), enter("lea", "legal")
    answers = [ada.get(path) for path in ("/", "/sessions/", f"/sessions/{task.pk}/", "/audit/", "/audit/?subject=zzz", "/nothing")]
    for answer in [*answers, lea.get("/"), lea.get("/audit/"), lea.get("/sessions/")]:
        assert inline(answer) == []
        assert "unsafe" not in answer["Content-Security-Policy"]


@pytest.mark.parametrize("path", ["/", "/sessions/", "/audit/", "/audit/export/"])
def test_pages_only_answer_questions(enter: Enter, path: str) -> None:
    assert enter("ada", "auditor").post(path).status_code == 405


def test_reading_leaves_no_trace(enter: Enter, task: Task) -> None:
    client, before = enter("felix", "finance"), list(AuditEvent.objects.values_list("pk", "digest"))
    with CaptureQueriesContext(connection) as asked:
        for path in ("/", "/sessions/", f"/sessions/{task.pk}/", f"/audit/?subject={task.pk}"):
            client.get(path)
    assert list(AuditEvent.objects.values_list("pk", "digest")) == before
    assert [query["sql"] for query in asked if not query["sql"].startswith("SELECT") and "(SELECT" not in query["sql"]] == []


@pytest.mark.parametrize(
    ("status", "given", "said"), [(500, {"trace_id": "4bf9"}, "4bf9"), (503, {"away": "Try again in a few seconds."}, "Try again in a")]
)
def test_the_last_pages_need_neither_request_nor_database(status: int, given: dict[str, str], said: str) -> None:
    page: HttpResponse = render(None, f"{status}.html", given, status=status)
    assert said in text(page) and inline(page) == []


def test_every_error_page_says_what_to_do(enter: Enter) -> None:
    client = enter("lea", "legal")
    assert "may be mistyped" in text(client.get("/nowhere"))
    assert "ask an administrator" in text(client.get("/audit/"))
    assert "damaged" in text(client.get("/", headers={"Host": "else.where"}))
