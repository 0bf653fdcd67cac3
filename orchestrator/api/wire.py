"""How bytes become values at the agents' door: strict JSON, ids with their prefixes, trimmed text, folded words."""

import json
import math
import re
from typing import Annotated, Any, cast
from uuid import UUID

from django.http import HttpRequest
from ninja.parser import Parser
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints
from pydantic.fields import FieldInfo

from audit.errors import DomainError, Invalid, NotFound

DEEPEST = 64  # levels of nesting; deeper data is nobody's request
UUID_TEXT = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
ANY_CASE = UUID_TEXT.pattern.replace("a-f", "a-fA-F").replace("?:", "")
JSON_TYPE = re.compile(r'application/json\s*(;\s*charset\s*=\s*"?utf-8"?\s*)?', re.IGNORECASE)


class BadBody(DomainError):
    """The body is no JSON that we take (400)."""

    slug, status = "bad-request", 400


class WrongType(DomainError):
    """The body is not said to be JSON (415)."""

    slug, status = "unsupported-media-type", 415


class StrictParser(Parser):
    """JSON as RFC 8259 and nothing looser: UTF-8, no duplicate members, no NaN, nothing PostgreSQL cannot keep."""

    def parse_body(self, request: HttpRequest) -> Any:
        """The body's value. Raises WrongType or BadBody (ninja hands them on as the cause of its own error)."""
        if not JSON_TYPE.fullmatch(request.headers.get("Content-Type", "")) or "Content-Encoding" in request.headers:
            raise WrongType("Send the body as Content-Type: application/json, UTF-8, not compressed.")
        try:
            text = request.body.decode("utf-8")
            value = json.loads(text, parse_constant=_no_constant, object_pairs_hook=_no_duplicates)
        except UnicodeDecodeError:
            raise BadBody("The body is not UTF-8.") from None
        except RecursionError:
            raise BadBody(f"The body is nested deeper than {DEEPEST} levels.") from None
        except ValueError as error:
            raise BadBody(f"The body is not valid JSON: {_short(error)}.") from None
        _check(value, 0)
        return value


def _no_constant(word: str) -> None:
    raise ValueError(f"{word} is no JSON number")


def _no_duplicates(members: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(members)
    if len(found) != len(members):
        raise ValueError("an object has two members of the same name")
    return found


def _short(error: ValueError) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at line {error.lineno}, column {error.colno}"
    return "a number is too long" if "digits" in str(error) else str(error)


def _check(value: object, depth: int) -> None:
    """Refuse what the database or the next JSON reader could not keep as it is."""
    if depth > DEEPEST:
        raise BadBody(f"The body is nested deeper than {DEEPEST} levels.")
    if isinstance(value, str):
        if "\0" in value or (not value.isascii() and re.search("[\ud800-\udfff]", value)):
            raise BadBody("A text holds a NUL character or half of a surrogate pair.")
    elif isinstance(value, dict):
        for name, member in value.items():
            _check(name, depth + 1)
            _check(member, depth + 1)
    elif isinstance(value, list):
        for item in value:
            _check(item, depth + 1)
    elif isinstance(value, int | float) and (abs(value) > 1.7e308 or not math.isfinite(value)):
        raise BadBody("A number is out of range.")


# --- ids -----------------------------------------------------------------------------------------------


def read_id(kind: str, text: str) -> UUID:
    """The UUID of `text`, with or without the prefix of its kind, in any case. Raises ValueError."""
    plain = text.strip().lower().removeprefix(f"{kind}-")
    if not UUID_TEXT.fullmatch(plain):
        raise ValueError(f"is no {kind} id: a UUID, with or without {kind}- before it")
    return UUID(plain)


def path_id(kind: str, text: str) -> UUID:
    """An id in a path; a malformed one names nothing that exists: NotFound."""
    try:
        return read_id(kind, text)
    except ValueError:
        raise NotFound(f"There is no such {kind}.") from None


def _id(kind: str) -> BeforeValidator:
    def read(value: object) -> object:
        return read_id(kind, value) if isinstance(value, str) else value

    return BeforeValidator(read, json_schema_input_type=Annotated[str, Field(pattern=f"^({kind}-)?{ANY_CASE}$")])


def written(kind: str, id: UUID) -> str:
    """An id as replies write it: clients look for the prefix."""
    return f"{kind}-{id}"


# --- fields --------------------------------------------------------------------------------------------


def _clean(value: str) -> str:
    if "\0" in value:
        raise ValueError("holds a NUL character")
    return value


def _folded(value: str) -> str:
    """In small letters; outside of ASCII some fold into another word's (the Kelvin sign into k)."""
    return value.lower() if value.isascii() else value


SessionId = Annotated[UUID, _id("session")]
TaskId = Annotated[UUID, _id("task")]
ApprovalId = Annotated[UUID, _id("approval")]
Word = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=50), AfterValidator(_folded)]
Short = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=50)]
Long = Annotated[str, StringConstraints(strip_whitespace=True, max_length=10_000)]
Find = Annotated[str, StringConstraints(strip_whitespace=True, max_length=200), AfterValidator(_clean)]
FindShort = Annotated[Find, Field(max_length=50)]
Object = Annotated[dict[str, Any], Field(json_schema_extra={"type": "object"})]


def among(words: list[Any]) -> FieldInfo:
    """For the description: the words that a text is one of. What comes in is folded first, then `one_of` refuses the rest."""
    return cast(FieldInfo, Field(json_schema_extra={"enum": words}))


Role = Annotated[Word, Field(json_schema_extra={"pattern": "^[A-Za-z][A-Za-z0-9_-]{0,49}$"})]

# What replies hold is described only; endpoints answer ready responses, so nothing of it is checked at run time.
Uuid = Annotated[str, Field(json_schema_extra={"format": "uuid"})]
WrittenTask = Annotated[str, Field(json_schema_extra={"pattern": f"^task-{UUID_TEXT.pattern}$"})]
WrittenApproval = Annotated[str, Field(json_schema_extra={"pattern": f"^approval-{UUID_TEXT.pattern}$"})]


class In(BaseModel):
    """A body or a query: a member that we do not know is a mistake worth telling."""

    model_config = ConfigDict(extra="forbid")


def one_of(field: str, word: str | None, words: list[str]) -> str | None:
    """`word` if it is one of `words`; else Invalid naming the field and the words."""
    if word is not None and word not in words:
        raise Invalid(field, f"Must be one of {', '.join(words)}.")
    return word
