"""The demo: a past that holds every promise of the product, a later start, and agents that play through the API."""

import time
from collections.abc import Iterator
from io import StringIO
from threading import Event, Thread
from typing import Any
from uuid import UUID

import pytest
from django.contrib.auth import authenticate
from django.contrib.auth.models import User
from django.contrib.auth.password_validation import validate_password
from django.core.management import CommandError, call_command
from django.db import connection
from pytest_django import Settings

from approvals.actions import ask, cancel, decide
from approvals.models import Approval, ApprovalStatus
from audit.models import AuditEvent
from orchestrator.demo.company import BY_NAME, PASSWORD, PEOPLE
from orchestrator.demo.live import NoServer, Play
from orchestrator.demo.start import ENOUGH, prepare
from orchestrator.identity import actor_from_user
from sessions.actions import cancel_task, claim_task, end_task, open_session, route_task, update_session
from sessions.models import Session, SessionStatus, Task, TaskStatus
from tests.conftest import Door, agent, free_port, person

Shape = list[tuple[str, int | None, frozenset[str]]]


@pytest.fixture
def company(store: None, settings: Settings) -> None:
    """No deployment, and an empty database."""
    settings.DEPLOYMENT = False
    settings.OIDC_ISSUER_URL = ""
    settings.ORG_ROLES = []


@pytest.fixture
def seeded(company: None) -> str:
    """The demo in an empty database; what it said."""
    return demo()


def demo(*arguments: str) -> str:
    """What the command says."""
    said = StringIO()
    call_command("demo", *arguments, stdout=said)
    return said.getvalue()


def ask_sql(query: str, *values: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query, values)
        return list(cursor.fetchall())


def inbox(name: str = "maria") -> list[Approval]:
    """What a person sees who signs in."""
    actor = actor_from_user(User.objects.get(username=name), UUID(int=1))
    return list(Approval.objects.waiting_for(actor).whole())


# --- the past ------------------------------------------------------------------------------------------


def test_the_company_has_people_work_in_every_state_and_a_full_inbox(seeded: str) -> None:
    assert 180 <= Session.objects.count() <= 220
    assert set(Session.objects.values_list("status", flat=True)) == set(SessionStatus.values)
    assert set(Task.objects.values_list("status", flat=True)) == set(TaskStatus.values)
    assert set(Approval.objects.values_list("status", flat=True)) == set(ApprovalStatus.values)
    assert AuditEvent.objects.filter(event_type="approval.refused", version=None).count() == 4
    assert Task.objects.filter(task_type="notification", session=None).count() > 5
    assert not Session.objects.lapsed().exists() and not Approval.objects.lapsed().exists()


def test_25_requests_wait_for_the_manager_each_another_one(seeded: str) -> None:
    waiting = inbox()
    hours = [(each.expires_at - waiting[0].created_at).total_seconds() / 3600 for each in waiting]
    assert len(waiting) == len({each.task.description for each in waiting}) == 25
    assert len({each.task.task_type for each in waiting}) > 12
    assert 3 <= sum(hour < 1.5 for hour in hours) < sum(hour < 12 for hour in hours) < 25 and hours[-1] < 96
    assert all(each.reason and each.task.data for each in waiting)
    assert not any("{" in f"{each.task.description}{each.reason}" for each in waiting)


def test_every_object_has_exactly_its_events_all_marked_as_made_up(seeded: str) -> None:
    versions = dict(ask_sql("SELECT subject_id, array_agg(version ORDER BY timestamp) FROM audit_events WHERE version > 0 GROUP BY 1"))
    rows = [*Session.objects.all(), *Task.objects.all(), *Approval.objects.all()]
    assert {row.pk: list(range(1, row.version + 1)) for row in rows} == versions
    assert not AuditEvent.objects.exclude(metadata__demo=True).exists()
    assert ask_sql("SELECT count(*) FROM audit_events WHERE timestamp > now() OR timestamp < now() - interval '12 days'") == [(0,)]


def test_the_digests_form_the_chains_that_the_database_computes(seeded: str) -> None:
    broken = ask_sql(
        """SELECT count(*) FILTER (WHERE digest <> expected), count(*) FROM (SELECT e.digest, audit_digest(
             lag(e.digest, 1, '') OVER (PARTITION BY subject_id ORDER BY timestamp), e) AS expected FROM audit_events e) chain"""
    )
    assert broken == [(0, AuditEvent.objects.count())]


def test_four_eyes_hold_and_moments_follow_one_another(seeded: str) -> None:
    assert ask_sql("SELECT count(*) FROM approvals a JOIN tasks t ON t.id = task_id WHERE decided_by IN (requested_by, created_by)") == [
        (0,)
    ]
    assert ask_sql("SELECT count(*) FROM approvals WHERE decision_at < created_at OR expires_at <= created_at") == [(0,)]
    assert ask_sql("SELECT count(*) FROM approvals WHERE status = 'rejected' AND notes = ''") == [(0,)]
    # Ids grow with time, as they do when rows are written one after the other.
    assert ask_sql(
        "SELECT count(*) FROM (SELECT timestamp, lag(timestamp) OVER (ORDER BY id) AS before FROM audit_events) e WHERE timestamp < before"
    ) == [(0,)]


def test_made_up_stories_look_like_those_that_the_actions_write(seeded: str) -> None:
    known = [shape(trace) for trace in Session.objects.values_list("trace_id", flat=True)]
    for told in (told_approved(), told_rejected(), told_withdrawn()):
        assert shape(told) in known


def shape(trace: UUID) -> Shape:
    """A story's events without names, times and traces of requests."""
    extra = {"demo", "request_trace_id"}
    return [(e.event_type, e.version, frozenset(e.metadata.keys() - extra)) for e in AuditEvent.objects.story(trace)]


def told_approved() -> UUID:
    finance, worker = agent("finance-agent", "finance"), agent("manager-agent", "manager")
    task = route_task(actor=finance, target="manager", task_type="budget_approval").row
    approval = ask(actor=finance, task_id=task.pk, approver_role="manager", reason="Why not.").row
    decide(actor=person("maria", "manager"), approval_id=approval.pk, verdict="approved", note="Agreed.")
    claim_task(actor=worker, task_id=task.pk)
    end_task(actor=worker, task_id=task.pk, status="completed", result={"paid": True})
    return task.trace_id


def told_rejected() -> UUID:
    finance, worker = agent("finance-agent", "finance"), agent("manager-agent", "manager")
    session = open_session(actor=finance, role="finance", metadata={"purpose": "test"}).row
    task = route_task(actor=finance, target="manager", task_type="budget_approval", session_id=session.pk).row
    approval = ask(actor=finance, task_id=task.pk, approver_role="manager").row
    decide(actor=person("maria", "manager"), approval_id=approval.pk, verdict="rejected", note="Too much.")
    claim_task(actor=worker, task_id=task.pk)
    end_task(actor=worker, task_id=task.pk, status="failed")
    return session.trace_id


def told_withdrawn() -> UUID:
    finance = agent("finance-agent", "finance")
    task = route_task(actor=finance, target="manager", task_type="budget_approval").row
    approval = ask(actor=finance, task_id=task.pk, approver_role="manager").row
    cancel(actor=finance, approval_id=approval.pk, reason="No longer needed.")
    cancel_task(actor=finance, task_id=task.pk)
    update_session(actor=finance, session_id=Session.objects.get(task=task).pk, status="completed")
    return task.trace_id


def test_the_accounts_are_printed_and_work(seeded: str) -> None:
    lines = seeded.strip().splitlines()
    assert len(lines) <= 12 and "25 requests wait" in lines[0] and PASSWORD in seeded
    assert "manage.py token finance-agent --role finance --role agent" in seeded
    for someone in PEOPLE:
        assert (f"  {someone.name} " in seeded) == bool(someone.purpose)
        assert User.objects.get(username=someone.name).has_usable_password() == bool(someone.purpose)
        validate_password(PASSWORD, User.objects.get(username=someone.name))
    maria, admin = User.objects.get(username="maria"), User.objects.get(username="admin")
    assert (maria.get_full_name(), maria.is_staff, [group.name for group in maria.groups.all()]) == ("Maria Lindqvist", False, ["manager"])
    assert admin.is_staff and admin.is_superuser and admin.groups.filter(name="admin").exists()
    assert authenticate(username="maria", password=PASSWORD) and maria.password == admin.password
    assert actor_from_user(maria, UUID(int=1)).principal == BY_NAME["maria"].actor().principal


def test_seeding_takes_less_than_three_seconds(company: None) -> None:
    began = time.process_time()  # ours alone: the other tests run beside it
    prepare()
    assert time.process_time() - began < 3


# --- a later start -------------------------------------------------------------------------------------


def test_a_second_start_changes_nothing_while_enough_wait(seeded: str) -> None:
    before = counts()
    assert "25 requests wait for manager." in demo()
    assert counts() == before


def counts() -> tuple[int, ...]:
    return tuple(model._default_manager.count() for model in (Session, Task, Approval, AuditEvent, User))


def test_a_start_after_all_was_decided_brings_ten_new_requests(seeded: str) -> None:
    for each in inbox():
        decide(actor=person("maria", "manager"), approval_id=each.pk, verdict="approved")
    assert f"{ENOUGH} requests wait for manager, {ENOUGH} of them new" in demo()
    assert len(inbox()) == len(inbox("jonas")) == ENOUGH and User.objects.count() == len(PEOPLE)
    assert not AuditEvent.objects.filter(subject_id__in=[each.pk for each in inbox()], metadata__demo=True).exists()


def test_a_start_days_later_finds_all_expired_and_tops_up(seeded: str) -> None:
    with connection.cursor() as cursor:  # days later: only with the triggers off can time be moved
        cursor.execute("SET session_replication_role = replica")
        cursor.execute("UPDATE approvals SET expires_at = now() - interval '1 hour' WHERE status = 'pending'")
        cursor.execute("SET session_replication_role = origin")
    assert not inbox()
    demo()
    assert len(inbox()) == ENOUGH


def test_two_starts_at_once_seed_once(company: None) -> None:
    def start() -> None:
        prepare()
        connection.close()

    threads = [Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert User.objects.count() == len(PEOPLE) and len(inbox()) == 25


# --- where it must not ---------------------------------------------------------------------------------


def test_a_database_with_other_work_is_left_alone(company: None) -> None:
    told_approved()
    before = counts()
    assert "leaves it alone" in demo()
    assert counts() == before


def test_a_database_with_other_accounts_is_left_alone(company: None) -> None:
    User.objects.create_user("somebody")
    assert "leaves it alone" in demo()
    assert counts() == (0, 0, 0, 0, 1)


def test_an_org_chart_without_its_roles_is_left_alone(company: None, settings: Settings) -> None:
    settings.ORG_ROLES = ["manager", "finance"]
    assert "ORG_ROLES" in demo()
    assert counts() == (0, 0, 0, 0, 0)


def test_a_deployment_refuses_unless_it_is_wanted(company: None, settings: Settings) -> None:
    settings.DEPLOYMENT = True
    with pytest.raises(CommandError, match="deployment"):
        demo()
    assert counts() == (0, 0, 0, 0, 0)
    assert "25 requests" in demo("--yes")


# --- the agents at work --------------------------------------------------------------------------------


@pytest.fixture
def played(company: None, server: str) -> Iterator[list[str]]:
    """Agents at work against the server, fast; the lines that they say."""
    lines: list[str] = []
    stop = Event()
    thread = Thread(target=Play(server, stop=stop, say=lines.append, speed=40).run)
    thread.start()
    yield lines
    stop.set()
    thread.join(10)
    assert not thread.is_alive() and "Stopped" in lines[-1]


@pytest.mark.enable_socket
def test_agents_ask_and_a_decision_leads_to_a_completed_task(played: list[str], maria_door: Door) -> None:
    waiting = until(lambda: maria_door.get("/approvals", params={"status": "pending", "approver_role": "manager"}).json()["approvals"], 5)
    tasks = [each["task_id"] for each in waiting[:5]]
    for each in waiting[:5]:
        assert maria_door.post(f"/approvals/{each['approval_id']}/decision", json={"decision": "approved"}).status_code == 200
    # Of five some may fail at work, as in life; not all of them.
    until(lambda: [Task.objects.get(pk=id.removeprefix("task-")) for id in tasks if done(id)], 1)
    assert any("asks manager" in line for line in played) and any("approved by maria" in line for line in played)
    assert any("-agent completed: " in line for line in played)


def done(task_id: str) -> bool:
    return Task.objects.filter(pk=task_id.removeprefix("task-"), status="completed").exists()


def until(look: Any, fewest: int, seconds: float = 20) -> Any:
    """What `look` finds, as soon as it is enough."""
    deadline = time.monotonic() + seconds
    while len(found := look()) < fewest:
        assert time.monotonic() < deadline, "nothing happened"
        time.sleep(0.05)
    return found


@pytest.mark.enable_socket
def test_a_rejection_fails_the_task(played: list[str], maria_door: Door) -> None:
    first = until(lambda: maria_door.get("/approvals", params={"status": "pending", "approver_role": "manager"}).json()["approvals"], 1)[0]
    maria_door.post(f"/approvals/{first['approval_id']}/decision", json={"decision": "rejected", "comments": "Too much."})
    (failed,) = until(lambda: Task.objects.filter(pk=first["task_id"].removeprefix("task-"), status="failed"), 1)
    assert failed.result["summary"] == "Rejected: Too much."


@pytest.mark.enable_socket
def test_playing_without_a_server_says_so(company: None) -> None:
    with pytest.raises(NoServer, match="make run"):
        Play(f"http://127.0.0.1:{free_port()}", stop=Event(), say=print).run(1)


def test_playing_needs_tokens_of_our_own(company: None, settings: Settings) -> None:
    settings.OIDC_ISSUER_URL = "https://id.example.com/realms/company"
    with pytest.raises(CommandError, match="OIDC_ISSUER_URL"):
        demo("--live")


@pytest.mark.parametrize("speed", ["0", "-1", "1000", "nan"])
def test_a_speed_that_means_nothing_is_refused(company: None, speed: str) -> None:
    with pytest.raises(CommandError, match="--speed"):
        demo("--live", "--speed", speed)


@pytest.mark.enable_socket
def test_playing_against_an_instance_with_other_keys_says_so(company: None, server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestrator.demo.caller.own_token", lambda *_: "not.its.own")
    with pytest.raises(NoServer, match="another instance"):
        Play(server, stop=Event(), say=print).run(1)
