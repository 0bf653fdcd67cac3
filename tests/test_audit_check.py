"""`manage.py audit_check`: it finds nothing in a sound trail, and names whatever was done to it past the guards."""

import io

import pytest
from django.core.management import CommandError, call_command

from approvals import actions as approvals
from audit.actions import ingest
from orchestrator.management.commands import audit_check
from sessions import actions
from tests.conftest import agent, person
from tests.evidence import rewrite, sql

FINANCE, MARIA = agent("finance-agent", "finance"), person("maria", "manager")


@pytest.fixture
def approval(store: None) -> str:
    """A request with three events (asked, refused to its asker, approved) in a trail of seven."""
    task = actions.route_task(actor=FINANCE, target="manager", task_type="budget_approval").row
    asked = approvals.ask(actor=person("felix", "finance"), task_id=task.pk, approver_role="manager").row
    with pytest.raises(approvals.Refused):
        approvals.decide(actor=FINANCE, approval_id=asked.pk, verdict="approved")
    approvals.decide(actor=MARIA, approval_id=asked.pk, verdict="approved")
    for action in ("seen", "done"):
        ingest(actor=FINANCE, source="test", category="walk", action=action)
    return str(asked.pk)


def event(approval: str, kind: str) -> str:
    """The id of one of its events."""
    return str(sql("SELECT id FROM audit_events WHERE subject_id = %s AND event_type = %s", approval, f"approval.{kind}")[0][0])


def check() -> tuple[str, str]:
    """What the command says, and what it complains of (its exit status is 1 then)."""
    out, complaints = io.StringIO(), io.StringIO()
    try:
        call_command("audit_check", stdout=out, stderr=complaints)
    except CommandError as verdict:
        assert verdict.returncode == 1
        return str(verdict), complaints.getvalue()
    return out.getvalue().strip(), complaints.getvalue()


def test_a_sound_trail_is_said_to_be_intact(approval: str) -> None:
    assert check() == ("The audit trail is intact: 7 events, no gap, every digest verified.", "")


@pytest.mark.parametrize("change", ["actor = 'nobody'", 'metadata = \'{"note": "Never said."}\'', "digest = repeat('0', 64)"])
def test_an_event_altered_by_the_databases_owner_is_named(approval: str, change: str) -> None:
    altered = event(approval, "approved")
    rewrite(f"UPDATE audit_events SET {change} WHERE id = %s", altered)
    verdict, complaints = check()
    assert verdict == "The audit trail is NOT intact: 1 faults."
    assert complaints == f"event {altered} (approval.approved) does not match its digest\n"


def test_a_changed_digest_breaks_all_that_came_after_it(approval: str) -> None:
    first = event(approval, "requested")
    rewrite("UPDATE audit_events SET digest = repeat('0', 64) WHERE id = %s", first)
    _, complaints = check()
    assert {line.split()[1] for line in complaints.splitlines()} == {first, event(approval, "refused")}


def test_a_reported_event_is_checked_too(approval: str) -> None:
    rewrite("UPDATE audit_events SET actor = 'nobody' WHERE event_type = 'ingest.walk.seen'")
    assert "(ingest.walk.seen) does not match its digest" in check()[1]


def test_a_removed_event_leaves_a_gap_that_is_named(approval: str) -> None:
    rewrite("DELETE FROM audit_events WHERE id = %s", event(approval, "requested"))
    verdict, complaints = check()
    assert "NOT intact" in verdict
    assert f"approval {approval} has version 2 but the events 2" in complaints
    assert f"event {event(approval, 'refused')} (approval.refused) does not match its digest" in complaints


def test_a_removed_refusal_breaks_the_chain(approval: str) -> None:
    rewrite("DELETE FROM audit_events WHERE id = %s", event(approval, "refused"))
    assert check()[1] == f"event {event(approval, 'approved')} (approval.approved) does not match its digest\n"


def test_the_last_event_cannot_go_unseen(approval: str) -> None:
    rewrite("DELETE FROM audit_events WHERE id = %s", event(approval, "approved"))
    assert check()[1] == f"approval {approval} has version 2 but the events 1\n"


def test_versions_that_are_none_do_not_fill_a_gap(approval: str) -> None:
    rewrite("UPDATE audit_events SET version = 0 WHERE id = %s", event(approval, "requested"))
    assert f"approval {approval} has version 2 but the events 0, 2" in check()[1]


def test_an_object_taken_away_with_its_events_left_is_named(approval: str) -> None:
    rewrite("DELETE FROM approvals WHERE id = %s", approval)
    assert check()[1] == f"approval {approval} is gone, but its events are there\n"


def test_who_watches_sees_how_far_it_is(approval: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setattr(audit_check, "CHUNK", 3)
    assert [part.split(",")[0] for part in check()[1].split("\r") if part] == ["3 events", "6 events"]
