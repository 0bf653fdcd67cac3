"""One row per key whatever breaks: workers killed around the COMMIT, connections lost in it, Redis stopped, flushed, full, wrong."""

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from threading import Barrier, Event, Thread
from typing import Any

import httpx
import pytest
from django.core.cache import cache
from redis import Redis

from orchestrator import embedded
from orchestrator.embedded.engine import Engine
from tests.conftest import Door, Served, served
from tests.evidence import count, incomplete, refused, sql
from tests.faulty import Proxy, Reply, Wire

#: Each keyed route with a body, how often it makes something, and where.
ROUTES: dict[str, tuple[dict[str, Any], str]] = {
    "/sessions": ({"agent_role": "finance"}, "sessions"),
    "/tasks/route": ({"target": "manager", "task": {"type": "budget_approval"}}, "tasks"),
    "/approvals": ({"approver_role": "manager"}, "approvals"),
    "/audit/ingest": ({"source": "crm", "category": "customer", "action": "moved"}, "audit_events"),
}
#: The one that needs a key; with `make test-long` all of them.
EACH_ROUTE = [pytest.param(route, marks=[] if route == "/tasks/route" else pytest.mark.long) for route in ROUTES]


@pytest.fixture(scope="module")
def proxy(database: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """What stands before PostgreSQL."""
    made = Proxy(tmp_path_factory.mktemp("proxy"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def behind(proxy: Proxy) -> Iterator[Served]:
    """A server of two workers that reaches PostgreSQL through the proxy."""
    with served(DATABASE_URL=proxy.url) as running:
        yield running


@pytest.fixture
def own_door(store: None, behind: Served) -> Iterator[Door]:
    """Finance's agent at that server."""
    with Door(behind.url, "finance-agent", "finance", "agent") as door:
        yield door


class Call:
    """One keyed call, made as often as the test wants; it knows what it made."""

    def __init__(self, door: Door, route: str) -> None:
        body, self.table = ROUTES[route]
        self.path, self.door = route, door
        self.body = {**body, **({"task_id": door.route().json()["task_id"]} if route == "/approvals" else {})}
        self.before = count(self.table)

    def __call__(self) -> httpx.Response:
        """Make it; a connection of its own, so that a lost one is not met again."""
        with httpx.Client(base_url=self.door.base_url, headers=self.door.headers, timeout=30, verify=False) as client:
            return client.post(self.path, json=self.body, headers={"Idempotency-Key": "k"})

    def until_answered(self) -> httpx.Response:
        """Repeat it as an agent would: after a lost connection, a 409 still-running, a 503."""
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            try:
                answer = self()
            except httpx.TransportError:
                time.sleep(0.1)
                continue
            if answer.is_success:
                return answer
            assert answer.status_code in (409, 503) and int(answer.headers["Retry-After"]) >= 1, answer.text
            time.sleep(0.1)
        raise TimeoutError(self.path)

    def made(self) -> int:
        """How many rows there are through it."""
        return count(self.table) - self.before


@contextmanager
def sent(call: Call) -> Iterator[Future[httpx.Response]]:
    """The call under way while the block runs."""
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(call)


def kill_workers(behind: Served) -> None:
    """As the kernel does it when memory runs out: no handler runs, no connection is closed in order."""
    for pid in behind.workers():
        os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("route", EACH_ROUTE)
def test_a_worker_killed_before_the_commit_leaves_nothing_and_the_retry_executes_once(
    own_door: Door, proxy: Proxy, behind: Served, route: str
) -> None:
    call = Call(own_door, route)
    with proxy.fault(cut=True) as fault, sent(call) as first:
        assert fault.reached.wait(10)
        kill_workers(behind)
        assert isinstance(first.exception(10), httpx.TransportError)
        fault.over.set()
        answer = call.until_answered()
    assert "Idempotent-Replayed" not in answer.headers
    assert call.until_answered().content == answer.content
    assert call.made() == 1 and incomplete() == []


@pytest.mark.parametrize("route", EACH_ROUTE)
def test_a_worker_killed_after_the_commit_but_before_the_reply_has_done_it_and_the_retry_replays(
    own_door: Door, proxy: Proxy, behind: Served, route: str
) -> None:
    call = Call(own_door, route)
    with proxy.fault(after=True, cut=True) as fault, sent(call) as first:
        assert fault.reached.wait(10)
        assert call.made() == 1
        kill_workers(behind)
        assert isinstance(first.exception(10), httpx.TransportError)
        fault.over.set()
        answer = call.until_answered()
    assert answer.headers["Idempotent-Replayed"] == "true"
    cache.clear()
    assert call.until_answered().content == answer.content
    assert call.made() == 1 and incomplete() == []


@pytest.mark.parametrize("after", [False, True], ids=["before-it-arrives", "after-it-was-done"])
@pytest.mark.parametrize("route", EACH_ROUTE)
def test_a_connection_lost_during_the_commit_is_503_and_the_retry_leaves_exactly_one_row(
    own_door: Door, proxy: Proxy, route: str, after: bool
) -> None:
    call = Call(own_door, route)
    with proxy.fault(after=after, cut=True) as fault:
        fault.over.set()
        lost = call()
    refused(lost, 503)
    assert int(lost.headers["Retry-After"]) >= 1
    assert "nothing was changed" not in lost.text.lower()  # nobody knows
    assert call.made() == int(after)
    answer = call.until_answered()
    assert answer.headers.get("Idempotent-Replayed") == ("true" if after else None)
    assert call.until_answered().content == answer.content
    assert call.made() == 1 and incomplete() == []


@pytest.mark.parametrize("route", EACH_ROUTE)
def test_while_the_first_call_is_stuck_each_duplicate_is_409_within_a_second(own_door: Door, proxy: Proxy, route: str) -> None:
    call = Call(own_door, route)
    with proxy.fault() as fault, sent(call) as first:
        assert fault.reached.wait(10)
        for _ in range(3):
            began = time.monotonic()
            duplicate = call()
            assert time.monotonic() - began < 1
            refused(duplicate, 409, "still-running")
            assert duplicate.headers["Retry-After"] == "1"
        fault.over.set()
        answer = first.result(10)
    assert answer.is_success and "Idempotent-Replayed" not in answer.headers
    again = call()
    assert (again.content, again.headers["Idempotent-Replayed"]) == (answer.content, "true")
    assert call.made() == 1 and incomplete() == []


@pytest.mark.parametrize(("code", "status"), [("XX000", 500), ("58030", 503), ("53100", 503)])
@pytest.mark.parametrize("route", EACH_ROUTE)
def test_a_call_that_fails_in_the_database_consumes_no_key(finance_door: Door, route: str, code: str, status: int) -> None:
    """Whatever PostgreSQL breaks down with while the event is written: a defect of its own, a bad disk, a full one."""
    call = Call(finance_door, route)
    with broken_events(code):
        for _ in range(2):
            answer = call()
            refused(answer, status)
            assert "disaster" not in answer.text and (status == 500 or int(answer.headers["Retry-After"]) >= 1)
    assert call.made() == 0
    answer = call()
    assert answer.is_success and "Idempotent-Replayed" not in answer.headers
    assert call.made() == 1 and incomplete() == []


@contextmanager
def broken_events(code: str) -> Iterator[None]:
    """No event can be written while the block runs."""
    raising = f"BEGIN RAISE EXCEPTION 'disaster' USING ERRCODE = '{code}'; END"
    sql(f"CREATE FUNCTION disaster() RETURNS trigger LANGUAGE plpgsql AS $$ {raising} $$")
    sql("CREATE TRIGGER disaster BEFORE INSERT ON audit_events FOR EACH ROW EXECUTE FUNCTION disaster()")
    try:
        yield
    finally:
        sql("DROP TRIGGER disaster ON audit_events")
        sql("DROP FUNCTION disaster()")


# --- ten thousand calls --------------------------------------------------------------------------------

OPENING = b'{"agent_role": "finance"}'


def check(replies: dict[str, list[Reply]]) -> None:
    """Per key one normal answer (or none that arrived first), all others replays of the same bytes or 409."""
    assert Counter(reply.status for each in replies.values() for reply in each).keys() <= {201, 409}
    for each in replies.values():
        good = [reply for reply in each if reply.status == 201]
        assert sum("idempotent-replayed" not in reply.headers for reply in good) == 1
        assert len({(reply.body, reply.headers["location"], reply.headers["etag"]) for reply in good}) == 1
        assert all(reply.headers["retry-after"] == "1" for reply in each if reply.status == 409)


def in_step(server: str, clients: int, keys: list[str]) -> dict[str, list[Reply]]:
    """All clients send each key at the same moment, one key after the other."""
    barrier = Barrier(clients, timeout=20)

    def walk(_: int) -> list[Reply]:
        with Wire(server, "/sessions", OPENING) as wire:
            return [reply for key in keys if barrier.wait() >= 0 and (reply := wire.post(key))]

    with ThreadPoolExecutor(clients) as pool:
        walks = list(pool.map(walk, range(clients)))
    return {key: list(each) for key, each in zip(keys, zip(*walks, strict=True), strict=True)}


@pytest.mark.long
def test_fifty_duplicates_at_once_of_each_of_two_hundred_keys_make_two_hundred_sessions(store: None, server: str) -> None:
    check(in_step(server, 50, [f"k-{n}" for n in range(200)]))
    assert (count("sessions"), count("audit_events")) == (200, 200)
    assert incomplete() == []


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """A Redis of its own, to be maltreated."""
    home = tmp_path_factory.mktemp("redis")
    with embedded.start(home, postgres=False) as engines:
        yield engines.engines[1]


@pytest.fixture(scope="module")
def beside(database: None, redis: Engine) -> Iterator[Served]:
    """A server that uses it."""
    with served(REDIS_URL=address(redis)) as running:
        yield running


def address(redis: Engine) -> str:
    """Where it listens."""
    return f"unix://{redis.sockets}/{redis.listens_on}?db=0"


@contextmanager
def again_and_again(trouble: Callable[[Redis], int], redis: Engine) -> Iterator[list[int]]:
    """The trouble, every few milliseconds while the block runs; how many copies it hit each time."""
    over, hits = Event(), list[int]()

    def make() -> None:
        with Redis.from_url(address(redis)) as client:
            while not over.wait(0.005):
                hits.append(trouble(client))

    thread = Thread(target=make)
    thread.start()
    try:
        yield hits
    finally:
        over.set()
        thread.join()


@contextmanager
def stopped(redis: Engine) -> Iterator[None]:
    """Nobody answers."""
    redis.stop()
    try:
        yield
    finally:
        redis.start()


@contextmanager
def flushed(redis: Engine) -> Iterator[None]:
    """Emptied all the time."""

    def flush(client: Redis) -> int:
        held = client.dbsize()
        client.flushall()
        return int(held)

    with again_and_again(flush, redis) as hits:
        yield
    assert sum(hits) > 0


@contextmanager
def bounded(redis: Engine, policy: str, counter: str) -> Iterator[None]:
    """With no memory to spare."""
    with Redis.from_url(address(redis)) as client:
        client.flushall()
        client.config_resetstat()
        room = 600_000 if policy != "noeviction" else 0
        client.config_set("maxmemory-policy", policy)
        client.config_set("maxmemory", client.info("memory")["used_memory"] + room)
        try:
            yield
            assert client.info("stats")[counter] > 0
        finally:
            client.config_set("maxmemory", 0)


@contextmanager
def garbled(redis: Engine) -> Iterator[None]:
    """Each copy is soon overwritten, by rubbish or by a list."""
    rubbish = [b"", b"{", b"\xff\xfe", b"null", b"[]", b'"text"', b"7", b'{"seal": 1}', b'{"seal": "x", "digest": "x", "body": "{}"}']

    def garble(client: Redis) -> int:
        names = client.keys("idempotency:*")
        for name in names:
            if random.random() < 0.2:
                client.delete(name)
                client.lpush(name, "x")
            else:
                client.set(name, random.choice(rubbish), keepttl=True)
        return len(names)

    with again_and_again(garble, redis) as hits:
        yield
    assert sum(hits) > 0


TROUBLES: dict[str, Callable[[Engine], Any]] = {
    "stopped": stopped,
    "flushed": flushed,
    "evicting": lambda redis: bounded(redis, "allkeys-random", "evicted_keys"),
    "full": lambda redis: bounded(redis, "noeviction", "total_error_replies"),
    "garbled": garbled,
}


@pytest.mark.long
@pytest.mark.parametrize("trouble", TROUBLES)
def test_redis_in_trouble_lets_no_duplicate_through_in_two_thousand_keys(store: None, redis: Engine, beside: Served, trouble: str) -> None:
    keys = [[f"{trouble}-{n}-{group}" for n in range(250)] for group in range(8)]  # Redis outlives the test
    with TROUBLES[trouble](redis), ThreadPoolExecutor(8) as pool:
        for replies in pool.map(lambda group: in_step(beside.url, 2, group), keys):
            check(replies)
    assert (count("sessions"), count("audit_events")) == (2000, 2000)
    assert incomplete() == []
    with Wire(beside.url, "/sessions", OPENING) as wire:
        assert all(wire.post(key).headers.get("idempotent-replayed") == "true" for key in keys[0])
    assert count("sessions") == 2000


def test_a_frozen_redis_costs_a_moment_and_changes_no_answer(store: None, redis: Engine, beside: Served) -> None:
    with Wire(beside.url, "/sessions", OPENING) as wire:
        first = wire.post("k")
        pid = redis.pid()
        assert pid
        os.kill(pid, signal.SIGSTOP)
        try:
            began = time.monotonic()
            again, fresh, repeated = wire.post("k"), wire.post("k2"), wire.post("k2")
            assert time.monotonic() - began < 3
        finally:
            os.kill(pid, signal.SIGCONT)
    check({"k": [first, again], "k2": [fresh, repeated]})
    assert "idempotent-replayed" in again.headers and "idempotent-replayed" in repeated.headers
    assert count("sessions") == 2


@pytest.mark.long
def test_another_server_than_redis_at_its_address_changes_no_answer(store: None) -> None:
    """A web server answers Redis's questions with errors of its own."""
    with served() as web, served(REDIS_URL=f"redis://{web.url[7:]}/0") as mistaken, Wire(mistaken.url, "/sessions", OPENING) as wire:
        check({"k": [wire.post("k"), wire.post("k")]})
    assert count("sessions") == 1
