"""Who is calling: agents and people by a bearer JWT, people in the browser by their login; roles from either."""

from functools import cache, lru_cache
from typing import Any, cast
from urllib.parse import urlencode, urlsplit, urlunsplit
from uuid import UUID

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from django.conf import settings
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.middleware import LoginRequiredMiddleware
from django.contrib.auth.models import User
from django.contrib.auth.views import LoginView, redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe
from django_htmx.http import HttpResponseClientRedirect

from audit.actor import ROLE, Actor, Kind
from orchestrator.keys import own_secret
from orchestrator.limits import REQUESTS, SIGN_INS, Limit, TooMany, too_many_page

LOCAL = "local"
LEEWAY = 10  # seconds that two machines' clocks may differ
ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384"]  # never a symmetric one
NEEDED = ["exp", "iat", "iss", "sub", "aud"]
#: Keycloak's own roles say nothing about the org chart.
NOT_OURS = ("default-roles-", "offline_access", "uma_authorization")


class BadToken(Exception):
    """The token does not prove who is calling; the text says why, in words that give nothing away."""


class ProviderAway(Exception):
    """The identity provider does not answer and none of its keys is known: nobody can tell whether the token is good."""


# --- bearer tokens -------------------------------------------------------------------------------------


def issuer() -> str:
    """Whose tokens count: the identity provider's, or the product's own while there is none."""
    return settings.OIDC_ISSUER_URL or LOCAL


def actor_from_token(token: str, request_trace: UUID) -> Actor:
    """The caller that a token names. Raises BadToken."""
    return actor_from_claims(verified(token), request_trace)


def verified(token: str) -> dict[str, Any]:
    """The claims of a token that counts here. Raises BadToken (RFC 6750, "invalid_token"), ProviderAway.

    Signature by the issuer's key, issuer, audience, exp and iat with 10 s leeway, type Bearer, and no longer life than
    TOKEN_MAX_AGE: an ID token, somebody else's token or one made for a month does not pass.
    """
    try:
        claims = jwt.decode(
            token, _key_for(token), algorithms=ALGORITHMS, audience=settings.OIDC_AUDIENCE, issuer=issuer(), leeway=LEEWAY,
            options={"require": NEEDED},
        )  # fmt: skip
    except jwt.ExpiredSignatureError:
        raise BadToken("The token has expired; get a new one.") from None
    except jwt.PyJWKClientConnectionError:
        raise ProviderAway from None
    except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
        raise BadToken("The token is not valid here.") from None
    _check_claims(claims)
    return claims


def _check_claims(claims: dict[str, Any]) -> None:
    subject = claims["sub"]
    if claims.get("typ") != "Bearer":
        raise BadToken("The token is no access token.")
    if not (0 < len(subject) <= 255 and subject.isprintable() and subject.strip()):
        raise BadToken("The token's subject is not usable.")
    # PyJWT takes text for a number too; whatever cannot be compared is no time.
    if not all(isinstance(claims[name], int | float) for name in ("exp", "iat")):
        raise BadToken("The token's times are no numbers.")
    if claims["exp"] - claims["iat"] > settings.TOKEN_MAX_AGE:
        raise BadToken(f"The token was made for longer than {settings.TOKEN_MAX_AGE} seconds.")


def actor_from_claims(claims: dict[str, Any], request_trace: UUID) -> Actor:
    """Who verified claims speak of."""
    user_name = _text(claims.get("preferred_username"))
    roles = _roles(claims)
    agent = "agent" in roles or "client_id" in claims or user_name.startswith("service-account-")
    return Actor(
        principal=f"{claims['iss']}|{claims['sub']}", name=user_name or _text(claims.get("name")) or claims["sub"],
        kind=Kind.AGENT if agent else Kind.PERSON, roles=roles, request_trace=request_trace,
    )  # fmt: skip


def _roles(claims: dict[str, Any]) -> frozenset[str]:
    """Realm roles, and those of the client that is our audience."""
    clients = claims.get("resource_access")
    ours = clients.get(settings.OIDC_AUDIENCE) if isinstance(clients, dict) else None
    given = [*_listed(claims.get("realm_access")), *_listed(ours)]
    # Only ASCII is folded: the small letter of the Kelvin sign is k.
    folded = (role.lower() for role in given if role.isascii())
    return frozenset(role for role in folded if ROLE.fullmatch(role) and not role.startswith(NOT_OURS))


def _listed(access: object) -> list[str]:
    roles = access.get("roles") if isinstance(access, dict) else None
    return [role for role in roles if isinstance(role, str)] if isinstance(roles, list) else []


def _text(value: object) -> str:
    return value.strip()[:255] if isinstance(value, str) and value.isprintable() else ""


def _key_for(token: str) -> Any:
    if settings.OIDC_ISSUER_URL:
        return _provider_keys().get_signing_key_from_jwt(token).key
    return _own_key().public_key()


@cache
def _provider_keys() -> jwt.PyJWKClient:
    """The provider's keys, kept for 300 s; an unknown key id asks again at most every 30 s."""
    url = settings.OIDC_JWKS_URL or f"{settings.OIDC_ISSUER_URL}/protocol/openid-connect/certs"
    return jwt.PyJWKClient(url, cache_keys=False, cache_jwk_set=True, lifespan=300, timeout=3)


# --- the development issuer ----------------------------------------------------------------------------


@lru_cache(maxsize=1)
def _own_key() -> rsa.RSAPrivateKey:
    pem = own_secret(settings.ORCHESTRATOR_HOME, "issuer.pem", _new_key)
    key = serialization.load_pem_private_key(pem.encode(), password=None)
    assert isinstance(key, rsa.RSAPrivateKey)
    return key


def _new_key() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return key.private_bytes(*form).decode()


def own_token(name: str, roles: list[str], ttl: int) -> str:
    """A token that the product signs itself, in the shape of Keycloak's; `ttl` in seconds."""
    now = int(timezone.now().timestamp())
    claims = {
        "iss": LOCAL, "sub": name, "preferred_username": name, "aud": settings.OIDC_AUDIENCE, "typ": "Bearer",
        "iat": now, "exp": now + ttl, "realm_access": {"roles": roles},
    }  # fmt: skip
    return jwt.encode(claims, _own_key(), algorithm="RS256")


# --- the browser ---------------------------------------------------------------------------------------


def actor_from_user(user: User, request_trace: UUID) -> Actor:
    """A local account; the same person as a development token of that name."""
    roles = set(user.groups.values_list("name", flat=True)) | ({"admin"} if user.is_superuser else set())
    return Actor(
        principal=f"{LOCAL}|{user.get_username()}", name=user.get_full_name() or user.get_username(), kind=Kind.PERSON,
        roles=frozenset(roles), request_trace=request_trace,
    )  # fmt: skip


class LocalAccounts(ModelBackend):
    """Accounts with a password of ours: only while there is no identity provider, also for /admin/."""

    def authenticate(self, request: HttpRequest | None, *args: Any, **kwargs: Any) -> Any:
        """The user, if the password is right and local accounts count."""
        return None if settings.OIDC_ISSUER_URL else super().authenticate(request, *args, **kwargs)

    def get_user(self, user_id: int) -> Any:
        """A login from before the provider was set ends with it."""
        return None if settings.OIDC_ISSUER_URL else super().get_user(user_id)


class ActorMiddleware(LoginRequiredMiddleware):
    """Every page needs a login unless its view says otherwise; sets `request.actor`. The API brings its own key."""

    def process_view(
        self, request: HttpRequest, view_func: Any, view_args: tuple[Any, ...], view_kwargs: dict[str, Any]
    ) -> HttpResponseBase | None:
        """Ask for the login, then name the caller."""
        if request.resolver_match and "api" in request.resolver_match.namespaces:
            return None
        if refused := super().process_view(request, view_func, view_args, view_kwargs):
            return refused
        if isinstance(request.user, User):
            assert isinstance(request, HttpRequest)
            set_actor(request, actor := actor_from_user(request.user, request.trace_id))  # type: ignore[attr-defined]
            return _over_limit(request, REQUESTS, actor.principal)
        return None

    def handle_no_permission(self, request: HttpRequest, view_func: Any) -> HttpResponseRedirect:
        """To the sign-in page and back; under HTMX the whole page goes there, no part of it is replaced by it."""
        if not request.headers.get("HX-Request"):
            return super().handle_no_permission(request, view_func)
        shown = urlsplit(request.headers.get("HX-Current-URL", "/"))
        query = urlencode({"next": urlunsplit(("", "", shown.path, shown.query, ""))})
        return cast(HttpResponseRedirect, HttpResponseClientRedirect(f"{reverse(settings.LOGIN_URL)}?{query}"))


def _over_limit(request: HttpRequest, limit: Limit, who: str) -> HttpResponse | None:
    try:
        limit.spend(who)
    except TooMany as error:
        return too_many_page(request, error)
    return None


class SignIn(LoginView):
    """A name and its password; tried too often from one address, it waits."""

    template_name = "sign_in.html"
    redirect_authenticated_user = True

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Guessing is slow; who guesses from elsewhere does not lock the person out."""
        who = f"{request.META.get('REMOTE_ADDR')} {request.POST.get('username', '')[:150].lower()}"
        return _over_limit(request, SIGN_INS, who) or super().post(request, *args, **kwargs)


@require_safe
@login_not_required
def admin_sign_in(request: HttpRequest) -> HttpResponse:
    """One door for all: Django admin's own form would be a second place to guess passwords at."""
    if request.user.is_authenticated:
        raise PermissionDenied("The administration is for people with the role admin.")
    return redirect_to_login(request.GET.get("next", reverse("admin:index")))


def name_caller(request: HttpRequest) -> None:
    """For a page that no view answers (an unknown address, a stale form): who is signed in is still known by name."""
    user = getattr(request, "user", None)
    if isinstance(user, User) and not hasattr(request, "actor"):
        set_actor(request, actor_from_user(user, request.trace_id))  # type: ignore[attr-defined]


def set_actor(request: HttpRequest, actor: Actor) -> None:
    """From now on everybody knows who is calling."""
    request.actor = actor  # type: ignore[attr-defined]
