"""Who is acting: a person, an agent, or the system itself."""

import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import cast
from uuid import UUID, uuid4

from django.conf import settings
from django.http import HttpRequest

from audit.errors import Invalid

ROLE = re.compile(r"[a-z][a-z0-9_-]{0,49}")
#: Roles with a meaning of their own: no place on the org chart (contract, "Identity").
SPECIAL_ROLES = frozenset({"agent", "auditor", "admin"})


class Kind(StrEnum):
    """What sort of actor it is."""

    PERSON = "person"
    AGENT = "agent"
    SYSTEM = "system"


@dataclass(frozen=True)
class Actor:
    """A caller: `principal` is `<iss>|<sub>` and never a name, `name` is for people to read."""

    principal: str
    name: str
    kind: Kind
    roles: frozenset[str] = field(default_factory=frozenset)
    request_trace: UUID = field(default_factory=uuid4, compare=False)  #: the request's own trace id

    @property
    def is_person(self) -> bool:
        """Only people decide."""
        return self.kind == Kind.PERSON

    @property
    def may_change(self) -> bool:
        """Whoever holds no place on the org chart, an auditor above all, changes nothing; admin excepted."""
        return bool(self.org_roles) or self.is_admin

    @property
    def is_admin(self) -> bool:
        """May do what a holder of any role may do, four eyes excepted."""
        return "admin" in self.roles

    @property
    def reads_all(self) -> bool:
        """Auditors and admins read everything."""
        return bool(self.roles & {"auditor", "admin"})

    @property
    def org_roles(self) -> frozenset[str]:
        """The places on the org chart that the caller holds."""
        return self.roles - SPECIAL_ROLES

    def holds(self, role: str) -> bool:
        """Whether the caller holds this org role."""
        return role in self.org_roles

    def acting_as(self, role: str) -> str:
        """The role to name in the audit: `role` unless it is only as admin that the caller may."""
        return "admin" if self.is_admin and not self.holds(role) else role


SYSTEM = Actor(principal="system", name="system", kind=Kind.SYSTEM)


def org_role(field_name: str, role: str) -> str:
    """`role` if it can be a place on the org chart; else raises Invalid naming the field (contract, "Identity")."""
    if not ROLE.fullmatch(role):
        raise Invalid(field_name, f"{role[:60]!r} is no role: a letter first, then letters, digits, _ and -, at most 50.")
    if role in SPECIAL_ROLES:
        raise Invalid(field_name, f"{role} is no place on the org chart; name the role that does the work.")
    return role


def chart_role(field_name: str, role: str) -> str:
    """An org role that somebody is expected to answer for: with ORG_ROLES set, one of those (a typo must not wait for ever)."""
    org_role(field_name, role)
    if settings.ORG_ROLES and role not in settings.ORG_ROLES:
        raise Invalid(field_name, f"There is no role {role} here; the roles are {', '.join(settings.ORG_ROLES)}.")
    return role


class ActorRequest(HttpRequest):
    """A request after the identity middleware: it knows who is calling."""

    actor: Actor
    trace_id: str
    htmx: object


def actor_of(request: HttpRequest) -> Actor:
    """Who is calling, as the identity middleware found out."""
    return cast(ActorRequest, request).actor
