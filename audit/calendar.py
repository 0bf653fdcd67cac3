"""What Django admin reads of a big table: a count that stops, and a calendar that knows its days without reading them."""

from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from django.core.paginator import Paginator
from django.db.models import Max, Min, QuerySet
from django.utils import timezone

#: From the beginning of a period surely into the next one, and not beyond it.
STEP = {"year": timedelta(days=366), "month": timedelta(days=31), "day": timedelta(days=1)}
COUNTED = 10_000  # rows; who needs more of them searches or filters


class ShortPaginator(Paginator):  # type: ignore[type-arg]  # generic for the type checker alone
    """Pages of the first 10,000 rows: counting a million for each page takes longer than reading one."""

    @cached_property
    def count(self) -> int:
        """How many rows, at most 10,000."""
        rows: Any = self.object_list
        return int(rows.order_by()[:COUNTED].count())


class Dated(QuerySet[Any]):
    """Rows whose days, months and years are all that lie between the first and the last: two looks at an index."""

    def datetimes(self, field_name: str, kind: str, *args: Any, **kwargs: Any) -> Any:
        """The beginnings of each period, in the reader's zone; Django's own reads every row to find those that are not empty."""
        ends = self.order_by().aggregate(first=Min(field_name), last=Max(field_name))
        if ends["first"] is None:
            return []
        first, last = (timezone.localtime(ends[name]) for name in ("first", "last"))
        return periods(first, last, kind)


def periods(first: datetime, last: datetime, kind: str) -> list[datetime]:
    """The beginnings of the years, months or days from one moment to another."""
    begins = {"year": _year, "month": _month, "day": _day}[kind]
    found, at = [], begins(first)
    while at <= last:
        found.append(at)
        at = begins(at + STEP[kind])
    return found


def _day(at: datetime) -> datetime:
    return at.replace(hour=0, minute=0, second=0, microsecond=0)


def _month(at: datetime) -> datetime:
    return _day(at).replace(day=1)


def _year(at: datetime) -> datetime:
    return _month(at).replace(month=1)
