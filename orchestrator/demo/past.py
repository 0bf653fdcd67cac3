"""What happened at the company in the last days: how many stories of each kind, and how each one goes."""

from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import cycle
from random import Random

from audit.actor import Actor
from orchestrator.demo import catalogue, company
from orchestrator.demo.company import BY_NAME, agent
from orchestrator.demo.story import Story, at_work
from orchestrator.demo.texts import Filled, fill, notice
from sessions.models import retention

DAY = 1440
#: Minutes until the requests that wait for manager run out: three within the hour, seven today, the rest within three days.
DUE = (14, 28, 47, 95, 130, 170, 215, 290, 360, 450, *range(1_000, 4_200, 220))
WAITING = 25
LIFETIME = timedelta(days=3)
#: How often each kind of story happened beside those that wait for manager.
HAPPENED = {
    "approved_and_done": 62, "done_without_asking": 28, "rejected": 11, "failed_at_work": 6, "rejected_lately": 4, "withdrawn": 5,
    "ran_out": 5, "in_hands": 16, "not_picked_up": 9, "waits_for_colleague": 7, "just_opened": 8, "forgotten": 9, "told": 14,
}  # fmt: skip


class Past:
    """The stories, from a random source and the present moment."""

    def __init__(self, rng: Random, now: datetime) -> None:
        self.rng, self.now = rng, now
        self.requests = cycle(rng.sample(catalogue.FOR_MANAGER, len(catalogue.FOR_MANAGER)))
        self.colleagues = cycle(catalogue.FOR_COLLEAGUES)
        self.routine = cycle(catalogue.ROUTINE)

    def stories(self) -> list[Story]:
        """All of them."""
        waiting = [self.waits(request, due) for request, due in zip(self._urgent_first(), DUE, strict=True)]
        kinds: dict[str, Callable[[], Story]] = {kind: getattr(self, kind) for kind in HAPPENED}
        return waiting + [kinds[kind]() for kind, times in HAPPENED.items() for _ in range(times)] + self.refusals()

    def _urgent_first(self) -> list[catalogue.Request]:
        return sorted(self.rng.sample(catalogue.FOR_MANAGER[:WAITING], WAITING), key=lambda request: request.urgency)

    # --- beginnings ---------------------------------------------------------------------------------------

    def story(self, oldest: float = 7 * DAY - 60, newest: float = 25) -> Story:
        """One that begins so many minutes ago, likelier at an hour when people work."""
        while True:
            start = self.now - timedelta(minutes=self.rng.uniform(newest, oldest))
            if self.rng.random() < (1 if at_work(start) else 0.3 if start.weekday() < 5 else 0.08) or oldest - newest < 600:
                return Story(self.rng, self.now, start)

    def routed(self, story: Story, request: catalogue.Request, by: Actor | None = None) -> Filled:
        """A task handed over; every other one from a session that was opened before."""
        sender, filled = by or agent(request.sender), fill(request, self.rng, story.at)
        if self.rng.random() < 0.5:
            story.open(sender, request.sender, purpose=filled.title, agent_version=f"2.{self.rng.randint(1, 4)}.{self.rng.randint(0, 9)}")
            story.later(1, 20)
        story.route(sender, filled)
        return filled

    def asked(self, story: Story, request: catalogue.Request, due: datetime | None = None, by: Actor | None = None) -> None:
        """Handed over, and the approver asked."""
        filled = self.routed(story, request, by)
        story.later(1, 12)
        story.ask(by or agent(request.sender), request.approver, filled.reason, due or story.at + LIFETIME)

    def decided(self, story: Story, verdict: str) -> None:
        """Somebody who holds the role answers; manager's requests mostly Maria."""
        role = story.approvals[-1].approver_role
        people = company.people_of(role)
        story.later(90, 5_400, by_person=True)
        note = self.rng.choice(company.NOTES if verdict == "approved" else company.REFUSALS)
        story.decide((people[0] if self.rng.random() < 0.7 else people[-1]).actor(), verdict, note)

    def worked(self, story: Story, status: str, done: str) -> None:
        """The receiving role's agent picks it up and ends it."""
        assert story.task
        worker = agent(story.task.to_role)
        story.later(2, 240)
        story.claim(worker)
        story.later(30, 4_800)
        story.end(worker, status, {"summary": done, "reference": f"R-{self.rng.randint(10_000, 99_999)}"})

    def still_alive(self, story: Story) -> Story:
        """Open sessions show signs of life: their agents send heartbeats."""
        if story.session:
            story.session.updated_at = max(story.at, self.now - timedelta(seconds=self.rng.uniform(20, 5_400)))
        return story

    def next_request(self) -> catalogue.Request:
        """Mostly asked of manager, as in the company."""
        return next(self.colleagues) if self.rng.random() < 0.2 else next(self.requests)

    # --- what still goes on -------------------------------------------------------------------------------

    def waits(self, request: catalogue.Request, due: float) -> Story:
        """Waits for manager; what is due within hours has been asked for hours, the rest for a day."""
        story = self.story(oldest=min(due * 3 + 20, 1.2 * DAY), newest=min(due * 0.2, 180))
        minutes = self.now + timedelta(minutes=due)
        self.asked(story, request, minutes.replace(second=0, microsecond=0) if due > 60 else minutes)
        return self.still_alive(story)

    def waits_for_colleague(self) -> Story:
        """Waits for another role."""
        story = self.story(oldest=DAY)
        self.asked(story, next(self.colleagues), self.now + timedelta(minutes=self.rng.uniform(70, 3 * DAY)))
        return self.still_alive(story)

    def just_opened(self) -> Story:
        """A session without a task yet."""
        story, role = self.story(oldest=300, newest=1), self.rng.choice(company.ROLES)
        story.open(agent(role), role, purpose="collecting figures", agent_version="2.4.1")
        return self.still_alive(story)

    def not_picked_up(self) -> Story:
        """Handed over, and nobody has claimed it."""
        story = self.story(oldest=DAY, newest=3)
        self.routed(story, next(self.routine))
        return self.still_alive(story)

    def in_hands(self) -> Story:
        """Approved or never asked for, and in somebody's hands."""
        story = self.story(oldest=1.4 * DAY)
        if self.rng.random() < 0.6:
            self.asked(story, self.next_request())
            self.decided(story, "approved")
        else:
            self.routed(story, next(self.routine))
        story.later(2, 240)
        assert story.task
        story.claim(agent(story.task.to_role))
        return self.still_alive(story)

    def rejected_lately(self) -> Story:
        """Rejected; the agent has not answered to that yet."""
        story = self.story(oldest=0.6 * DAY)
        self.asked(story, next(self.requests))
        self.decided(story, "rejected")
        return self.still_alive(story)

    def ran_out(self) -> Story:
        """Nobody answered in time; the task still stands."""
        story = self.story(oldest=3 * DAY, newest=DAY)
        self.asked(story, next(self.requests), story.at + timedelta(minutes=self.rng.choice((60, 240, 720))))
        story.lapse()
        return self.still_alive(story)

    # --- what has ended -----------------------------------------------------------------------------------

    def approved_and_done(self) -> Story:
        """The story that must always work."""
        story, request = self.story(), self.next_request()
        self.asked(story, request)
        self.decided(story, "approved")
        self.worked(story, "completed", request.done)
        return story

    def done_without_asking(self) -> Story:
        """Routine."""
        story, request = self.story(), next(self.routine)
        self.routed(story, request)
        self.worked(story, "completed", request.done)
        return story

    def rejected(self) -> Story:
        """Rejected, so the task failed."""
        story = self.story()
        self.asked(story, next(self.requests))
        self.decided(story, "rejected")
        self.worked(story, "failed", f"Rejected: {story.approvals[-1].notes}")
        return story

    def failed_at_work(self) -> Story:
        """Allowed, but it went wrong."""
        story = self.story()
        self.asked(story, self.next_request())
        self.decided(story, "approved")
        self.worked(story, "failed", self.rng.choice(company.FAILURES))
        return story

    def withdrawn(self) -> Story:
        """No longer needed: request and task are taken back, the session is closed."""
        story, request = self.story(), next(self.requests)
        self.asked(story, request)
        story.later(120, 3_000)
        story.withdraw(agent(request.sender), "No longer needed.")
        story.end(agent(request.sender), "cancelled")
        story.close(agent(request.sender))
        return story

    def forgotten(self) -> Story:
        """Lay still for the retention time: expired, some with a task that nobody did or a request that nobody answered."""
        silent = retention() / timedelta(minutes=1)
        story, request = self.story(oldest=silent + 2.5 * DAY, newest=silent + 300), next(self.requests)
        if self.rng.random() < 0.5:
            story.open(agent(request.sender), request.sender, purpose="left behind by a crashed agent")
        elif self.rng.random() < 0.5:
            self.routed(story, next(self.routine))
        else:
            self.asked(story, request, story.at + timedelta(hours=8))
            story.lapse()
        story.expire()
        return story

    def told(self) -> Story:
        """A message; most have been read."""
        story = self.story(oldest=3 * DAY, newest=2)
        sender, receiver, message, priority = notice(self.rng, story.at)
        story.notify(agent(sender), sender, receiver, message, priority)
        if self.rng.random() < 0.7:
            story.later(5, 600)
            story.end(agent(receiver), "completed")
        return story

    # --- attempts worth keeping ---------------------------------------------------------------------------

    def refusals(self) -> list[Story]:
        """Who tried to decide and may not: a foreign role, an agent, and the asker, whose colleague then decides."""
        tom, maria, jonas = (BY_NAME[name].actor() for name in ("tom", "maria", "jonas"))
        own = "You asked for this yourself; somebody else must decide it."
        attempts = ((tom, None, "Only a holder of manager decides this."), (agent("it"), None, "Only people decide; an agent cannot."),
                    (jonas, jonas, own), (maria, maria, own))  # fmt: skip
        return [self._refused(who, by, because) for who, by, because in attempts]

    def _refused(self, who: Actor, by: Actor | None, because: str) -> Story:
        # Who cannot read a request hears that there is none; so it is one of their own role's.
        request = catalogue.BY_A_MANAGER if by else next(each for each in catalogue.FOR_MANAGER if who.holds(each.sender))
        story = self.story(oldest=4 * DAY)
        self.asked(story, request, by=by)
        story.later(60, 900)
        story.refuse(who, "approved", because)
        story.later(60, 3_600, by_person=True)
        other = "maria" if by is None or by.name.startswith("Jonas") else "jonas"
        story.decide(BY_NAME[other].actor(), "approved", "Fine, go ahead.")
        self.worked(story, "completed", request.done)
        return story
