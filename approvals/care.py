"""Which requests are approved only after a second look: high risk, says the payload, or an amount above CONFIRM_ABOVE."""

from django.conf import settings
from django.utils.translation import gettext as _

from sessions import payload
from sessions.models import Task


def why_twice(task: Task) -> str:
    """Why approving it has to be confirmed; empty if it has not. Amounts count in whatever currency they are given."""
    found = {fact.kind: fact for fact in payload.facts(task.data, task.context)}
    if "risk" in found:
        return _("its risk is said to be high")
    figure = found["amount"].figure if "amount" in found else None
    if figure is not None and abs(figure) > settings.CONFIRM_ABOVE:
        return _("its amount is above %(limit)s") % {"limit": f"{settings.CONFIRM_ABOVE:,}"}
    return ""
