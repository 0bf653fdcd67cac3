"""Lists and versions: pages, signed cursors, ETag and If-Match."""

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, NamedTuple, NotRequired, Protocol, TypeVar
from uuid import UUID

from django.core import signing
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest, HttpResponse, JsonResponse
from pydantic import AfterValidator, BaseModel
from typing_extensions import TypedDict

from audit.actor import actor_of
from audit.errors import Invalid
from audit.lanes import counted, newest
from audit.models import Audited

Row = TypeVar("Row", bound=Model)
Rows = TypeVar("Rows", bound=QuerySet[Any])
MOST = 100  # rows of one page
FARTHEST = 100_000  # rows that pages may skip; a cursor walks farther
COUNTED = 10_000  # beyond that `total` is not exact
ETAG = re.compile(r'"([1-9]\d{0,8})"')


def _moment(value: datetime) -> datetime:
    """In UTC; without a zone it is UTC. Years that no row can have are a mistake, not an error of the database."""
    if not 1970 <= value.year <= 9000:
        raise ValueError("must lie between 1970 and 9000")
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


Moment = Annotated[datetime, AfterValidator(_moment)]


class Paging(BaseModel):
    """The members of every list's query; since and until mean created."""

    page: int = 1
    page_size: int = 20
    cursor: str | None = None
    since: Moment | None = None
    until: Moment | None = None


class Page(TypedDict):
    """What every list's envelope holds besides its rows."""

    total: int
    page: int
    page_size: int
    next_cursor: str | None
    total_is_exact: NotRequired[bool]


def listed(
    request: HttpRequest, name: str, lanes: Sequence[QuerySet[Row]], query: Paging, shape: Callable[[Row], Mapping[str, Any]],
    beside: tuple[str, ...] = (),
) -> JsonResponse:  # fmt: skip
    """One page of the lanes' rows (with what stands `beside` them), newest first, in the contract's envelope; at most two queries."""
    span = Q(**{name: at for name, at in (("created_at__gte", query.since), ("created_at__lt", query.until)) if at})
    lanes = [lane.filter(span).select_related(*beside) if beside else lane.filter(span) for lane in lanes]
    size, page, cursor = min(max(query.page_size, 1), MOST), max(query.page, 1), read_cursor(request, query)
    start = 0 if cursor else (page - 1) * size
    if start + size > FARTHEST:
        raise Invalid("cursor", f"Pages end at row {FARTHEST}; walk on with cursor, from next_cursor.")
    # One row more than asked, to know whether there is a next page.
    found = list(newest([keyset(lane, cursor, "created_at") for lane in lanes], start + size + 1)[start:])
    total = COUNTED + 1 if cursor and cursor.many else counted(lanes, COUNTED + 1)
    members = {
        name: [shape(row) for row in found[:size]], "total": min(total, COUNTED), "page": page, "page_size": size,
        "next_cursor": next_cursor(request, query, found[size - 1], "created_at", total > COUNTED) if len(found) > size else None,
    }  # fmt: skip
    return JsonResponse(members if total <= COUNTED else {**members, "total_is_exact": False})


class Walked(Protocol):
    """A query that walks with a cursor."""

    cursor: str | None

    def model_dump(self, *, exclude: set[str]) -> dict[str, Any]:
        """Its members."""


class Cursor(NamedTuple):
    """The row after which to go on, and whether the walk began with more rows than are counted: then nobody counts them again."""

    at: datetime
    id: UUID
    many: bool


def keyset(rows: Rows, after: Cursor | None, column: str) -> Rows:
    """The rows after the cursor's, by (column, id) descending; all without one."""
    if not after:
        return rows
    # The first condition lets the index begin there; the second leaves out what came before in the same instant.
    return rows.filter(**{f"{column}__lte": after.at}).exclude(**{column: after.at, "id__gte": after.id})


def next_cursor(request: HttpRequest, query: Walked, last: Model, column: str, many: bool = False) -> str:
    """A signed, opaque cursor to what comes after `last`."""
    return _signer().sign_object([_bound(request, query), getattr(last, column).isoformat(), str(last.pk), many])


def _signer() -> signing.Signer:
    """Without a time: the same page has the same cursor."""
    return signing.Signer(salt="cursor")


def read_cursor(request: HttpRequest, query: Walked) -> Cursor | None:
    """The query's cursor, if it has one. Raises Invalid for one that is foreign or broken."""
    if not query.cursor:
        return None
    try:
        bound, at, id, many = _signer().unsign_object(query.cursor)
        if bound == _bound(request, query):
            return Cursor(datetime.fromisoformat(at), UUID(id), many)
    except (signing.BadSignature, ValueError, TypeError):
        pass
    raise Invalid("cursor", "This cursor does not belong to this list, these filters and this caller; begin without one.")


def _bound(request: HttpRequest, query: Walked) -> str:
    """What a cursor belongs to: route, filters, caller."""
    filters = {name: value and str(value) for name, value in query.model_dump(exclude={"page", "page_size", "cursor"}).items()}
    text = json.dumps([request.path, actor_of(request).principal, filters], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def etag(row: Audited) -> str:
    """The row's version; having lapsed counts as another one."""
    return f'"{row.version}-expired"' if getattr(row, "has_lapsed", False) else f'"{row.version}"'


def one(row: Audited, body: Mapping[str, Any]) -> HttpResponse:
    """One object's answer with its ETag."""
    return JsonResponse(body, headers={"ETag": etag(row)})


def if_match(request: HttpRequest) -> frozenset[int] | None:
    """The versions that the caller will accept; None for any.

    A tag that we never gave matches nothing, nor does that of what has lapsed: a change finds it expired, a version further.
    """
    given = request.headers.get("If-Match")
    if given is None or given.strip() == "*":
        return None
    tags = [ETAG.fullmatch(tag.strip()) for tag in given.split(",")]
    return frozenset(int(tag[1]) for tag in tags if tag)
