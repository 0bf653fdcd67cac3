"""System checks: what settings.py cannot see alone; an error here stops every command, `serve` first."""

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register

from audit.actor import ROLE, SPECIAL_ROLES

ROLE_HINT = f"A letter first, then letters, digits, _ and -, at most 50; {', '.join(sorted(SPECIAL_ROLES))} have a meaning of their own."


@register()
def org_roles(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    """ORG_ROLES names places on the org chart."""
    return [
        Error(f"ORG_ROLES holds {role!r}, which is no place on the org chart.", hint=ROLE_HINT, id="orchestrator.E001")
        for role in settings.ORG_ROLES
        if role in SPECIAL_ROLES or not ROLE.fullmatch(role)
    ]


@register()
def secret_key(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    """Logins and cursors are signed with it."""
    if not settings.DEPLOYMENT or (len(settings.SECRET_KEY) >= 50 and len(set(settings.SECRET_KEY)) >= 5):
        return []
    return [Error("SECRET_KEY is too easy to guess.", hint="Use 50 random characters.", id="orchestrator.E002")]


@register()
def without_effect(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    """Whoever comes from the predecessor learns which of its settings do nothing any more."""
    if not settings.WITHOUT_EFFECT:
        return []
    names = ", ".join(settings.WITHOUT_EFFECT)
    return [Warning(f"Without effect here: {names}.", hint="docs/settings.md says what to set instead.", id="orchestrator.W001")]


@register()
def demo_secrets(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    """What compose.yaml and the demo's realm hold is public: it counts on this machine alone."""
    if not settings.PUBLIC_URL.startswith("https://"):
        return []
    hint = "Take 50 random characters, or what the identity provider made."
    held = {"SECRET_KEY": settings.SECRET_KEY, "OIDC_CLIENT_SECRET": settings.OIDC_CLIENT_SECRET, "DATABASE_URL": settings.DATABASE_URL}
    names = [name for name, text in held.items() if text.startswith("demo-only") or ":demo-only@" in text]
    return [Error(f"{name} is the demo's, which everybody knows.", hint=hint, id="orchestrator.E003") for name in names]
