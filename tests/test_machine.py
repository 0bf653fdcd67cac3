"""Random walks over every verb, by many callers, with right and wrong arguments, while time passes: the rules hold after each step."""

from collections.abc import Callable
from hashlib import sha256
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from approvals import actions as approvals
from audit.action import Key
from audit.actions import ingest
from audit.actor import Actor
from audit.errors import DomainError
from sessions import actions as sessions
from tests.conftest import agent, empty, person
from tests.evidence import NOBODYS, TABLES, lapse_approval, lapse_session, rewrite
from tests.model import OPEN, ROLES, Event, Row, look, moved_wrongly

#: Of each kind at least one who may, and some who may almost; `chief` asks, sends and decides in two roles.
ACTORS = [
    agent("finance-agent", "finance"), agent("manager-agent", "manager"), agent("support-agent", "support"),
    person("felix", "finance"), person("maria", "manager"), person("chief", "finance", "manager"), person("root", "admin"),
    person("ada", "auditor"),
]  # fmt: skip
SENDERS = [actor for actor in ACTORS if actor.holds("finance")]


#: Who acts: this one, or one who may (else hardly anything would ever happen), or who did the last thing (and may not do this).
callers = st.sampled_from([*ACTORS, *["who may"] * 8, *["again"] * 6])
roles = st.sampled_from(["finance", "manager", "manager", "support", "agent", "No Role"])
which = st.sampled_from([0, 0, 0, 1, 2, 3])  # of the rows there are, the latest first
keys = st.sampled_from([None, "one", "two"])
seen = st.sampled_from([None, None, 0, 1])  # how far from the present version the caller's is; None: names none
notes = st.sampled_from(["Because.", ""])
verdicts = st.sampled_from(["approved", "rejected"])


class Desk(RuleBasedStateMachine):
    """The world before each step, one step, the world after it."""

    @initialize(sender=st.sampled_from(SENDERS), asker=st.sampled_from(SENDERS), opened=st.booleans())
    def begin(self, sender: Actor, asker: Actor, opened: bool) -> None:
        """A desk where something waits already."""
        task = sessions.route_task(actor=sender, target="manager", task_type="budget", from_role="finance").row
        approvals.ask(actor=asker, task_id=task.pk, approver_role="manager")
        if opened:
            sessions.open_session(actor=sender, role="finance")
        self.last = sender
        self.world = look()

    def teardown(self) -> None:
        empty()

    @invariant()
    def nothing_is_wrong(self) -> None:
        assert self.world.faults() == []

    # --- one step ------------------------------------------------------------------------------------------

    def attempt(self, caller: Actor | str, may: Callable[[Actor], bool], call: Callable[[Actor], Any]) -> Any:
        """What the call answers, None if it was refused; the model says before who may."""
        actor = self.choose(caller, may)
        return self.run(actor, lambda: call(actor), may(actor))

    def choose(self, caller: Actor | str, may: Callable[[Actor], bool]) -> Actor:
        """Who acts."""
        if isinstance(caller, Actor):
            return caller
        return next((actor for actor in ACTORS if may(actor)), self.last) if caller == "who may" else self.last

    def run(self, actor: Actor, call: Callable[[], Any], allowed: bool | None) -> Any:
        """The same for one who is known; `allowed` is None where the model knows not."""
        try:
            answer, said = call(), None
        except DomainError as error:
            answer, said = None, error
        assert allowed is None or allowed == (said is None), f"the model says {allowed}, the action {said or 'yes'!r}"
        new = self.step()
        self.last = self.last if said else actor
        if said:  # only what had run out of time moved, and the refusal itself is told
            assert all(event.kind == "system" or event.type == "approval.refused" for event in new), new
        return answer

    def create(self, kind: str, key: str | None, actor: Actor, allowed: bool, body: Row, call: Callable[[Key | None], Any]) -> None:
        """A creation with a key, which makes nothing while the caller's key is held, and answers with what it had made."""
        rows, holder = getattr(self.world, kind), self.world.holder(kind, actor, key) if key else None
        digest = sha256(repr(body).encode()).hexdigest()
        expected = rows[holder]["request_digest"] == digest if holder else allowed
        made = self.run(actor, lambda: call(Key(key, digest) if key else None), expected)
        fresh = getattr(self.world, kind).keys() - rows.keys()
        assert fresh == ({str(made.row.pk)} if made and not made.replayed and not made.found else set())
        assert not made or (made.replayed == bool(holder) and (not holder or str(made.row.pk) == holder))

    def step(self) -> list[Event]:
        """Look again: no row went a wrong way. Returns the new events."""
        before, self.world = self.world, look()
        assert moved_wrongly(before, self.world) == []
        return [event for id, event in self.world.events.items() if id not in before.events]

    def pick(self, kind: str, number: int) -> str | None:
        """One of the rows there are."""
        ids = sorted(getattr(self.world, kind), reverse=True)
        return ids[number % len(ids)] if ids else None

    def version(self, kind: str, id: str | None, off: int | None) -> int | None:
        """The version that the caller names."""
        return None if off is None or id is None else getattr(self.world, kind)[id]["version"] + off

    # --- sessions ------------------------------------------------------------------------------------------

    @rule(caller=callers, role=roles, number=which, takes=st.booleans(), key=keys)
    def open_session(self, caller: Actor | str, role: str, number: int, takes: bool, key: str | None) -> None:
        task = self.pick("task", number) if takes else None

        def may(actor: Actor) -> bool:
            return actor.holds(role) and (task is None or self.world.may_adopt(actor, task))

        actor = self.choose(caller, may)
        self.create(
            "session", key if actor.holds(role) else None, actor, may(actor), {"role": role, "task": task},
            lambda key: sessions.open_session(actor=actor, role=role, task_id=_id(task) if task else None, key=key),
        )  # fmt: skip

    @rule(
        caller=callers, number=which, status=st.sampled_from(["active", "completed", "failed", "expired", "pending", None]), task=which,
        takes=st.sampled_from([False, False, True]), noted=st.sampled_from([None, {"n": 1}, {"n": None, "m": {"deep": 2}}]), off=seen,
    )  # fmt: skip
    def update_session(
        self, caller: Actor | str, number: int, status: str | None, task: int, takes: bool, noted: Row | None, off: int | None
    ) -> None:
        id, taken = self.pick("session", number), self.pick("task", task) if takes else None
        version = self.version("session", id, off)
        self.attempt(
            caller,
            lambda actor: id is not None and self.world.may_update(actor, id, status, taken, version),
            lambda actor: sessions.update_session(
                actor=actor,
                session_id=_id(id),
                status=status,
                metadata=noted,
                task_id=_id(taken) if taken else None,
                expected=_only(version),
            ),
        )

    @rule(caller=callers, number=which)
    def heartbeat(self, caller: Actor | str, number: int) -> None:
        id = self.pick("session", number)
        self.attempt(
            caller,
            lambda actor: id is not None and self.world.may_write(actor, id) and self.world.session_status(id) in OPEN,
            lambda actor: sessions.heartbeat(actor=actor, session_id=_id(id)),
        )

    # --- tasks ---------------------------------------------------------------------------------------------

    @rule(
        caller=callers, to=roles, kind=st.sampled_from(["budget", "budget", "notification"]), number=which, into=st.booleans(),
        sender=st.sampled_from([None, None, "finance", "manager"]), key=keys,
    )  # fmt: skip
    def route(self, caller: Actor | str, to: str, kind: str, number: int, into: bool, sender: str | None, key: str | None) -> None:
        session = self.pick("session", number) if into else None

        def may(actor: Actor) -> bool:
            return self.world.may_route(actor, to, session, sender)

        actor = self.choose(caller, may)
        self.create(
            "task", key if to in ROLES else None, actor, may(actor), {"to": to, "kind": kind, "session": session, "sender": sender},
            lambda key: sessions.route_task(
                actor=actor, target=to, task_type=kind, session_id=_id(session) if session else None, from_role=sender, key=key
            ),
        )  # fmt: skip

    @rule(caller=callers, number=which, off=seen)
    def claim(self, caller: Actor | str, number: int, off: int | None) -> None:
        id = self.pick("task", number)
        version = self.version("task", id, off)
        self.attempt(
            caller,
            lambda actor: id is not None and self.world.may_claim(actor, id, version),
            lambda actor: sessions.claim_task(actor=actor, task_id=_id(id), expected=_only(version)),
        )

    @rule(
        caller=callers,
        number=which,
        status=st.sampled_from(["completed", "failed"]),
        result=st.sampled_from([None, {"ok": True}]),
        off=seen,
    )
    def end_task(self, caller: Actor | str, number: int, status: str, result: Row | None, off: int | None) -> None:
        id = self.pick("task", number)
        version = self.version("task", id, off)
        ended = self.attempt(
            caller,
            lambda actor: id is not None and self.world.may_end(actor, id, status, result, version),
            lambda actor: sessions.end_task(actor=actor, task_id=_id(id), status=status, result=result, expected=_only(version)),
        )
        assert not ended or (ended.status, self.world.task[str(ended.pk)]["result"]) == (status, result)

    @rule(caller=callers, number=which, off=seen)
    def cancel_task(self, caller: Actor | str, number: int, off: int | None) -> None:
        id = self.pick("task", number)
        version = self.version("task", id, off)
        self.attempt(
            caller,
            lambda actor: id is not None and self.world.may_cancel_task(actor, id, version),
            lambda actor: sessions.cancel_task(actor=actor, task_id=_id(id), expected=_only(version)),
        )

    # --- approvals -----------------------------------------------------------------------------------------

    @rule(caller=callers, number=which, role=roles, expires_in=st.sampled_from([None, None, 60, 59, 30 * 86_400 + 1]), key=keys)
    def ask(self, caller: Actor | str, number: int, role: str, expires_in: int | None, key: str | None) -> None:
        task = self.pick("task", number)

        def may(actor: Actor) -> bool:
            return task is not None and self.world.may_ask(actor, task, role, expires_in)

        actor, well_formed = self.choose(caller, may), role in ROLES and expires_in in (None, 60)
        self.create(
            "approval", key if well_formed else None, actor, may(actor), {"task": task, "role": role, "expires_in": expires_in},
            lambda key: approvals.ask(actor=actor, task_id=_id(task), approver_role=role, expires_in=expires_in, key=key),
        )  # fmt: skip

    @rule(caller=callers, number=which, verdict=verdicts, note=notes, off=seen)
    def decide(self, caller: Actor | str, number: int, verdict: str, note: str, off: int | None) -> None:
        id = self.pick("approval", number)
        version = self.version("approval", id, off)
        self.attempt(
            caller,
            lambda actor: id is not None and self.world.may_decide(actor, id, verdict, note, version),
            lambda actor: approvals.decide(actor=actor, approval_id=_id(id), verdict=verdict, note=note, expected=_only(version)),
        )

    @rule(caller=callers, number=which, verdict=verdicts, note=notes, role=st.none() | roles)
    def decide_for_task(self, caller: Actor | str, number: int, verdict: str, note: str, role: str | None) -> None:
        task = self.pick("task", number)
        asked = self.world.asked_on(task) if task else {}
        actor = self.choose(caller, lambda actor: any(self.world.may_decide(actor, id, verdict, note, None) for id in asked))
        found = self.run(
            actor, lambda: approvals.decide_for_task(actor=actor, task_id=_id(task), verdict=verdict, note=note, approver_role=role), None
        )
        if found:
            row = self.world.approval[str(found[0].pk)]
            assert (row["status"], row["decided_by"], row["task_id"]) == (verdict, actor.principal, task) and role in (
                None,
                row["approver_role"],
            )

    @rule(caller=callers, number=which)
    def cancel(self, caller: Actor | str, number: int) -> None:
        id = self.pick("approval", number)
        self.attempt(
            caller,
            lambda actor: id is not None and self.world.may_cancel(actor, id),
            lambda actor: approvals.cancel(actor=actor, approval_id=_id(id)),
        )

    # --- what callers report, and time -----------------------------------------------------------------------

    @rule(actor=st.sampled_from(ACTORS), key=keys, action=st.sampled_from(["seen", "done", "x" * 50]))
    def report(self, actor: Actor, key: str | None, action: str) -> None:
        before, digest = self.world.events, sha256(action.encode()).hexdigest()
        given = Key(key, digest) if key else None
        told = self.run(actor, lambda: ingest(actor=actor, source="test", category="walk", action=action, key=given), None)
        came_before = bool(told and told[1])
        assert not came_before or (key and str(told[0].pk) in before)
        assert self.world.events.keys() - before.keys() == ({str(told[0].pk)} if told and not came_before else set())

    @rule(number=which)
    def session_lies_still(self, number: int) -> None:
        if id := self.pick("session", number):
            lapse_session(id)
            assert self.step() == []

    @rule(number=which)
    def request_runs_out(self, number: int) -> None:
        if id := self.pick("approval", number):
            lapse_approval(id)
            assert self.step() == []

    @rule(kind=st.sampled_from(["session", "task", "approval"]), number=which)
    def key_grows_old(self, kind: str, number: int) -> None:
        if id := self.pick(kind, number):
            rewrite(f"UPDATE {TABLES[kind]} SET created_at = created_at - interval '2 days' WHERE id = %s", id)
            assert self.step() == []

    @rule()
    def sweep(self) -> None:
        approvals.expire_due()
        assert all(event.kind == "system" for event in self.step())
        assert not any(row["lapsed"] for row in [*self.world.session.values(), *self.world.approval.values()])


def _id(text: str | None) -> UUID:
    """As the doors hand it on; an unknown one where there is none."""
    return UUID(text or NOBODYS)


def _only(version: int | None) -> frozenset[int] | None:
    return None if version is None else frozenset({version})


def walk(examples: int, steps: int) -> None:
    """Ten at a time: after its first ten examples hypothesis goes on with near copies of each, and looks at little that is new."""
    limits = settings(max_examples=10, stateful_step_count=steps, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    for _ in range(0, examples, 10):
        run_state_machine_as_test(Desk, settings=limits)


@pytest.mark.timeout(400)  # seconds, of which it takes a few; a walk that fails is then made as short as can be, for 300
def test_no_walk_over_the_verbs_breaks_a_rule(store: None) -> None:
    walk(examples=10, steps=40)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_no_long_walk_over_the_verbs_breaks_a_rule(store: None) -> None:
    walk(examples=500, steps=50)
