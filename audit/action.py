"""How every action runs: one transaction, repeated when the database asks for it, at most once per idempotency key."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import wraps
from typing import Generic, ParamSpec, TypeVar

from django.conf import settings
from django.db import IntegrityError, OperationalError, connection, transaction
from django.db.models.functions import Now
from psycopg import errors

from audit.actor import Actor
from audit.errors import Busy, Invalid, KeyReused, NotAllowed, Stale
from audit.models import Audited

Row = TypeVar("Row", bound=Audited)
T = TypeVar("T")
P = ParamSpec("P")
REPEATS = 3
#: The versions that a caller accepts (If-Match, RFC 9110); None for any.
Versions = frozenset[int] | None


class Lapsed(Exception):
    """Something the action needs has run out of time: `expire` it in a transaction of its own, then look again."""

    def __init__(self, expire: Callable[[], object]) -> None:
        super().__init__("lapsed")
        self.expire = expire


@dataclass(frozen=True)
class Key:
    """A caller's idempotency key, and the sha256 of the canonical JSON body that it came with."""

    value: str
    digest: str


@dataclass(frozen=True)
class Made(Generic[Row]):
    """What an action made; `replayed` when the same call had made it before, `found` when it was there already."""

    row: Row
    replayed: bool = False
    found: bool = False


def action(run: Callable[P, T]) -> Callable[P, T]:
    """One transaction; repeated twice on a deadlock or a serialisation failure, and after something lapsed was expired."""

    @wraps(run)
    def repeated(*args: P.args, **kwargs: P.kwargs) -> T:
        for last in (False,) * (REPEATS - 1) + (True,):
            try:
                with transaction.atomic():
                    return run(*args, **kwargs)
            except Lapsed as lapsed:
                if last:
                    raise Busy("This changes too fast; try again in a second.") from lapsed
                lapsed.expire()
            except OperationalError as error:
                if isinstance(error.__cause__, errors.ProgramLimitExceeded):
                    raise Invalid("body", "This is more text than can be kept and searched; send less of it.") from error
                if isinstance(error.__cause__, errors.LockNotAvailable):
                    raise Busy("Somebody else is changing this right now; try again in a second.") from error
                if last or not isinstance(error.__cause__, errors.DeadlockDetected | errors.SerializationFailure):
                    raise
        raise AssertionError("unreachable")

    return repeated


def allow_changing(actor: Actor) -> None:
    """Raise NotAllowed unless the caller may change anything at all."""
    if not actor.may_change:
        raise NotAllowed("You hold no role on the org chart, so you change nothing.")


def check_version(row: Audited, expected: Versions) -> None:
    """Raise Stale when the caller saw another version."""
    if expected is not None and row.version not in expected:
        raise Stale("It changed since you read it; read it again and decide anew.")


def once(model: type[Row], owner: str, actor: Actor, key: Key | None, make: Callable[[], Row]) -> Made[Row]:
    """What `make` makes, in one transaction; or what the same caller's key made before.

    `owner` is the column that holds the caller's principal. The unique constraint on caller and key decides, so `make`
    begins with the keyed insert. Raises KeyReused for another body, Busy while the first call still runs.
    """
    if key is None:
        return Made(action(make)())
    for _ in range(2):
        try:
            return Made(impatient(make))
        except IntegrityError as error:
            if not _is_about_key(error, model):
                raise
        if row := held(model, owner, actor, key):
            return Made(row, replayed=True)
    raise still_running()


def still_running() -> Busy:
    """What a duplicate hears while the first call has not ended."""
    return Busy("A request with this Idempotency-Key is still running; try again in a second.", slug="still-running")


def impatient(make: Callable[[], T]) -> T:
    """A duplicate waits briefly for the first one and is then told to come back."""

    @action
    def attempt() -> T:
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL lock_timeout = '500ms'")
        return make()

    try:
        return attempt()
    except Busy as busy:
        raise still_running() from busy


def _is_about_key(error: IntegrityError, model: type[Audited]) -> bool:
    cause = error.__cause__
    return isinstance(cause, errors.UniqueViolation) and cause.diag.constraint_name == f"{model._meta.db_table}_key"


def held(model: type[Row], owner: str, actor: Actor, key: Key) -> Row | None:
    """The row that holds the key; None when it was past its time (and is free from now on)."""
    mine = model._default_manager.filter(**{owner: actor.principal}, idempotency_key=key.value)
    lifetime = timedelta(seconds=settings.IDEMPOTENCY_TTL_SECONDS)
    if mine.filter(created_at__lt=Now() - lifetime).update(idempotency_key=None, request_digest=None):
        return None
    row = mine.first()
    if row and row.request_digest != key.digest:
        raise KeyReused()
    return row
