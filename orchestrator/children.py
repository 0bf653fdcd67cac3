"""The processes that `serve` starts beside the engines, and how long it waits before it tries again."""

import ctypes
import os
import signal
import subprocess
import sys
import time

from django.conf import settings

STOP_SECONDS = 15  # more than gunicorn's graceful_timeout
PR_SET_PDEATHSIG = 1


class Backoff:
    """When to try again: after each failure in a row the pause is twice as long."""

    def __init__(self, first: float, most: float) -> None:
        self.first, self.most = first, most
        self.failures, self.next = 0, 0.0

    def failed(self) -> None:
        """One more."""
        self.next = time.monotonic() + min(self.most, self.first * 2**self.failures)
        self.failures += 1

    def due(self) -> bool:
        """Whether the pause is over."""
        return time.monotonic() >= self.next


class Child:
    """A Python process in a session of its own: it hears no Ctrl-C, and on Linux it ends when we do, however we end."""

    def __init__(self, *arguments: str, **environment: str) -> None:
        self.arguments, self.environment = arguments, environment
        self.process: subprocess.Popen[bytes] | None = None
        self.started = 0.0
        self.again = Backoff(first=1, most=30)

    def start(self) -> None:
        """Start it; its output is ours."""
        self.started = time.monotonic()
        self.process = subprocess.Popen(  # noqa: S603 - our own arguments
            [sys.executable, *self.arguments],
            cwd=settings.BASE_DIR,
            env=os.environ | self.environment,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=_end_with_parent,
        )

    def status(self) -> int | None:
        """How it ended; None while it runs, and before it has started."""
        return self.process.poll() if self.process else None

    def forget(self) -> None:
        """It has ended: it may start again, after a pause."""
        self.process = None
        if time.monotonic() - self.started > self.again.most:
            self.again.failures = 0
        self.again.failed()

    def send(self, number: signal.Signals) -> None:
        """Pass a signal on."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(number)

    def stop(self) -> None:
        """Ask, wait, insist (then its own children too)."""
        if not self.process:
            return
        self.send(signal.SIGTERM)
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


def _end_with_parent() -> None:
    """In the new process: let the kernel send SIGTERM when the parent is gone, even after a `kill -9`."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
