"""The forms of the desk: a verdict and its note, on one request or several; what the list is narrowed to."""

from typing import Any
from uuid import UUID

from django import forms
from django.utils.translation import gettext_lazy as _

from approvals.models import DECIDED, ApprovalStatus


class NoteField(forms.CharField):
    """Browsers send CRLF; every other door sends what was typed, and the length is counted so."""

    def to_python(self, value: object) -> str:
        """With plain line ends."""
        return str(super().to_python(value)).replace("\r\n", "\n")


class VerdictForm(forms.Form):
    """Approve or reject; whether a note is needed is the action's rule."""

    verdict = forms.ChoiceField(
        choices=[(verdict, verdict) for verdict in DECIDED], error_messages={"required": _("Choose Approve or Reject.")}
    )
    note = NoteField(max_length=10_000, required=False)
    confirmed = forms.BooleanField(required=False)


class IdsField(forms.Field):
    """Ids of requests; what is none is left out, as it would find nothing."""

    widget = forms.MultipleHiddenInput

    def to_python(self, value: Any) -> list[UUID]:
        """In the order given."""
        return [UUID(text) for text in value or [] if _is_id(text)]


def _is_id(text: str) -> bool:
    try:
        return bool(UUID(text))
    except ValueError:
        return False


class SeveralForm(VerdictForm):
    """The same verdict on all that were selected."""

    id = IdsField(required=False)


class Filter(forms.Form):
    """What narrows a list; an empty one shows all."""

    q = forms.CharField(required=False, max_length=200)
    role = forms.CharField(required=False, max_length=50)
    risk = forms.BooleanField(required=False)
    outcome = forms.ChoiceField(required=False, choices=[("", _("any")), *ApprovalStatus.choices[1:]])
