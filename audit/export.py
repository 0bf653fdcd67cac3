"""The trail as a file: JSON Lines or CSV, streamed row by row, safe to open in a spreadsheet."""

import csv
import json
from collections.abc import Iterator
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.db import transaction
from django.http import StreamingHttpResponse

from audit.models import AuditEvent, AuditEventQuerySet

FIELDS = [
    "event_id", "event_type", "role", "actor", "actor_id", "actor_kind", "timestamp", "trace_id", "subject", "version",
    "metadata", "digest",
]  # fmt: skip
TYPES = {"csv": "text/csv; charset=utf-8", "jsonl": "application/jsonl"}
CHUNK = 2000  # rows fetched at a time
#: A spreadsheet takes a cell that begins so for a formula (OWASP, "CSV injection").
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def subject_of(event: AuditEvent) -> str | None:
    """The object's id as the API writes it."""
    if not event.subject_id:
        return None
    return str(event.subject_id) if event.subject_type == "session" else f"{event.subject_type}-{event.subject_id}"


def row_of(event: AuditEvent) -> dict[str, Any]:
    """One event, whole."""
    return {
        "event_id": str(event.pk), "event_type": event.event_type, "role": event.role, "actor": event.actor, "actor_id": event.actor_id,
        "actor_kind": event.actor_kind, "timestamp": event.timestamp.isoformat(), "trace_id": str(event.trace_id),
        "subject": subject_of(event), "version": event.version, "metadata": event.metadata, "digest": event.digest,
    }  # fmt: skip


def export(events: AuditEventQuerySet, form: str, name: str = "audit") -> StreamingHttpResponse:
    """A download of `events`, oldest first, in constant memory; `form` is jsonl or csv, `name` the file's without its ending."""
    lines = {"jsonl": _jsonl, "csv": _csv}[form]
    response = StreamingHttpResponse(lines(events.order_by("timestamp", "id")), content_type=TYPES[form])
    response["Content-Disposition"] = f'attachment; filename="{name}.{form}"'
    return response


def _rows(events: AuditEventQuerySet) -> Iterator[dict[str, Any]]:
    # In a transaction the server-side cursor needs no copy of its whole result before the first row.
    with transaction.atomic():
        for event in events.iterator(chunk_size=CHUNK):
            yield row_of(event)


def _jsonl(events: AuditEventQuerySet) -> Iterator[str]:
    for row in _rows(events):
        yield json.dumps(row, cls=DjangoJSONEncoder, ensure_ascii=False) + "\n"


class _Echo:
    """A file that hands each line back instead of keeping it."""

    def write(self, line: str) -> str:
        return line


def _csv(events: AuditEventQuerySet) -> Iterator[str]:
    writer = csv.writer(_Echo())
    yield writer.writerow(FIELDS)
    for row in _rows(events):
        yield writer.writerow([_cell(row[name]) for name in FIELDS])


def _cell(value: object) -> str:
    text = "" if value is None else json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else str(value)
    return f"'{text}" if text.startswith(FORMULA) else text
