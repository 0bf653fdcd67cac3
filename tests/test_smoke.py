"""deploy/smoke.sh against a real server: every line of it, what it says when something is wrong, and that it keeps secrets."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.identity import own_token
from tests.conftest import free_port
from tests.evidence import count, incomplete, sql

SCRIPT = Path(__file__).parent.parent / "deploy" / "smoke.sh"
CHECKS = [
    "health", "auth refused", "identity", "session", "route", "duplicate", "ask", "expiry", "four eyes", "decide", "wait",
    "claim and complete", "audit",
]  # fmt: skip
Smoke = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def tokens() -> dict[str, str]:
    """The two callers, with more roles than one as they have in a deployment."""
    return {
        "AGENT_TOKEN": own_token("smoke-agent", ["agent", "finance"], 600),
        "MANAGER_TOKEN": own_token("smoke-manager", ["auditor", "manager", "legal"], 600),
    }


@pytest.fixture
def smoke(store: None, server: str, tmp_path: Path) -> Smoke:
    """Runs the script as somebody who set these variables, with a folder for temporary files of its own."""
    (tmp_path / "temporary").mkdir()

    def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        clean = {"PATH": os.environ["PATH"], "TMPDIR": str(tmp_path / "temporary"), "ORCHESTRATOR_URL": server, **environment}
        return subprocess.run(["sh", str(SCRIPT), *arguments], env=clean, capture_output=True, text=True, timeout=100)

    return run


def test_a_running_instance_passes_every_check(smoke: Smoke, tokens: dict[str, str]) -> None:
    done = smoke(**tokens)
    assert done.stdout.splitlines() == [f"ok   {name}" for name in CHECKS], done.stdout
    assert (done.returncode, done.stderr) == (0, "")
    assert sql("SELECT status, metadata FROM sessions") == [("completed", '{"smoke": true}')]
    assert (count("tasks"), count("approvals"), incomplete()) == (1, 1, [])


def test_the_address_may_end_as_agents_write_it(smoke: Smoke, tokens: dict[str, str], server: str) -> None:
    for _ in range(2):  # a second run is not disturbed by the first one's keys
        assert smoke(**tokens, ORCHESTRATOR_URL=f"{server}/api/").returncode == 0


def test_a_wrong_token_fails_and_says_whose(smoke: Smoke, tokens: dict[str, str]) -> None:
    tokens["MANAGER_TOKEN"] = tokens["MANAGER_TOKEN"][:-4] + "AAAA"
    failed = smoke(**tokens)
    assert failed.returncode == 1
    assert failed.stdout.splitlines()[:2] == ["ok   health", "ok   auth refused"]
    assert failed.stdout.splitlines()[2].startswith("FAIL identity: 401 instead of 200: ")
    assert len(failed.stdout.splitlines()) == 3
    assert count("sessions") == 0


def test_an_agent_in_the_persons_place_fails(smoke: Smoke, tokens: dict[str, str]) -> None:
    failed = smoke(AGENT_TOKEN=tokens["AGENT_TOKEN"], MANAGER_TOKEN=own_token("robot", ["manager", "agent"], 600))
    assert failed.returncode == 1
    assert "FAIL identity: kind is 'agent' instead of 'person'" in failed.stdout


def test_a_token_without_a_place_on_the_org_chart_fails(smoke: Smoke, tokens: dict[str, str]) -> None:
    failed = smoke(AGENT_TOKEN=tokens["AGENT_TOKEN"], MANAGER_TOKEN=own_token("ada", ["auditor"], 600))
    assert failed.returncode == 1
    assert "FAIL identity: both need a role of the org chart" in failed.stdout


def test_what_cannot_be_reached_fails(smoke: Smoke, tokens: dict[str, str]) -> None:
    failed = smoke(**tokens, ORCHESTRATOR_URL=f"http://127.0.0.1:{free_port()}")
    assert failed.returncode == 1
    assert failed.stdout.startswith("FAIL health: 000 instead of 200: curl: (7)")


@pytest.mark.parametrize(
    ("missing", "value"), [("AGENT_TOKEN", ""), ("MANAGER_TOKEN", ""), ("MANAGER_TOKEN", "ab\nX-Other: header"), ("AGENT_TOKEN", 'a"b')]
)
def test_without_two_usable_tokens_it_says_how_to_call_it(smoke: Smoke, tokens: dict[str, str], missing: str, value: str) -> None:
    refused = smoke(**{**tokens, missing: value})
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr.startswith("usage: ")


def test_an_argument_gets_the_usage_too(smoke: Smoke, tokens: dict[str, str]) -> None:
    assert smoke("--help", **tokens).returncode == 2


#: A curl that first tells what it was called with and what it could see.
TELLING_CURL = """#!/bin/sh
{ echo "$@"; env; } >>"$0.told"
ls -lR "$TMPDIR" >>"$0.files"
exec REAL "$@"
"""


def test_the_tokens_stay_off_command_lines_and_leave_nothing_behind(smoke: Smoke, tokens: dict[str, str], tmp_path: Path) -> None:
    real, telling = shutil.which("curl"), tmp_path / "bin" / "curl"
    assert real
    telling.parent.mkdir()
    telling.write_text(TELLING_CURL.replace("REAL", real))
    telling.chmod(0o700)
    done = smoke(**tokens, PATH=f"{telling.parent}:{os.environ['PATH']}")
    assert done.returncode == 0
    told = Path(f"{telling}.told").read_text()
    assert "/tasks/route" in told
    for token in tokens.values():
        assert token not in told + done.stdout + done.stderr
    files = [line for line in Path(f"{telling}.files").read_text().splitlines() if line.endswith((" agent", " manager"))]
    assert files and all(line.startswith("-rw-------") for line in files)
    assert list((tmp_path / "temporary").iterdir()) == []


#: A curl whose replies come without one header.
LOSING_CURL = """#!/bin/sh
REAL "$@"
status=$?
for each in "$@"; do
  case $each in *.head) sed -i "/^LOST:/d" "$each" ;; esac
done
exit $status
"""

#: What breaks, and the line that must say so.
BROKEN = {
    "Idempotent-Replayed": "FAIL duplicate: no Idempotent-Replayed",
    "WWW-Authenticate": "FAIL auth refused: no WWW-Authenticate",
    "ETag": "FAIL audit: the events of ",
}


@pytest.mark.parametrize("lost", BROKEN)
def test_a_header_lost_on_the_way_is_noticed(smoke: Smoke, tokens: dict[str, str], tmp_path: Path, lost: str) -> None:
    losing = tmp_path / "bin" / "curl"
    losing.parent.mkdir()
    losing.write_text(LOSING_CURL.replace("REAL", shutil.which("curl") or "").replace("LOST", lost))
    losing.chmod(0o700)
    failed = smoke(**tokens, PATH=f"{losing.parent}:{os.environ['PATH']}")
    assert failed.returncode == 1
    (line,) = [line for line in failed.stdout.splitlines() if line.startswith("FAIL")]
    assert line.startswith(BROKEN[lost])
