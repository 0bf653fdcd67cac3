"""Queries whose SQL is written once: on the hottest paths Django takes longer to write it than PostgreSQL to answer it."""

import inspect
from collections.abc import Callable
from copy import copy
from functools import cached_property
from types import SimpleNamespace
from typing import Any, Generic, TypeVar
from uuid import UUID, uuid4

from django.db import DEFAULT_DB_ALIAS, connection, connections
from django.db.models import Model, QuerySet
from django.db.models.query import ModelIterable
from django.db.models.sql import UpdateQuery

Row = TypeVar("Row", bound=Model)
Value = UUID | str
#: What stands for a value of each type while the SQL is written.
STANDS_FOR: dict[type, Callable[[], Value]] = {UUID: uuid4, str: lambda: uuid4().hex}


class Written:
    """The SQL of the query that `write` makes.

    `write` is called once, with stand-ins of its annotated types: nothing in it may depend on the values, or change later.
    """

    def __init__(self, write: Callable[..., Any]) -> None:
        self.write = write

    @cached_property
    def _sql(self) -> tuple[Any, str, list[tuple[Any, int | None]]]:
        """Django's compiler, the SQL, and each parameter with the place of the value that it stands for."""
        stand_ins = [STANDS_FOR[each.annotation]() for each in inspect.signature(self.write).parameters.values()]
        written = self.write(*stand_ins)
        compiler = getattr(written, "query", written).get_compiler(connection=connection)
        statement, params = compiler.as_sql()
        return compiler, statement, [(param, stand_ins.index(param) if param in stand_ins else None) for param in params]

    def _filled(self, values: tuple[Value, ...]) -> tuple[str, tuple[Any, ...]]:
        _, statement, params = self._sql
        return statement, tuple(param if place is None else values[place] for param, place in params)


class Prepared(Written, Generic[Row]):
    """A decorator: the rows of a queryset that the function makes of its arguments."""

    def __init__(self, write: Callable[..., QuerySet[Row]]) -> None:
        super().__init__(write)

    def all(self, *values: Value) -> list[Row]:
        """The rows for these values."""
        compiler, filled = copy(self._sql[0]), self._filled(values)
        # Django's own way from what the database returns to objects, with SQL that stands already.
        compiler.connection, compiler.as_sql = connections[DEFAULT_DB_ALIAS], lambda *_, **__: filled
        query = SimpleNamespace(get_compiler=lambda using: compiler)
        source: Any = SimpleNamespace(db=DEFAULT_DB_ALIAS, query=query, _known_related_objects={})
        return list(ModelIterable(source))

    def first(self, *values: Value) -> Row | None:
        """The first of them, if any."""
        return next(iter(self.all(*values)), None)


class PreparedUpdate(Written):
    """A decorator: an UPDATE that the function makes of its arguments with `updating`."""

    def __init__(self, write: Callable[..., UpdateQuery]) -> None:
        super().__init__(write)

    def __call__(self, *values: Value) -> int:
        """Run it; says how many rows it changed."""
        with connection.cursor() as cursor:
            cursor.execute(*self._filled(values))
            return int(cursor.rowcount)


def updating(rows: QuerySet[Any], **values: Any) -> UpdateQuery:
    """What `rows.update(**values)` would run."""
    query: Any = rows.query.chain(UpdateQuery)
    query.add_update_values(values)
    return query  # type: ignore[no-any-return]
