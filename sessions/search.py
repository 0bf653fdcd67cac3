"""Finding sessions: by role, by the beginning of an id, by words of the metadata or of the task's title."""

import re
from functools import reduce
from operator import or_
from uuid import UUID

from django.db import connection, transaction
from django.db.models import BooleanField, Case, F, Func, IntegerField, Q, Value, When
from django.db.models.lookups import GreaterThan

from audit.actor import Actor
from audit.lanes import few
from sessions.models import Session, SessionQuerySet
from sessions.words import TITLED

HEAVY = 4_000  # bytes
FOUND = LATEST = 500  # of the text index's matches; among how many of the caller's latest every match is found
PREFIX = re.compile(r"(?:session-)?([0-9a-f]{8}[0-9a-f-]{0,28})", re.IGNORECASE)


class Noted(Func):
    """Whether the metadata holds the words, as PostgreSQL's text search sees words; written as its index is."""

    template = "to_tsvector('simple', %(expressions)s)"
    arg_joiner = ") @@ plainto_tsquery('simple', "
    output_field = BooleanField()


class Weight(Func):
    """How many bytes a value takes where it is kept: known without reading it."""

    function = "pg_column_size"
    output_field = IntegerField()


def chosen(
    actor: Actor, text: str | None = None, role: str | None = None, status: str | None = None, wide: bool = False
) -> list[SessionQuerySet]:
    """The caller's list, or what `text` finds in it, in lanes: all sessions of a role so called, then the other matches.

    `wide` is the list of the pages: also work that the caller's roles were handed, or handed over.
    """
    lanes = Session.objects.shown_to if wide else Session.objects.listed_for
    if not text:
        return lanes(actor, role, status)
    named = text.strip().lower()
    found = few(Session.objects.filter(pk__in=_matches(lanes(actor), text))).exclude(role=named)
    others = found.concerning(actor) if wide else found.of_roles(actor)
    if role and role != named:
        return others.filter(role=role).effective(status)
    return [*lanes(actor, named, status), *([] if role else others.effective(status))]


def found_by(rows: SessionQuerySet, text: str) -> Q:
    """What `text` finds in a short list, as a condition on it."""
    return Q(role=text.strip().lower()) | Q(pk__in=_matches([rows], text))


def _matches(lanes: list[SessionQuerySet], text: str) -> list[UUID]:
    """Ids of what `text` finds.

    Of a word that many sessions hold: 500 of them, and all among the caller's latest 500. Every search takes about
    the same, short time.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        # The text index alone, and of a common word no more than it takes: how often a word occurs is a guess for the planner.
        cursor.execute("SET LOCAL enable_seqscan = off; SET LOCAL gin_fuzzy_search_limit = 2000")
        noted = Session.objects.filter(Noted(F("metadata"), Value(text)))
        latest = Session.objects.filter(pk__in=_latest(lanes))
        light = _if_light("metadata", Noted(F("metadata"), Value(text)))
        found = [_by_id(text), noted[:FOUND], latest.filter(light), latest.filter(_called(text))]
        first, *others = (matches.values("pk") for matches in found)
        # Without `all` the planner may walk a small table in the order of its ids, and read every text on the way.
        return list(first.union(*others, all=True).values_list("pk", flat=True))


def _by_id(text: str) -> SessionQuerySet:
    if not (match := PREFIX.fullmatch(text.strip())):
        return Session.objects.none()
    digits = match[1].replace("-", "")[:32]
    return Session.objects.filter(id__range=(UUID(digits.ljust(32, "0")), UUID(digits.ljust(32, "f"))))[:FOUND]


def _latest(lanes: list[SessionQuerySet]) -> SessionQuerySet:
    """Ids of the caller's latest; a later id is a later session (RFC 9562, version 7)."""
    first, *others = (lane.order_by("-created_at", "-id")[:LATEST].values("pk") for lane in lanes)
    return (first.union(*others, all=True).order_by("-pk") if others else first)[:LATEST]  # type: ignore[return-value]


def _called(text: str) -> Q:
    """The task's title holds it."""
    titles = [Q(**{f"task__data__{name}__icontains": text}) for name in TITLED]
    called = Q(task__description__icontains=text) | Q(task__task_type__icontains=text)
    return called | Q(_if_light("task__data", reduce(or_, titles)))


def _if_light(field: str, condition: Q | Noted) -> Case:
    """The condition for a value that is read quickly; 500 times a megabyte takes longer than anybody waits."""
    return Case(When(GreaterThan(Weight(F(field)), HEAVY), then=Value(False)), When(condition, then=Value(True)), default=Value(False))
