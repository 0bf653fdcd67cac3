"""The one form of the desk: a verdict and its note."""

from django import forms
from django.utils.translation import gettext_lazy as _

from approvals.models import DECIDED


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
