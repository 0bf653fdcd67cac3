"""The made-up company: its roles, its people, and the words they use."""

from dataclasses import dataclass

from audit.actor import Actor, Kind

ROLES = ("finance", "engineering", "support", "sales", "marketing", "it", "legal", "manager")
#: Of every account that the demo prints; it is public, so it protects nothing but a demo.
PASSWORD = "welcome-to-the-desk"  # noqa: S105 - well known on purpose


@dataclass(frozen=True)
class Person:
    """Somebody with a local account; without a `purpose` nobody can sign in as them: they only appear in the past."""

    name: str
    first: str
    last: str
    role: str
    purpose: str = ""

    def actor(self) -> Actor:
        """As the browser's login names them."""
        return Actor(f"local|{self.name}", f"{self.first} {self.last}", Kind.PERSON, frozenset({self.role}))


PEOPLE = (
    Person("maria", "Maria", "Lindqvist", "manager", "decides what waits for manager; begin here"),
    Person("jonas", "Jonas", "Berg", "manager", "the other manager, for a second window"),
    Person("felix", "Felix", "Brandt", "finance", "follows what finance asked for"),
    Person("ada", "Ada", "Novak", "auditor", "reads everything, changes nothing"),
    Person("admin", "Robin", "Keller", "admin", "Django admin at /admin/"),
    Person("elin", "Elin", "Strand", "engineering"),
    Person("tom", "Tom", "Reyes", "support"),
    Person("lucia", "Lucia", "Ferri", "sales"),
    Person("noah", "Noah", "Whitfield", "marketing"),
    Person("priya", "Priya", "Raman", "it"),
    Person("ines", "Ines", "Moreau", "legal"),
)
BY_NAME = {person.name: person for person in PEOPLE}


def agent(role: str) -> Actor:
    """A role's agent, the same caller as a development token of that name."""
    return Actor(f"local|{role}-agent", f"{role}-agent", Kind.AGENT, frozenset({role, "agent"}))


def people_of(role: str) -> list[Person]:
    """Who decides for a role."""
    return [person for person in PEOPLE if person.role == role]


NOTES = (
    "Agreed.", "Fine, go ahead.", "Agreed, but come back next month with the plan.", "", "", "Checked with the team; yes.",
    "Yes. Please keep the receipts together.", "Good reasons, thank you.", "Approved for this once.",
    "OK, as long as the rollback is tested first.",
)  # fmt: skip
REFUSALS = (
    "Over the limit for this quarter; ask again with a smaller sum.", "Please get a second offer first.",
    "Not without Legal's word on it.", "The window is too close to month end; propose another.",
    "The attachment shows another figure than the request.",
    "We agreed on a freeze until the first; ask again then.", "Too broad: read-only access will do.",
)  # fmt: skip
FAILURES = (
    "The supplier's interface answered with an error three times.", "The account is locked; a person must look at it.",
    "The window passed before the change could begin.", "The order had been cancelled meanwhile.",
)  # fmt: skip

CUSTOMERS = (
    "Nordlicht GmbH", "Baker & Sons", "Alder Ltd", "Fjord Logistics", "Casa Verde", "Hartmann Optik", "Blue Harbour Foods", "Lumen Verlag",
    "Orchard Clinics", "Tidewater Energy", "Kestrel Travel", "Maison Duval",
)  # fmt: skip
SUPPLIERS = ("Holm AB", "Pixelworks BV", "Tessera Print", "Northgate IT", "Varga Systems", "Solano Office")
NAMES = ("Samira Haddad", "Oskar Nyman", "Grace Obi", "Mateo Silva", "Hanna Vogel", "Liam Byrne", "Yuki Tanaka", "Petra Kovac")
CITIES = ("Lisbon", "Frankfurt", "Malmo", "Ghent", "Turin", "Dublin")
PROJECTS = ("data migration", "billing rewrite", "search upgrade", "mobile sign-in", "audit export")
