"""Long lists as the short index walks they are made of: one per role (and state), each newest first, then merged.

A condition over several roles and states at once makes the database sort or search through everything it might mean; one lane
costs as many rows as it shows, whether there are a thousand rows or a million. The lanes of a list must not overlap.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, TypeVar

from django.db.models import Expression, F, Func, Model, QuerySet, Value
from django.db.models.functions import Now
from django.db.models.lookups import GreaterThan

Rows = TypeVar("Rows", bound=QuerySet[Any])
Row = TypeVar("Row", bound=Model)


def newest(of: Sequence[QuerySet[Row]], most: int, by: str = "created_at") -> QuerySet[Row]:
    """The newest `most` rows of all lanes, newest first by (`by`, id); no further conditions can be put on them."""
    first, *others = _walks(of, most, by)
    return first.union(*others, all=True).order_by(f"-{by}", "-id")[:most] if others else first


def counted(of: Sequence[QuerySet[Any]], most: int) -> int:
    """How many rows the lanes hold together; counting stops at `most`, and walks as `newest` does."""
    first, *others = (lane.values("pk") for lane in _walks(of, most))
    return (first.union(*others, all=True) if others else first)[:most].count()


def _walks(of: Sequence[Rows], most: int, by: str = "created_at") -> list[Rows]:
    """The newest of each lane that can hold anything (or of the only one)."""
    held = [lane for lane in of if not lane.query.is_empty()] or [of[0]]
    return [(lane if lane.query.order_by else lane.order_by(f"-{by}", "-id"))[:most] for lane in held]


def few(rows: Rows, by: str = "created_at") -> Rows:
    """A lane of few rows, to be found by their conditions and then sorted: no index on the order tempts the planner."""
    return rows.order_by((F(by) + Value(timedelta())).desc(), "-id")


def later(field: str, moment: Expression | Func) -> GreaterThan:
    """`field` > `moment`, said so that no index on `field` tempts the planner away from the lane's own."""
    return GreaterThan(F(field) + Value(timedelta()), moment)


def later_than_now(field: str) -> GreaterThan:
    """The same for the present moment."""
    return later(field, Now())
