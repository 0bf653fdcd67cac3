"""Plays the company's agents through the JSON API: they ask, wait, react to decisions; colleagues decide what is theirs."""

import heapq
import time
from collections.abc import Callable
from functools import partial
from itertools import count, cycle
from random import Random
from threading import Event
from typing import Any

from django.utils import timezone

from audit.actor import Actor, Kind
from orchestrator.demo import catalogue, company
from orchestrator.demo.caller import Caller, NoServer
from orchestrator.demo.company import BY_NAME, agent, people_of
from orchestrator.demo.texts import Filled, fill, lifetime, notice, plausible
from sessions.models import NOTIFICATION

__all__ = ["NoServer", "Play"]
FEWEST, MOST = 10, 40  # requests that wait for manager
WATCHER = Actor("local|demo-watcher", "demo-watcher", Kind.AGENT, frozenset({"agent", "auditor"}))


class Play:
    """One loop with an agenda of what is due when; what waits is learned from the API, so that it can begin at any time."""

    def __init__(self, address: str, *, stop: Event, say: Callable[[str], None], speed: float = 1.0) -> None:
        self.api, self.stop, self.speed = Caller(address, stop, say), stop, speed
        self.say = self.api.say_now
        self.rng = Random()  # noqa: S311 - a play
        self.agenda: list[tuple[float, int, Callable[[], None]]] = []
        self.numbers = count()
        self.open: dict[str, dict[str, Any]] = {}  # requests that wait, by id
        self.mine: list[tuple[Actor, str]] = []  # sessions opened here
        bags = (catalogue.FOR_MANAGER, catalogue.FOR_COLLEAGUES, catalogue.ROUTINE)
        self.for_manager, self.for_colleagues, self.routines = (cycle(self.rng.sample(bag, len(bag))) for bag in bags)

    def run(self, seconds: float | None = None) -> None:
        """Until `stop`, or for some seconds. Raises NoServer if nobody answers at the beginning."""
        with self.api.http:
            self.api.check()
            self.play(time.monotonic() + seconds if seconds else float("inf"))
        self.say("Stopped.")

    def play(self, end: float) -> None:
        """See what is there, begin, and go on."""
        self.look()
        self.pick_up()
        for act, pause in ((self.ask, 7), (self.routine, 25), (self.tell, 40), (self.beat, 20), (self.colleague, 9), (self.jonas, 90)):
            self.every(pause, act)
        self.say(f"Playing against {self.api.address}; {self.waiting_for_manager()} requests wait for manager. Ctrl-C stops it.")
        while not self.stop.is_set() and time.monotonic() < end:
            self.act()
            self.wait()

    # --- the agenda ---------------------------------------------------------------------------------------

    def after(self, least: float, most: float, act: Callable[[], None]) -> None:
        """Do it some seconds from now, sooner at a higher speed."""
        due = time.monotonic() + self.rng.uniform(least, most) / self.speed
        heapq.heappush(self.agenda, (due, next(self.numbers), act))

    def every(self, pause: float, act: Callable[[], None]) -> None:
        """Do it again and again."""

        def again() -> None:
            act()
            self.after(pause * 0.5, pause * 1.5, again)

        self.after(0, pause, again)

    def act(self) -> None:
        """What is due by now; what that brings about comes after the next look."""
        now = time.monotonic()
        while self.agenda and self.agenda[0][0] <= now and not self.stop.is_set():
            heapq.heappop(self.agenda)[2]()

    def wait(self) -> None:
        """The pause between two looks is spent as agents spend it: waiting for the newest request's answer."""
        pause = self.agenda[0][0] - time.monotonic() if self.agenda else 1.0
        if pause > 1 and self.open:
            self.api.get(WATCHER, f"/approvals/{next(iter(self.open))}", wait=1)
        else:
            self.stop.wait(min(max(pause, 0.02), 1))
        self.look()

    # --- what waits, and what was decided -----------------------------------------------------------------

    def look(self) -> None:
        """Read what waits (the demo keeps it below one page); what waited before and does so no longer has its answer."""
        listed = self.api.get(WATCHER, "/approvals", status="pending", page_size=100)
        if "approvals" not in listed:
            return
        before, self.open = self.open, {each["approval_id"]: each for each in listed["approvals"]}
        for id in before.keys() - self.open.keys():
            self.answered(self.api.get(WATCHER, f"/approvals/{id}"))

    def waiting_for_manager(self) -> int:
        """How many wait for the person at the screen."""
        return sum(each["approver_role"] == "manager" for each in self.open.values())

    def answered(self, approval: dict[str, Any]) -> None:
        """The agents act on an answer."""
        task = self.api.get(WATCHER, f"/tasks/{approval['task_id']}") if approval else {}
        if not task or approval["status"] == "pending":
            return
        by = f" by {approval['decided_by']}" if approval["decided_by"] else ""
        self.say(f"{approval['status']}{by}: {named(task)}")
        if approval["status"] == "approved":
            self.after(2, 8, lambda: self.claim(task))
        elif approval["status"] == "rejected":
            self.after(3, 10, lambda: self.give_up(task, approval["comments"]))
        elif approval["status"] == "expired":
            self.after(3, 10, lambda: self.let_go(task))

    def pick_up(self) -> None:
        """What was decided or begun while nobody played goes on, not all at once."""
        for status in ("pending", "active"):
            for task in self.api.get(WATCHER, "/tasks", status=status, page_size=100).get("tasks", []):
                self.after(20, 900, partial(self.resume, task))

    def resume(self, listed: dict[str, Any]) -> None:
        """A task found at the beginning: claimed ones are ended, answered ones go on."""
        task = self.api.get(WATCHER, f"/tasks/{listed['task_id']}")
        asked = task.get("approvals", [])
        if task.get("status") == "active" and not any(each["status"] == "pending" for each in asked):
            self.end(task)
        elif task.get("status") == "pending" and not asked:
            self.claim(task)
        elif task.get("status") == "pending" and asked[-1]["approval_id"] not in self.open:
            self.answered(asked[-1])

    # --- what the agents do -------------------------------------------------------------------------------

    def claim(self, task: dict[str, Any]) -> None:
        """The receiving role's agent picks it up, and ends it a little later."""
        worker = agent(task["to_role"])
        if task["task_type"] == NOTIFICATION:
            self.api.put(worker, f"/tasks/{task['task_id']}", status="completed")
        elif self.api.put(worker, f"/tasks/{task['task_id']}", status="active"):
            self.say(f"{worker.name} works on: {named(task)}")
            self.after(8, 45, lambda: self.end(task))

    def end(self, task: dict[str, Any], status: str = "", summary: str = "Done.") -> None:
        """Its claimer completes it; now and then it goes wrong."""
        if not status and self.rng.random() < 0.07:
            status, summary = "failed", self.rng.choice(company.FAILURES)
        worker, status = agent(task["to_role"]), status or "completed"
        result = {"summary": summary, "reference": f"R-{self.rng.randint(10_000, 99_999)}"}
        if self.api.put(worker, f"/tasks/{task['task_id']}", status=status, result=result):
            self.say(f"{worker.name} {status}: {named(task)}")

    def give_up(self, task: dict[str, Any], why: str) -> None:
        """Rejected: the task fails; about half of the askers try again with less."""
        if not self.api.put(agent(task["to_role"]), f"/tasks/{task['task_id']}", status="active"):
            return
        self.end(task, "failed", f"Rejected: {why}")
        amount = task["data"].get("amount")
        if isinstance(amount, int | float) and "asked_before" not in task["data"] and self.rng.random() < 0.6:
            less = {"amount": plausible(amount * 0.6), "asked_before": amount}
            data = {name: value for name, value in {**task["data"], **less}.items() if name != "items"}
            request = catalogue.Request(task["from_role"], task["to_role"], task["task_type"], "", "", "")
            again = Filled(request, task["description"], f"With less than before, because: {why}"[:2000], data)
            self.after(10, 40, lambda: self.send(again))

    def let_go(self, task: dict[str, Any]) -> None:
        """Nobody answered in time: the asker ends its session, which cancels the task."""
        if task["session_id"] and self.api.put(agent(task["from_role"]), f"/sessions/{task['session_id']}", status="failed"):
            self.say(f"{task['from_role']}-agent gave up waiting: {named(task)}")

    def ask(self) -> None:
        """Somebody asks manager, or, less often, another role."""
        manager = self.waiting_for_manager()
        if manager < FEWEST or (manager < MOST and self.rng.random() < 0.8):
            self.send(fill(next(self.for_manager), self.rng, timezone.now()))
        elif len(self.open) - manager < MOST // 4:
            self.send(fill(next(self.for_colleagues), self.rng, timezone.now()))

    def send(self, filled: Filled) -> None:
        """Hand the task over, then ask."""
        task_id, request = self.hand_over(filled), filled.of
        question = {"approver_role": request.approver, "reason": filled.reason, "expires_in": lifetime(request, self.rng)}
        asked = self.api.post(agent(request.sender), "/approvals", task_id=task_id, **question) if task_id else {}
        if id := asked.get("approval_id"):
            # Noted at once: it may be decided before the next look.
            self.open = {id: {"approval_id": id, "requested_by": f"{request.sender}-agent", **question}, **self.open}
            amount = f", {filled.data['amount']:,.2f} EUR" if "amount" in filled.data else ""
            self.say(f"{request.sender}-agent asks {request.approver}: {filled.title}{amount}")

    def hand_over(self, filled: Filled) -> str:
        """The id of the task; every other one goes into a session opened before."""
        sender, into = agent(filled.of.sender), {}
        if self.rng.random() < 0.5:
            opened = self.api.post(sender, "/sessions", agent_role=filled.of.sender, metadata={"purpose": filled.title})
            into = {"session_id": opened["session_id"]} if opened else {}
            self.mine = [*self.mine[-20:], *((sender, id) for id in into.values())]
        task = {"task_type": filled.of.kind, "description": filled.title, "data": filled.data}
        return str(self.api.post(sender, "/tasks/route", target=filled.of.to, task=task, **into).get("task_id", ""))

    def routine(self) -> None:
        """Work that needs nobody's approval."""
        filled = fill(next(self.routines), self.rng, timezone.now())
        if task_id := self.hand_over(filled):
            self.say(f"{filled.of.sender}-agent hands to {filled.of.to}: {filled.title}")
            task = {"task_id": task_id, "to_role": filled.of.to, "task_type": filled.of.kind, "description": filled.title}
            self.after(4, 30, lambda: self.claim(task))

    def tell(self) -> None:
        """A notification."""
        sender, receiver, message, priority = notice(self.rng, timezone.now())
        task = {"task_type": NOTIFICATION, "description": message, "data": {"priority": priority}}
        if told := self.api.post(agent(sender), "/tasks/route", target=receiver, task=task, from_role=sender):
            self.say(f"{sender}-agent tells {receiver}: {message}")
            self.after(5, 60, lambda: self.claim({"task_id": told["task_id"], "to_role": receiver, **task}))

    def beat(self) -> None:
        """A sign of life of some session."""
        if self.mine:
            sender, id = self.mine.pop(self.rng.randrange(len(self.mine)))
            if self.api.get(sender, f"/sessions/{id}").get("state") in ("pending", "active"):
                self.api.post(sender, f"/sessions/{id}/heartbeat")
                self.mine.append((sender, id))

    # --- what people do beside the one at the screen ------------------------------------------------------

    def colleague(self) -> None:
        """Other roles' requests are decided by who holds them, the oldest first."""
        theirs = [each for each in self.open.values() if each["approver_role"] not in ("manager", *self._unknown())]
        if theirs:
            self.decide(people_of(theirs[-1]["approver_role"])[0].actor(), theirs[-1])

    def _unknown(self) -> set[str]:
        return {each["approver_role"] for each in self.open.values()} - set(company.ROLES)

    def jonas(self) -> None:
        """The other manager takes one of the old ones now and then; most are left to the person at the screen."""
        old = [each for each in self.open.values() if each["approver_role"] == "manager" and each["requested_by"] != "jonas"]
        if len(old) > FEWEST + 2:
            self.decide(BY_NAME["jonas"].actor(), self.rng.choice(old[-5:]))

    def decide(self, person: Actor, approval: dict[str, Any]) -> None:
        """Mostly yes; a no says why."""
        yes = self.rng.random() < 0.8
        verdict, words = ("approved", self.rng.choice(company.NOTES)) if yes else ("rejected", self.rng.choice(company.REFUSALS))
        self.api.post(person, f"/approvals/{approval['approval_id']}/decision", decision=verdict, comments=words)


def named(task: dict[str, Any]) -> str:
    """What a task is about, in a line."""
    return str(task["description"] or task["data"].get("title") or task["task_type"])
