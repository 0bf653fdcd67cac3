"""Each event as a sentence: who did what, in safe words."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.utils.html import strip_tags
from django.utils.safestring import mark_safe

from audit.models import AuditEvent
from audit.proof import prove
from audit.story import SENTENCES, span, tell, visible
from sessions.waterfall import fall

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


def told(event_type: str, at: datetime = NOON, **given: Any) -> AuditEvent:
    """An event as the actions write it."""
    subject = None if event_type.startswith("ingest") else event_type.partition(".")[0]
    fields = {
        "actor": "Maria", "actor_id": "local|maria", "actor_kind": "person", "role": "manager", "metadata": {}, "version": 1,
        "subject_type": subject, "subject_id": uuid4() if subject else None, "trace_id": uuid4(), **given,
    }  # fmt: skip
    return AuditEvent(event_type=event_type, timestamp=at, **fields)


@pytest.mark.parametrize(
    ("event", "kind", "sentence"),
    [
        (told("session.opened", actor="finance-agent"), "", "Session opened by finance-agent"),
        (told("session.updated", metadata={"to": "active"}), "", "Session changed by Maria: now active"),
        (told("session.completed", metadata={"because": "task completed"}), "end", "Session completed by Maria"),
        (
            told("task.routed", role="finance", metadata={"to": "manager", "task_type": "budget_approval"}),
            "",
            "Task budget_approval routed from finance to manager by Maria",
        ),
        (told("task.claimed", actor="manager-agent"), "", "Task claimed by manager-agent"),
        (
            told("task.cancelled", actor_kind="system", metadata={"because": "session expired"}),
            "",
            "Task cancelled by the system: session expired",
        ),
        (told("approval.requested", metadata={"of": "manager"}), "now", "Approval asked of manager by Maria"),
        (told("approval.approved", metadata={"note": "Agreed."}), "yes", "Maria approved: “Agreed.”"),
        (told("approval.approved", role="admin"), "yes", "Maria as admin approved"),
        (told("approval.rejected", metadata={"note": "Too much."}), "no", "Maria rejected: “Too much.”"),
        (
            told("approval.refused", version=None, metadata={"verdict": "approved", "because": "Only people decide."}),
            "refused",
            "Maria tried to decide and was refused: Only people decide.",
        ),
        (told("approval.expired"), "", "Request expired: nobody decided it in time"),
        (told("approval.cancelled", metadata={"because": "no longer needed"}), "", "Request cancelled by Maria: no longer needed"),
        (told("ingest.tool.run", actor="goose"), "", "Reported by goose: ingest.tool.run"),
        (told("session.renamed"), "", "Maria: session.renamed"),
    ],
    ids=lambda value: value.event_type if isinstance(value, AuditEvent) else "",
)
def test_an_event_reads_as_a_sentence(event: AuditEvent, kind: str, sentence: str) -> None:
    (line,) = tell([event])
    assert (line.kind, strip_tags(line.sentence)) == (kind, sentence)


def test_every_event_that_the_contract_names_has_a_sentence() -> None:
    verbs = {
        "session": "opened updated completed failed expired", "task": "routed claimed completed failed cancelled",
        "approval": "requested approved rejected expired cancelled refused",
    }  # fmt: skip
    assert {f"{kind}.{verb}" for kind, words in verbs.items() for verb in words.split()} == set(SENTENCES)


def test_in_a_list_of_many_stories_the_sentence_names_what_it_is_about() -> None:
    event = told("approval.approved", metadata={"note": "Yes."})
    (line,) = tell([event], {event.subject_id: mark_safe("<a href='/x/'>Q3 budget</a>")})  # type: ignore[dict-item]
    assert line.sentence.endswith("</b> approved <a href='/x/'>Q3 budget</a>: “<span class=said>Yes.</span>”")


@pytest.mark.parametrize("field", ["actor", "note", "of", "because"])
def test_what_agents_write_is_escaped_and_what_hides_is_shown(field: str) -> None:
    evil = "<script>alert(1)</script>\u202e{actor}%s\u200b"
    given: dict[str, Any] = {"actor": evil} if field == "actor" else {"metadata": {field: evil}}
    (line,) = tell([told("approval.requested" if field == "of" else "approval.cancelled", **given)])
    assert "<script" not in line.sentence and "\u202e" not in line.sentence and "\u200b" not in line.sentence
    assert "&lt;script&gt;alert(1)&lt;/script&gt;[U+202E]{actor}%s[U+200B]" in line.sentence


@pytest.mark.parametrize("metadata", [{}, {"to": None, "of": [1], "task_type": {}}, {"note": {"a": 1}}, {"metadata": 3, "because": 4}])
def test_details_of_any_shape_are_told_somehow(metadata: dict[str, Any]) -> None:
    for event_type in [*SENTENCES, "ingest.a.b", "odd"]:
        (line,) = tell([told(event_type, metadata=metadata)])
        assert line.sentence


def test_a_long_note_is_cut_only_where_asked() -> None:
    event = told("approval.approved", metadata={"note": "x" * 9_000})
    assert "x" * 9_000 in tell([event])[0].sentence
    assert len(tell([event], longest=100)[0].sentence) < 300


def test_a_new_day_is_named_once() -> None:
    events = [
        told("task.claimed", NOON - timedelta(days=1)),
        told("task.completed", NOON - timedelta(days=1)),
        told("session.completed", NOON),
    ]
    assert [line.day.day if line.day else None for line in tell(events)][:3] == [19, None, 20]


@pytest.mark.parametrize("character", ["\u202e", "\u200b", "\u2066", "\ufeff", "\u00ad", "\x07", "\u2028", "\u3164", "\U000e0041"])
def test_what_nobody_can_see_is_made_visible(character: str) -> None:
    assert visible(f"a{character}b") == f"a[U+{ord(character):04X}]b"


def test_plain_text_of_any_script_stays_as_it_is() -> None:
    assert visible("Größe 12 %\n\t\u05e9\u05dc\u05d5\u05dd 日本語 🙂") == "Größe 12 %\n\t\u05e9\u05dc\u05d5\u05dd 日本語 🙂"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(-3, "0 s"), (42, "42 s"), (660, "11 min"), (4800, "1 h 20 min"), (3600, "1 h 00 min"), (86_400 * 3 + 4 * 3600, "3 d 4 h")],
)
def test_a_length_of_time_takes_two_units_at_most(seconds: int, said: str) -> None:
    assert span(timedelta(seconds=seconds)) == said


# --- where the time went, and whether the story is whole -------------------------------------------------


def worked() -> list[AuditEvent]:
    """Twenty minutes waiting, of which eighteen for the manager, then an hour of work."""
    session, task, approval = uuid4(), uuid4(), uuid4()
    steps: list[tuple[str, int, Any, int | None, dict[str, Any]]] = [
        ("session.opened", 0, session, 1, {}),
        ("task.routed", 0, task, 1, {"to": "manager", "task_type": "budget"}),
        ("approval.requested", 1, approval, 1, {"of": "manager"}),
        ("approval.refused", 5, approval, None, {}),
        ("approval.approved", 19, approval, 2, {}),
        ("task.claimed", 20, task, 2, {}),
        ("task.completed", 80, task, 3, {}),
        ("session.completed", 80, session, 2, {}),
    ]
    return [
        told(kind, NOON + timedelta(minutes=at), subject_id=id, version=version, metadata=more) for kind, at, id, version, more in steps
    ]


def test_the_time_is_divided_into_waiting_and_work_and_adds_up() -> None:
    picture = fall(worked(), NOON + timedelta(days=3))
    assert picture is not None
    assert (picture.total, picture.waiting, picture.working, picture.rest) == ("1 h 20 min", "20 min", "1 h 00 min", "")
    assert [row["label"] for row in picture.rows] == ["Waiting to be picked up", "Waiting for manager", "Maria at work"]
    assert picture.rows[2]["x"] == "25.00" and picture.rows[2]["width"] == "75.00"


def test_what_still_lasts_is_drawn_to_now() -> None:
    picture = fall(worked()[:3], NOON + timedelta(minutes=10))
    assert picture is not None
    assert [row["took"] for row in picture.rows] == ["10 min so far", "9 min so far"]


def test_a_session_without_a_task_has_no_picture() -> None:
    assert fall(worked()[:1], NOON) is None


def test_the_proof_counts_versions_and_refusals() -> None:
    proof = prove(worked(), {})
    assert (proof.events, proof.refused, proof.faults) == (8, 1, [])
    assert proof.runs == ["session versions 1 to 2", "task 1 to 3", "approval 1 to 2"]


def test_the_proof_tells_of_a_gap_and_of_an_altered_event() -> None:
    events = worked()
    events[6].intact = False  # type: ignore[attr-defined]
    task = events[1].subject_id
    assert task
    proof = prove([event for event in events if event.event_type != "task.claimed"], {task: 4})
    assert proof.faults == [
        "The event task.completed of 2026-11-20 13:20:00 UTC was altered",
        "A gap: task version 2 has no event",
        "A gap: task version 4 has no event",
    ]
