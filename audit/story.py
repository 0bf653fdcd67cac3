"""What happened, told in sentences: the one timeline of requests, sessions and the audit trail."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any
from unicodedata import category
from uuid import UUID

from django.template.defaultfilters import truncatechars
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop as noop

from audit.models import AuditEvent

#: Blank though they count as letters or symbols; they hide text as well as the format characters do.
BLANK = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
LONG = timedelta(minutes=1)  # from which on a pause is worth a word
#: Per event type: the line's look (static/app.css, .story) and its sentence.
SENTENCES = {
    "session.opened": ("", noop("Session opened by {actor}")),
    "session.updated": ("", noop("Session changed by {actor}")),
    "session.completed": ("end", noop("Session completed by {actor}")),
    "session.failed": ("fail", noop("Session failed, ended by {actor}")),
    "session.expired": ("", noop("Session expired: nothing happened in it for too long")),
    "task.routed": ("", noop("Task {task} routed from {role} to {to} by {actor}")),
    "task.claimed": ("", noop("Task claimed by {actor}")),
    "task.completed": ("end", noop("Task completed by {actor}")),
    "task.failed": ("fail", noop("Task failed, says {actor}")),
    "task.cancelled": ("", noop("Task cancelled by {actor}")),
    "approval.requested": ("now", noop("Approval asked of {of} by {actor}")),
    "approval.approved": ("yes", noop("{actor} approved")),
    "approval.rejected": ("no", noop("{actor} rejected")),
    "approval.refused": ("refused", noop("{actor} tried to decide and was refused")),
    "approval.expired": ("", noop("Request expired: nobody decided it in time")),
    "approval.cancelled": ("", noop("Request cancelled by {actor}")),
}
#: The same with a name for what it is about, where many stories stand in one list.
ABOUT = {
    "task.routed": noop("{actor} hands {about} to {to}"),
    "task.claimed": noop("{actor} picked up {about}"),
    "task.completed": noop("{actor} completed {about}"),
    "task.failed": noop("{actor} failed at {about}"),
    "task.cancelled": noop("{actor} took back {about}"),
    "approval.requested": noop("{actor} asks {of}: {about}"),
    "approval.approved": noop("{actor} approved {about}"),
    "approval.rejected": noop("{actor} rejected {about}"),
    "approval.refused": noop("{actor} tried to decide {about} and was refused"),
    "approval.expired": noop("Nobody decided {about} in time"),
    "approval.cancelled": noop("{actor} took back the request: {about}"),
}


@dataclass(frozen=True)
class Line:
    """One line of a story: `kind` is its CSS class, `sentence` safe HTML, `day` set where a new day begins.

    `after` is how long nothing had happened before it, in a story told from its beginning; short whiles are left out.
    """

    event: AuditEvent
    kind: str
    sentence: SafeString
    day: date | None
    after: str = ""

    @property
    def details(self) -> list[tuple[str, str]]:
        """What the event keeps beside its sentence, member by member; what is no plain word as JSON."""
        return [(visible(name, 60), visible(_written(value))) for name, value in self.event.metadata.items()]

    @property
    def principal(self) -> str:
        """Who it was, without a doubt."""
        return visible(self.event.actor_id)

    @property
    def short(self) -> str:
        """The subject's id, as much as people compare: ids of the same moment begin alike."""
        return f"…{str(self.event.subject_id)[-8:]}"

    @property
    def short_trace(self) -> str:
        """The trace's id, likewise."""
        return f"…{str(self.event.trace_id)[-8:]}"


def visible(text: object, longest: int = 10_000) -> str:
    """The text with what changes direction, hides or has no width written out, like [U+202E]; cut at `longest`.

    Plain text still: escape it like any other.
    """
    return "".join(_shown(character) for character in truncatechars(str(text), longest))


def hides(character: str) -> bool:
    """Whether nobody could see the character, or it changes how its neighbours are read."""
    return (category(character) in {"Cc", "Cf", "Cs", "Zl", "Zp"} or character in BLANK) and character not in "\n\t"


def _shown(character: str) -> str:
    return f"[U+{ord(character):04X}]" if hides(character) else character


def span(time: timedelta) -> str:
    """A length of time in at most two units: 42 s, 11 min, 1 h 20 min, 3 d 4 h."""
    seconds = max(int(time.total_seconds()), 0)
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86_400
    if days:
        return _("{days} d {hours} h").format(days=days, hours=hours % 24)
    if hours:
        return _("{hours} h {minutes:02} min").format(hours=hours, minutes=minutes % 60)
    return _("{minutes} min").format(minutes=minutes) if minutes else _("{seconds} s").format(seconds=seconds)


def tell(events: Iterable[AuditEvent], about: Mapping[UUID, SafeString] | None = None, longest: int = 10_000) -> list[Line]:
    """The events as lines, in the order given.

    `about` names objects by id (safe HTML, usually a link) and `longest` cuts notes and reasons, both for lists of many stories.
    """
    lines: list[Line] = []
    day, before = timezone.localdate(), None
    for event in events:
        on = timezone.localdate(event.timestamp)
        kind, sentence = _sentence(event, (about or {}).get(event.subject_id) if event.subject_id else None, longest)
        pause = event.timestamp - before if before else timedelta()
        lines.append(Line(event, kind, sentence, on if on != day else None, span(pause) if pause >= LONG else ""))
        day, before = on, event.timestamp
    return lines


def _written(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False)


def _sentence(event: AuditEvent, about: SafeString | None, longest: int) -> tuple[str, SafeString]:
    kind, form = SENTENCES.get(event.event_type, ("", noop("{actor}: {type}")))
    if event.event_type.startswith("ingest."):
        form = noop("Reported by {actor}: {type}")
    elif about:
        form = ABOUT.get(event.event_type, form + ": {about}")
    parts = {
        "task": _bold(event.metadata.get("task_type", "?")),
        **{name: _bold(_role(event.metadata.get(name, "?"))) for name in ("to", "of")},
    }
    told = format_html(_(form), actor=_actor(event), role=_role(event.role), about=about, type=visible(event.event_type), **parts)
    return kind, format_html("{}{}", told, _said(event, longest))


def _actor(event: AuditEvent) -> SafeString:
    if event.actor_kind == "system":
        return format_html("{}", _("the system"))
    name = format_html('<b title="{}">{}</b>', event.actor_kind, visible(event.actor))
    return format_html(_("{} as admin"), name) if event.role == "admin" else name


def _role(word: Any) -> Any:
    """Two letters are an abbreviation (IT, HR); in small ones they would read as a word."""
    return word.upper() if isinstance(word, str) and len(word) == 2 else word


def _bold(text: Any) -> SafeString:
    return format_html("<b>{}</b>", visible(text, 255))


def _said(event: AuditEvent, longest: int) -> SafeString:
    """What somebody said about it (in quotes), or why it happened; a session that ends with its task needs no reason."""
    details = event.metadata
    if note := details.get("note"):
        return format_html(": “<span class=said>{}</span>”", visible(note, longest))
    if event.event_type == "session.updated":
        return format_html(": {}", _changed(details)) if _changed(details) else SafeString()
    because = details.get("because") if event.subject_type != "session" else None
    return format_html(": <span class=said>{}</span>", visible(because, longest)) if because else SafeString()


def _changed(details: dict[str, Any]) -> str:
    moved = [_("now {}").format(visible(details["to"], 20))] if "to" in details else []
    took = [_("took its task")] if "task" in details else []
    noted = [_("noted {}").format(visible(", ".join(details["metadata"]), 200))] if isinstance(details.get("metadata"), dict) else []
    return "; ".join([*moved, *took, *noted])
