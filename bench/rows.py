"""The table's rows: what is measured, against what, and the least (or the most) that their ratio may be."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One line of the table. `least`: the measured rate is at least that share of the baseline's; `most`: at most so many times slower."""

    what: str
    against: str
    measured: str  #: names of the measurements
    baseline: str
    least: float | None = None
    most: float | None = None


ROWS = [
    Row("keyed POST /sessions", "pgbench running the same SQL", "open", "sql", least=0.25),
    Row("GET /sessions/{id}", "a bare Django view", "read", "bare", least=0.30),
    Row("replay of a keyed POST", "its first execution", "replay", "open", least=1.5),
    Row("decision of an approval", "keyed POST /sessions", "decide", "open", least=0.7),
    Row("list by cursor, {sessions:,} sessions deep", "first page of {few_sessions:,}", "deep", "first", most=1.2),
    Row("inbox page with {pending:,} pending", "with {few_pending:,} pending", "inbox_large", "inbox_small", most=1.5),
    Row("unchanged poll of that inbox (304)", "the page in full", "poll", "inbox_large", least=5.0),
]
