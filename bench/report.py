"""What a run found: each row's ratio and whether it holds, as JSON and as a table."""

import json
import os
import platform
import re
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from bench.measure import CLIENTS, PROCESSES, Seen
from bench.rows import ROWS, Row
from bench.stage import WORKERS, Sizes

#: Of each measurement, one for each round.
Rounds = dict[str, list[Seen]]


def result(rounds: Rounds, sizes: Sizes, seconds: float, database: dict[str, str]) -> dict[str, Any]:
    """All of it; docs/bench.md says what the members mean."""
    shares = [seen.processor for name, seens in rounds.items() if name != "sql" for seen in seens]
    rows = [_row(row, rounds, sizes) for row in ROWS]
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {"cores": os.cpu_count(), "processor": _processor(), "system": platform.platform(), "python": platform.python_version()},
        "settings": {
            "clients": CLIENTS, "client_processes": PROCESSES, "workers": WORKERS, "rounds": len(rounds["sql"]), "seconds": seconds,
            "rows": asdict(sizes), "pgbench_protocol": "simple", **database,
        },
        "client_share_of_processor": {"median": round(median(shares), 3), "most": round(max(shares), 3)},
        "rows": rows,
        "holds": all(row["holds"] for row in rows),
    }  # fmt: skip


def _row(row: Row, rounds: Rounds, sizes: Sizes) -> dict[str, Any]:
    pairs = zip(rounds[row.measured], rounds[row.baseline], strict=True)
    ratios = [_ratio(row, measured.per_second, baseline.per_second) for measured, baseline in pairs]
    ratio = median(ratios)
    return {
        "what": _named(row.what, sizes), "against": _named(row.against, sizes), "ratio": round(ratio, 3),
        "rounds": [round(each, 3) for each in ratios], "least": row.least, "most": row.most,
        "holds": ratio >= row.least if row.least is not None else ratio <= (row.most or 0),
        "measured": _figures(rounds[row.measured]), "baseline": _figures(rounds[row.baseline]),
    }  # fmt: skip


def _ratio(row: Row, measured: float, baseline: float) -> float:
    """The rates' quotient; where a row says `most`, how many times slower."""
    return measured / baseline if row.least is not None else baseline / measured


def _named(text: str, sizes: Sizes) -> str:
    (few_sessions, few_pending), (sessions, pending) = sizes.small, sizes.large
    return text.replace("{id}", "{{id}}").format(sessions=sessions, pending=pending, few_sessions=few_sessions, few_pending=few_pending)


def _figures(seens: list[Seen]) -> dict[str, float]:
    """Requests a second (the rounds' median), and percentiles in milliseconds over all rounds."""
    times = sorted(one for seen in seens for one in seen.times)
    places = {f"p{share}_ms": round(times[min(len(times) * share // 100, len(times) - 1)] / 1000, 2) for share in (50, 95, 99)}
    return {"per_second": round(median(seen.per_second for seen in seens), 1), **places}


def table(found: dict[str, Any]) -> str:
    """For people: one line for each row, measured before baseline."""
    lines = [f"{'what':<46} {'ratio':>7} {'must be':>9}   {'':7}{'/s':>8} {'p50':>8} {'p95':>8} {'p99':>8} ms"]
    for row in found["rows"]:
        bound = f">= {row['least']}" if row["least"] is not None else f"<= {row['most']}"
        verdict = "" if row["holds"] else "   MISSED"
        lines.append(f"{row['what']:<46} {row['ratio']:>7.2f} {bound:>9}   {_line('measured', row['measured'])}{verdict}")
        lines.append(f"  {row['against']:<62}   {_line('against', row['baseline'])}")
    share, machine, settings = found["client_share_of_processor"], found["machine"], found["settings"]
    lines.append(
        f"{found['at']}, {machine['cores']} cores ({machine['processor']}), {settings['clients']} clients, {settings['workers']} workers, "
        f"{settings['rounds']} rounds of {settings['seconds']} s; the clients took {share['median']:.0%} of the processors."
    )
    return "\n".join(lines)


def _line(name: str, figures: dict[str, float]) -> str:
    places = " ".join(f"{figures[place]:>8.2f}" for place in ("p50_ms", "p95_ms", "p99_ms"))
    return f"{name:<8}{figures['per_second']:>7.0f} {places}"


def _processor() -> str:
    """What it is called."""
    told = Path("/proc/cpuinfo")
    found = re.search(r"^model name\s*: (.*)$", told.read_text(), re.MULTILINE) if told.exists() else None
    return found[1] if found else platform.machine()


def write(found: dict[str, Any], path: Path) -> None:
    """As JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found, indent=2) + "\n")
