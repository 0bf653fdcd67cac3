"""PostgreSQL and Valkey out of Python wheels, under one home folder: for its owner alone, without a password or a port.

engines.lock   held while engines start or stop             postgres.log, valkey.log   of the last start
engines.users  share-locked by every process that started them or joined: the last one out stops them
engines/       mode 0700: the two sockets, and the data in postgres/ and valkey/

Importing this loads neither Django nor the wheels: settings, and deployments without the wheels, import it too.
"""

import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Self
from urllib.parse import quote

from orchestrator.embedded.account import EngineError, make_home, private_file
from orchestrator.embedded.engine import Engine, Postgres, Valkey, socket_dir

__all__ = ["EngineError", "Engines", "database_url", "erase", "redis_url", "require", "running", "socket_dir", "start"]


def database_url(home: Path) -> str:
    """For libpq and dj_database_url: the folder stands where the host would."""
    return f"postgresql://postgres@{quote(str(socket_dir(home)), safe='')}/orchestrator"


def redis_url(home: Path) -> str:
    """For redis-py and django-redis."""
    return f"unix://{quote(str(socket_dir(home) / Valkey.listens_on))}?db=0"


def start(home: Path, *, postgres: bool = True, redis: bool = True) -> "Engines":
    """Start the chosen engines, or join those that run; stop() or the end of a `with` gives them back."""
    engines = Engines(home)
    try:
        engines.start(postgres, redis)
    except BaseException:  # Ctrl-C included: nothing half-started stays behind
        engines.stop()
        raise
    return engines


def running(home: Path, *, postgres: bool = True, redis: bool = True) -> bool:
    """Whether the chosen engines answer."""
    return all(engine.answers() for engine in _engines(home, postgres, redis))


def require(home: Path, *, postgres: bool = True, redis: bool = True) -> None:
    """Say how to start the chosen engines if they do not answer: only `serve` and the tests start any."""
    for engine in _engines(home, postgres, redis):
        if not engine.answers():
            raise EngineError(f"The embedded {engine.name} is not running: `make run` in another terminal starts it.")


def erase(home: Path) -> None:
    """Delete the engines' data, unless a process uses it."""
    if not home.exists():
        return
    with _locked(home), private_file(home / "engines.users") as users:
        if not _alone(users) or any(engine.pid() for engine in _engines(home.absolute())):
            raise EngineError("The embedded engines are in use: press Ctrl-C where `make run` runs, then try again.")
        if (home / "engines").exists():
            shutil.rmtree(home / "engines")


class Engines:
    """The engines that one process uses."""

    def __init__(self, home: Path) -> None:
        self.home = home.absolute()
        self.users: IO[str] | None = None
        self.engines = _engines(self.home)
        self.wanted: list[Engine] = []

    def start(self, postgres: bool, redis: bool) -> None:
        """Count ourselves among the users, then start what does not run."""
        make_home(self.home)
        with _locked(self.home):
            self.users = private_file(self.home / "engines.users")
            fcntl.flock(self.users, fcntl.LOCK_SH)
            for engine, wanted in zip(self.engines, (postgres, redis), strict=True):
                if wanted:
                    engine.start()
                    self.wanted.append(engine)

    def revive(self) -> list[str]:
        """Start again what has ended by itself: the names."""
        dead = [engine for engine in self.wanted if not engine.pid()]
        if dead:
            with _locked(self.home):
                for engine in dead:
                    engine.start()
        return [engine.name for engine in dead]

    def stop(self) -> None:
        """Stop the engines, unless another process uses them: the last one does it, whoever started them."""
        if self.users is None:
            return
        with _locked(self.home), self.users as users:
            for engine in self.engines:
                if _alone(users):
                    engine.stop()
                engine.let_go()
        self.users = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()


def _engines(home: Path, postgres: bool = True, redis: bool = True) -> list[Engine]:
    return [*([Postgres(home)] if postgres else []), *([Valkey(home)] if redis else [])]


def _alone(users: IO[str]) -> bool:
    """Whether no other process uses the engines."""
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def _locked(home: Path) -> Iterator[None]:
    """One start or stop at a time."""
    with private_file(home / "engines.lock") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
