"""Who is calling: agents and people by a bearer JWT, people in the browser by their login; roles from either."""

from functools import lru_cache
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
from django.contrib.postgres.aggregates import ArrayAgg
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet, Value
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.views.decorators.http import require_safe
from django_htmx.http import HttpResponseClientRedirect

from audit.actor import ROLE, Actor, Kind
from orchestrator.keys import own_secret
from orchestrator.limits import REQUESTS, SIGN_INS, Limit, TooMany, too_many_page
from orchestrator.provider import provider

LOCAL = "local"
SAFE = ("GET", "HEAD", "OPTIONS")
LEEWAY = 10  # seconds that two machines' clocks may differ
ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384"]  # never a symmetric one
NEEDED = ["exp", "iat", "iss", "sub", "aud"]
#: Keycloak's own roles say nothing about the org chart.
NOT_OURS = ("default-roles-", "offline_access", "uma_authorization")


class BadToken(Exception):
    """The token does not prove who is calling; the text says why, in words that give nothing away."""


# --- bearer tokens -------------------------------------------------------------------------------------


def issuer() -> str:
    """Whose tokens count: the identity provider's, or the product's own while there is none."""
    return settings.OIDC_ISSUER_URL or LOCAL


def actor_from_token(token: str, request_trace: UUID) -> Actor:
    """The caller that a token names. Raises BadToken."""
    return actor_from_claims(verified(token), request_trace)


def verified(token: str) -> dict[str, Any]:
    """The claims of a bearer token that counts here. Raises BadToken (RFC 6750, "invalid_token"), ProviderAway.

    An ID token, somebody else's token or one made for a month (longer than TOKEN_MAX_AGE) does not pass.
    """
    claims = decoded(token, "Bearer", settings.OIDC_AUDIENCE)
    if claims["exp"] - claims["iat"] > settings.TOKEN_MAX_AGE:
        raise BadToken(f"The token was made for longer than {settings.TOKEN_MAX_AGE} seconds.")
    if settings.OIDC_ALLOWED_CLIENTS and claims.get("azp") not in settings.OIDC_ALLOWED_CLIENTS:
        raise BadToken("The token was made for a client that is not allowed here.")
    return claims


def decoded(token: str, typ: str, audience: str, *needed: str, direct: bool = False) -> dict[str, Any]:
    """The claims of any token of the issuer's (`direct`: from its own hands). Raises BadToken, ProviderAway.

    Checked: signature by the issuer's key, issuer, audience, type, and exp and iat with 10 s leeway.
    """
    try:
        claims = jwt.decode(
            token, _key_for(token, direct), algorithms=ALGORITHMS, audience=audience, issuer=issuer(), leeway=LEEWAY,
            options={"require": [*NEEDED, *needed]},
        )  # fmt: skip
    except jwt.ExpiredSignatureError:
        raise BadToken("The token has expired; get a new one.") from None
    except (jwt.PyJWTError, KeyError, ValueError, TypeError, RecursionError):
        raise BadToken("The token is not valid here.") from None
    _check_claims(claims, typ)
    return claims


def _check_claims(claims: dict[str, Any], typ: str) -> None:
    subject = claims["sub"]
    if claims.get("typ") != typ:
        raise BadToken("The token is not of the kind that is needed here.")
    if not (0 < len(subject) <= 255 and subject.isprintable() and subject.strip()):
        raise BadToken("The token's subject is not usable.")
    # PyJWT takes text for a number too; whatever cannot be compared is no time.
    if not all(isinstance(claims[name], int | float) for name in ("exp", "iat")):
        raise BadToken("The token's times are no numbers.")


def actor_from_claims(claims: dict[str, Any], request_trace: UUID) -> Actor:
    """Who verified claims speak of."""
    user_name = plain(claims.get("preferred_username"))
    roles = roles_of(claims)
    agent = "agent" in roles or "client_id" in claims or user_name.startswith("service-account-")
    return Actor(
        principal=f"{claims['iss']}|{claims['sub']}", name=plain(claims.get("name")) or user_name or claims["sub"],
        kind=Kind.AGENT if agent else Kind.PERSON, roles=roles, request_trace=request_trace,
    )  # fmt: skip


def roles_of(claims: dict[str, Any]) -> frozenset[str]:
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


def plain(value: object) -> str:
    """A claim that is for people to read; one that cannot be printed is none."""
    return value.strip()[:255] if isinstance(value, str) and value.isprintable() else ""


def _key_for(token: str, direct: bool) -> Any:
    if settings.OIDC_ISSUER_URL:
        return provider().key(jwt.get_unverified_header(token)["kid"], direct)
    return _own_key().public_key()


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


def own_token(name: str, roles: list[str], ttl: int, full_name: str = "") -> str:
    """A token that the product signs itself, in the shape of Keycloak's; `ttl` in seconds, `full_name` where it is known."""
    now = int(timezone.now().timestamp())
    claims = {
        "iss": LOCAL, "sub": name, "preferred_username": name, "aud": settings.OIDC_AUDIENCE, "typ": "Bearer",
        "iat": now, "exp": now + ttl, "realm_access": {"roles": roles}, **({"name": full_name} if full_name else {}),
    }  # fmt: skip
    return jwt.encode(claims, _own_key(), algorithm="RS256")


# --- the browser ---------------------------------------------------------------------------------------


def with_roles() -> QuerySet[User]:
    """Active accounts, each bringing the names of its groups along: one query instead of two for every page."""
    names = ArrayAgg("groups__name", filter=Q(groups__isnull=False), default=Value([]))
    return User.objects.filter(is_active=True).annotate(role_names=names)


class Passwords(ModelBackend):
    """Accounts of our own, while there is no identity provider."""

    def get_user(self, user_id: int) -> User | None:
        """Who is signed in, with roles."""
        return with_roles().filter(pk=user_id).first()


def actor_from_user(user: User, request_trace: UUID) -> Actor:
    """Whoever is signed in: a local account, the same person as a development token of that name; else the provider's user."""
    names = getattr(user, "role_names", None)
    roles = set(user.groups.values_list("name", flat=True) if names is None else names) | ({"admin"} if user.is_superuser else set())
    name = user.get_username()
    return Actor(
        principal=name if settings.OIDC_ISSUER_URL else f"{LOCAL}|{name}", name=user.get_full_name() or name,
        kind=Kind.AGENT if "agent" in roles else Kind.PERSON, roles=frozenset(roles), request_trace=request_trace,
    )  # fmt: skip


class ActorMiddleware(LoginRequiredMiddleware):
    """Every page needs a login unless its view says otherwise; sets `request.actor`."""

    def process_view(
        self, request: HttpRequest, view_func: Any, view_args: tuple[Any, ...], view_kwargs: dict[str, Any]
    ) -> HttpResponseBase | None:
        """Ask for the login, then name the caller."""
        if refused := super().process_view(request, view_func, view_args, view_kwargs):
            return refused
        if isinstance(request.user, User):
            assert isinstance(request, HttpRequest)
            set_actor(request, actor := actor_from_user(request.user, request.trace_id))  # type: ignore[attr-defined]
            return over_limit(request, REQUESTS, actor.principal)
        return None

    def handle_no_permission(self, request: HttpRequest, view_func: Any) -> HttpResponseRedirect:
        """To the sign-in page and back."""
        return to_sign_in(request)


def to_sign_in(request: HttpRequest) -> HttpResponseRedirect:
    """There and back; under HTMX the whole page goes there, no part of it is replaced by it."""
    target = f"{reverse(settings.LOGIN_URL)}?{urlencode({'next': _shown(request)}, safe='/')}"
    if request.headers.get("HX-Request"):
        return cast(HttpResponseRedirect, HttpResponseClientRedirect(target))
    return HttpResponseRedirect(target)


def _shown(request: HttpRequest) -> str:
    """The page that the person looks at: a form's own address is none, so it is the page that held the form."""
    if request.method in SAFE and not request.headers.get("HX-Request"):
        return request.get_full_path()
    try:
        page = urlsplit(request.headers.get("HX-Current-URL") or request.headers.get("Referer") or "/")
    except ValueError:  # an address that is none
        return "/"
    return urlunsplit(("", "", page.path, page.query, "")) or "/"


def over_limit(request: HttpRequest, limit: Limit, who: str) -> HttpResponse | None:
    """A page that says so, once the caller's minute is used up."""
    try:
        limit.spend(who)
    except TooMany as error:
        return too_many_page(request, error)
    return None


@method_decorator(login_not_required, name="dispatch")
class SignIn(LoginView):
    """A name and its password; tried too often from one address, it waits."""

    template_name = "sign_in.html"
    redirect_authenticated_user = True

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """With an identity provider nobody is asked for a password here."""
        if settings.OIDC_ISSUER_URL and not request.user.is_authenticated:
            return HttpResponseRedirect(f"{reverse('oidc_authentication_init')}?{request.GET.urlencode()}")
        return super().dispatch(request, *args, **kwargs)

    def get_redirect_url(self, request: HttpRequest | None = None) -> str:
        """Where the person came from, unless that is the sign-in itself."""
        url = super().get_redirect_url()
        return "" if urlsplit(url).path == reverse(settings.LOGIN_URL) else url

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Guessing is slow; who guesses from elsewhere does not lock the person out."""
        name = User.normalize_username(request.POST.get("username", "")).strip().casefold()  # as the form will read it, or wider
        who = f"{request.META.get('REMOTE_ADDR')} {name[:150]}"
        return over_limit(request, SIGN_INS, who) or super().post(request, *args, **kwargs)


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
