"""What an action may answer besides success; each door translates (JSON: orchestrator/api/problems.py)."""

from typing import Any


class DomainError(Exception):
    """A rule said no. `slug` names it for programs, the message tells people what to do, `facts` go along.

    `retry_after`: the seconds after which the same request may succeed.
    """

    slug = "conflict"
    status = 409
    retry_after: int | None = None

    def __init__(self, message: str, slug: str | None = None, **facts: Any) -> None:
        super().__init__(message)
        self.slug = slug or self.slug
        self.facts = facts


class NotAllowed(DomainError):
    """Readable, but not the caller's to do."""

    slug, status = "not-allowed", 403


class NotFound(DomainError):
    """Unknown, or not readable by the caller: the two look the same."""

    slug, status = "not-found", 404


class Invalid(DomainError):
    """A value that cannot be taken; `field` names it."""

    slug, status = "invalid", 422

    def __init__(self, field: str, message: str, slug: str | None = None) -> None:
        super().__init__(message, slug)
        self.field = field


class Conflict(DomainError):
    """The state of things does not allow it now."""


class KeyReused(DomainError):
    """The idempotency key came with another body before."""

    slug, status = "idempotency-key-reused", 422

    def __init__(self) -> None:
        super().__init__("This Idempotency-Key came with another body before; use a new key for a new request.")


class Busy(DomainError):
    """Somebody else is changing the same thing this instant; try again in a second."""

    slug, retry_after = "busy", 1


class Stale(DomainError):
    """The caller's version is not the present one (RFC 9110, If-Match)."""

    slug, status = "precondition-failed", 412
