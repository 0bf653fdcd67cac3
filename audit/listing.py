"""What every list page shares: filter fields that tell what is wrong with a value, and pages by keyset."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar
from uuid import UUID

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import Model, QuerySet
from django.utils.http import urlencode
from django.utils.translation import gettext_lazy as _

from audit.lanes import newest

Row = TypeVar("Row", bound=Model)
PAGE = 50
PREFIX = re.compile(r"^(session|task|approval)-(?=.)", re.IGNORECASE)


class IdField(forms.UUIDField):
    """An id with or without its kind before it (`task-...`), as the API writes them."""

    default_error_messages = {"invalid": _("That is no id: 32 digits from 0 to f, with or without dashes.")}

    def to_python(self, value: Any) -> UUID | None:  # type: ignore[override]
        """The UUID."""
        return super().to_python(PREFIX.sub("", value.strip()) if isinstance(value, str) else value)


class MomentField(forms.DateTimeField):
    """A time that a row can have, in the reader's zone; offered as the browser's own picker."""

    widget = forms.DateTimeInput(attrs={"type": "datetime-local"})
    default_error_messages = {"invalid": _("That is no time; write it like 2026-11-20T14:00.")}

    def to_python(self, value: Any) -> datetime | None:
        """The moment, in UTC; years that no calendar reaches are a mistake like any other."""
        moment = super().to_python(value)
        if moment and not 1970 <= moment.year <= 9000:
            raise ValidationError(_("A year between 1970 and 9000, please."))
        return moment.astimezone(UTC) if moment else None


class CursorField(forms.CharField):
    """Where the page before this one ended: `<time>_<id>`."""

    widget = forms.HiddenInput

    def to_python(self, value: Any) -> tuple[datetime, UUID] | None:  # type: ignore[override]
        """Time and id of the last row shown."""
        at, _separator, id = (super().to_python(value) or "").partition("_")
        if not at:
            return None
        try:
            return datetime.fromisoformat(at).astimezone(UTC), UUID(id)
        except (ValueError, OverflowError):
            raise ValidationError(_("This link does not belong to this list; begin at its top.")) from None

    def run_validators(self, value: Any) -> None:
        """What was read needs no further check."""


@dataclass(frozen=True)
class Page(Generic[Row]):
    """Some rows, and the query string of the next page ("" when there is none)."""

    rows: list[Row]
    older: str


def page(lanes: Sequence[QuerySet[Row]], field: str, form: forms.Form, *beside: str) -> Page[Row]:
    """The page that the form's `before` asks for, newest first by `field` and id, with what stands `beside` each row.

    No OFFSET, no count.
    """
    if before := form.cleaned_data.get("before"):
        at, id = before
        # The first condition lets the index begin there; the second leaves out what came before in the same instant.
        lanes = [lane.filter(**{f"{field}__lte": at}).exclude(**{field: at, "id__gte": id}) for lane in lanes]
    found = list(newest([lane.select_related(*beside) if beside else lane for lane in lanes], PAGE + 1, field))
    shown = found[:PAGE]
    more = f"{getattr(shown[-1], field).isoformat()}_{shown[-1].pk}" if len(found) > PAGE else ""
    return Page(shown, query(form.data, before=more) if more else "")


def query(given: Mapping[str, Any], **changes: str) -> str:
    """The query string that keeps the filters given and changes some."""
    return urlencode({name: value for name, value in {**{name: given[name] for name in given}, **changes}.items() if value})
