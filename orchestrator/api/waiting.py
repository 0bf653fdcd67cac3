"""Waiting for an answer without burning requests: a bounded number at a time, no transaction held, ended by a shutdown."""

import time
from collections.abc import Callable
from threading import BoundedSemaphore
from typing import TypeVar

T = TypeVar("T")
THREADS = 16  # of one server process; every connection slot is one of them
PLACES = BoundedSemaphore(THREADS // 2)  # the other half keeps answering
INTERVAL = 0.2  # seconds between looks: one query of 0.2 ms each, and no wake-up to lose

#: The server process; it sets itself here, so that who waits hears of a shutdown.
alive: Callable[[], bool] = lambda: True  # noqa: E731 - replaced as a whole by orchestrator/gunicorn.py


def until(look: Callable[[], T], done: Callable[[T], bool], seconds: int) -> T:
    """What `look` finds, as soon as it is `done`; at the latest after `seconds`, or at once if too many wait already."""
    deadline = time.monotonic() + seconds
    found = look()
    if done(found) or not seconds or not PLACES.acquire(blocking=False):
        return found
    try:
        while not done(found) and time.monotonic() < deadline and alive():
            time.sleep(min(INTERVAL, max(deadline - time.monotonic(), 0)))
            found = look()
    finally:
        PLACES.release()
    return found
