"""`manage.py serve` and `reset`: real processes, in a small project that holds only what serve needs; and the product itself."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from orchestrator import embedded
from tests.small_project import PROJECT, make_small_project

pytestmark = [pytest.mark.enable_socket, pytest.mark.timeout(60)]


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Path]:
    make_small_project(tmp_path)
    yield tmp_path
    for engine in embedded.Engines(tmp_path / "var").engines:
        engine.stop()


class Serve:
    """A running `manage.py serve`."""

    def __init__(self, project: Path, log: Path | None = None, **environment: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = int(environment.get("PORT") or free.getsockname()[1])
        self.log = log or project / "serve.log"
        known = {name: value for name, value in os.environ.items() if name not in {"DATABASE_URL", "REDIS_URL"}}
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "manage.py", "serve"],
                cwd=project,
                env=known | {"PORT": str(self.port)} | environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )

    def said(self) -> str:
        return self.log.read_text()

    def until(self, done: Callable[[], object], seconds: float = 20) -> None:
        """Wait for something while it runs."""
        deadline = time.monotonic() + seconds
        while not done():
            assert self.process.poll() is None and time.monotonic() < deadline, self.said()
            time.sleep(0.05)

    def get(self, path: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as reply:
                return reply.status, reply.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def send(self, number: int) -> None:
        self.process.send_signal(number)

    def end(self, number: int = signal.SIGTERM) -> int:
        """Its exit status after a signal."""
        self.send(number)
        return self.process.wait(20)

    def expiry(self) -> int:
        """The process of the newest expiry loop, 0 before there is one."""
        return int(([0, *re.findall(r"^expiry (\d+)$", self.said(), re.MULTILINE)])[-1])


@pytest.fixture
def serve(project: Path) -> Iterator[Callable[..., Serve]]:
    """Starts one, and ends it whatever the test has done."""
    started: list[Serve] = []

    def start(**environment: str) -> Serve:
        started.append(Serve(project, None, **environment))
        return started[-1]

    yield start
    for one in started:
        if one.process.poll() is None:
            one.end()


def alive(pid: int) -> bool:
    """Whether the process runs (one that waits to be collected does not)."""
    try:
        return " Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False


def run(project: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """One command of the project, to its end."""
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=project,
        env=os.environ | {"PORT": "1"} | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_it_starts_all_and_sigterm_stops_all(project: Path, serve: Callable[..., Serve]) -> None:
    one = serve()
    one.until(lambda: "Ready" in one.said() and one.expiry())
    assert one.said().splitlines()[:2] == [
        "The demo is seeded.",
        f"Ready: http://127.0.0.1:{one.port} (Ctrl-C stops it)",
    ]
    assert one.get("/health") == (200, "healthy")
    web, expiry = int(one.get("/livez")[1]), one.expiry()
    assert one.end(signal.SIGTERM) == 0
    assert not alive(web) and not alive(expiry) and not embedded.running(project / "var")
    assert len(one.said().splitlines()) == 3, one.said()


def test_ctrl_c_lets_requests_under_way_finish(serve: Callable[..., Serve]) -> None:
    one = serve()
    one.until(lambda: "Ready" in one.said())
    with ThreadPoolExecutor(1) as pool:
        reply = pool.submit(one.get, "/slow")
        time.sleep(0.3)
        one.send(signal.SIGINT)
        time.sleep(0.1)
        assert one.end(signal.SIGINT) == 0  # an impatient second one changes nothing
        assert reply.result() == (200, "finished")


def test_a_taken_port_is_one_sentence_and_nothing_is_started(project: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = run(project, "serve", PORT=port)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.strip() == f"CommandError: Port {port} is taken: stop what uses it, or set PORT to another."
    assert not (project / "var").exists()


def test_hup_loads_the_code_anew_and_drops_no_request(project: Path, serve: Callable[..., Serve]) -> None:
    one = serve()
    one.until(lambda: "Ready" in one.said())
    urls = project / "orchestrator/urls.py"
    urls.write_text(urls.read_text().replace('"healthy"', '"healthier"'))
    one.send(signal.SIGHUP)
    one.until(lambda: one.get("/health") == (200, "healthier"))
    assert one.end() == 0


def test_without_its_web_server_it_stops_with_a_sentence(project: Path, serve: Callable[..., Serve]) -> None:
    one = serve()
    one.until(lambda: "Ready" in one.said())
    os.kill(int(one.get("/livez")[1]), signal.SIGKILL)
    assert one.process.wait(20) == 1
    assert "The web server ended by itself (status -9); everything is stopped." in one.said()
    assert not embedded.running(project / "var")


def test_a_killed_engine_or_expiry_loop_is_started_again(project: Path, serve: Callable[..., Serve]) -> None:
    one = serve()
    one.until(lambda: "Ready" in one.said() and one.expiry())
    first = one.expiry()
    for pid in [first, *(engine.pid() for engine in embedded.Engines(project / "var").engines)]:
        assert pid
        os.kill(pid, signal.SIGKILL)
    one.until(lambda: one.said().count("ended by itself; it has been started again.") == 2)
    one.until(lambda: one.get("/health")[0] == 200 and one.expiry() != first)
    assert "The expiry loop ended by itself (status -9); starting it again." in one.said()
    assert one.end() == 0 and not embedded.running(project / "var")


def test_killed_itself_it_takes_its_processes_along_and_the_next_one_takes_over(serve: Callable[..., Serve]) -> None:
    one = serve()
    one.until(lambda: "Ready" in one.said() and one.expiry())
    web, expiry = int(one.get("/livez")[1]), one.expiry()
    one.end(signal.SIGKILL)
    deadline = time.monotonic() + 15
    while alive(web) or alive(expiry):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    again = serve(PORT=str(one.port))
    again.until(lambda: "Ready" in again.said())
    assert again.end() == 0


def test_it_serves_while_the_database_is_away_and_goes_on_when_it_comes(project: Path, serve: Callable[..., Serve]) -> None:
    home = project / "elsewhere"
    url = embedded.database_url(home).replace("postgres@", "postgres:topsecret@")
    one = serve(DATABASE_URL=url)
    one.until(lambda: "Ready" in one.said())
    assert one.get("/health")[0] == 503
    time.sleep(1.5)
    with embedded.start(home, redis=False):
        one.until(lambda: one.expiry() and one.get("/health")[0] == 200)
        assert one.end() == 0
    assert one.said().count("cannot be reached") == 1
    assert "topsecret" not in one.said() and "demo" not in one.said()


def test_a_migration_that_fails_stops_the_start(project: Path) -> None:
    (project / "orchestrator/migrations/0001_initial.py").write_text("""
from django.db import migrations
class Migration(migrations.Migration):
    operations = [migrations.RunSQL("SELECT no_such_column")]
""")
    done = run(project, "serve", PORT="8999")
    assert done.returncode == 1
    assert 'could not be brought up to date: column "no_such_column" does not exist' in done.stderr
    assert not embedded.running(project / "var")


def test_replicas_migrate_one_after_the_other(project: Path, serve: Callable[..., Serve]) -> None:
    (project / "orchestrator/migrations/0001_initial.py").write_text("""
from django.db import migrations
class Migration(migrations.Migration):
    operations = [migrations.RunSQL("CREATE TABLE one (id int)"), migrations.RunSQL("SELECT pg_sleep(0.5)")]
""")
    many = [serve() for _ in range(2)]
    for one in many:
        one.until(lambda one=one: "Ready" in one.log.read_text())  # type: ignore[misc]
    assert [one.end() for one in many] == [0, 0]


def test_reset_deletes_the_embedded_data_only_and_never_under_a_running_serve(project: Path, serve: Callable[..., Serve]) -> None:
    one = serve()
    one.until(lambda: "Ready" in one.said())
    refused = run(project, "reset", "--yes")
    assert refused.returncode == 1 and "are in use: press Ctrl-C" in refused.stderr
    one.end()
    assert "Nothing was deleted" in run(project, "reset").stderr
    assert "DATABASE_URL is set" in run(project, "reset", "--yes", DATABASE_URL="postgres://example.org/x").stderr
    assert (project / "var/engines").exists()
    assert run(project, "reset", "--yes").returncode == 0
    assert not (project / "var/engines").exists()


def test_the_product_itself_is_ready_within_20_seconds_seeded_and_takes_a_token_from_another_shell(tmp_path: Path) -> None:
    began = time.monotonic()
    one = Serve(PROJECT, tmp_path / "serve.log", ORCHESTRATOR_HOME=str(tmp_path))
    try:
        one.until(lambda: "Ready" in one.said())
        assert time.monotonic() - began < 20
        assert "jonas" in one.said() and "curl" in one.said()
        token = run(PROJECT, "token", "finance-agent", "--role", "finance", "--role", "agent", ORCHESTRATOR_HOME=str(tmp_path))
        asked = urllib.request.Request(
            f"http://127.0.0.1:{one.port}/api/approvals?status=pending", headers={"Authorization": f"Bearer {token.stdout.strip()}"}
        )
        with urllib.request.urlopen(asked, timeout=5) as reply:
            assert json.load(reply)["total"] > 0
    finally:
        ended = one.end()
    assert ended == 0 and not embedded.running(tmp_path)
