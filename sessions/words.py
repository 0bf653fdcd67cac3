"""Agents' text for people: what hides in it spelled out, names humanised, a task's title."""

import re
from collections.abc import Mapping
from itertools import groupby
from unicodedata import name

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from audit.story import hides
from audit.story import visible as spelled
from sessions.models import Task

LONGEST = 20_000  # characters shown
TITLED = ("title", "subject", "summary")


def visible(text: object, longest: int = LONGEST) -> SafeString:
    """The text, escaped; what changes direction, hides or has no width is written out and marked."""
    whole = str(text)
    parts = (_piece(key, "".join(run)) for key, run in groupby(whole[:longest], hidden))
    return format_html("{}{}", format_html_join("", "{}", ((part,) for part in parts)), "…" if len(whole) > longest else "")


def hidden(character: str) -> str:
    """The character itself if nobody could see it, so that runs of it can be told; else nothing."""
    return character if hides(character) else ""


def _piece(hidden: str, run: str) -> str:
    if not hidden:
        return run
    times = f" ×{len(run)}" if len(run) > 1 else ""  # noqa: RUF001 - the sign people read
    return format_html(
        '<span class="ctl" title="{}">[U+{}{}]</span>', name(hidden, _("control character")).lower(), f"{ord(hidden):04X}", times
    )


def first_line(text: str, longest: int = 160) -> str:
    """The first line that says something."""
    line = next((line.strip() for line in text[:LONGEST].splitlines() if line.strip()), "")
    return line if len(line) <= longest else f"{line[: longest - 1]}…"


def humanised(word: str) -> str:
    """`cost_centre` and `costCentre` for people: Cost centre."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", word[:80]).replace("_", " ").replace("-", " ").split()
    said = " ".join(part if part.isupper() else part.lower() for part in words)
    return said[:1].upper() + said[1:]


def role_name(role: str) -> str:
    """A role for people; two letters are an abbreviation (IT, HR)."""
    return role.upper() if len(role) == 2 else humanised(role)


def title(task: Task) -> str:
    """data.title, subject or summary; else the description's first line; else the type in plain words.

    Plain text with what hides in it written out, like [U+202E]: escape it like any other.
    """
    given = [task.data.get(member) for member in TITLED] if isinstance(task.data, Mapping) else []
    lines = (first_line(text) for text in [*given, task.description] if isinstance(text, str))
    return spelled(next((line for line in lines if line), "") or humanised(task.task_type), 200)
