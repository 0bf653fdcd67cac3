"""`make bench` in small: it measures every row of its table, says how, and leaves nothing running."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench.rows import ROWS

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.long
@pytest.mark.timeout(300)
def test_a_tiny_run_measures_every_row(tmp_path: Path) -> None:
    result = tmp_path / "result.json"
    command = [sys.executable, "-m", "bench", str(result), "--tiny", "--home", str(tmp_path / "home"), "--rounds", "1", "--seconds", "0.5"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280)
    found = json.loads(result.read_text())
    assert done.returncode == (0 if found["holds"] else 1), done.stderr
    assert [(row["least"], row["most"]) for row in found["rows"]] == [(row.least, row.most) for row in ROWS]
    assert all(row["measured"]["per_second"] > 0 and row["baseline"]["p99_ms"] > 0 for row in found["rows"])
    assert {found["settings"][name] for name in ("fsync", "synchronous_commit", "full_page_writes")} == {"on"}
    assert done.stdout.count("\n") == 2 * len(ROWS) + 2 and "round 1 of 1" in done.stderr
    assert (tmp_path / "home" / "postgres.log").exists() and not list((tmp_path / "home").rglob("postmaster.pid"))
