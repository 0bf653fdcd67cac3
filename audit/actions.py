"""The one verb on the trail itself: taking in what a caller reports."""

from datetime import datetime
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

from django.db import IntegrityError
from uuid_utils.compat import uuid7

from audit.action import Key, impatient
from audit.actor import Actor
from audit.errors import Invalid, KeyReused
from audit.models import AuditEvent

LONGEST_NAME = 42  # of category and action together: the event's name has 50


def ingest(
    *, actor: Actor, source: str, category: str, action: str, subject: str | None = None, trace_id: UUID | None = None,
    timestamp: datetime | None = None, metadata: dict[str, Any] | None = None, content: Any = None, key: Key | None = None,
) -> tuple[AuditEvent, bool]:  # fmt: skip
    """Keep an event that the caller reports, as reported by them; says too whether it had come before.

    It never gets subject columns, so it cannot pass for one of ours. With a key its id is derived from caller and key, so
    that a repeat finds it as long as it exists. Raises KeyReused for another body.
    """
    if len(category) + len(action) > LONGEST_NAME:
        raise Invalid("action", f"category and action may hold {LONGEST_NAME} characters together.")
    said = {"source": source, "subject": subject, "timestamp": timestamp, "content": content, "metadata": metadata}
    kept = {name: value for name, value in said.items() if value is not None}
    told = AuditEvent(
        id=uuid5(NAMESPACE_URL, f"{actor.principal}|{key.value}") if key else uuid7(),
        event_type=f"ingest.{category}.{action}", role=min(actor.org_roles, default=str(actor.kind)),
        trace_id=trace_id or actor.request_trace,
        metadata={**kept, **({"request_digest": key.digest} if key else {})},
        actor=actor.name[:255], actor_id=actor.principal, actor_kind=actor.kind,
    )  # fmt: skip
    try:
        _keep(told) if key is None else impatient(lambda: _keep(told))
    except IntegrityError:
        return _before(told, key), True
    return told, False


def _keep(told: AuditEvent) -> None:
    told.save(force_insert=True)


def _before(told: AuditEvent, key: Key | None) -> AuditEvent:
    """The event that the same key made."""
    before = AuditEvent.objects.get(pk=told.pk)
    if key and before.metadata.get("request_digest") != key.digest:
        raise KeyReused()
    return before
