"""People sign in at the identity provider (OpenID Connect, code flow): there, back, renewed, and out again at either end."""

import time
from secrets import compare_digest
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.models import Group, User
from django.contrib.sessions.models import Session
from django.core.exceptions import SuspiciousOperation
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render, resolve_url
from django.urls import reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST, require_safe
from mozilla_django_oidc.auth import OIDCAuthenticationBackend
from mozilla_django_oidc.utils import import_from_settings
from mozilla_django_oidc.views import OIDCAuthenticationCallbackView, OIDCAuthenticationRequestView, OIDCLogoutView

from orchestrator.identity import BadToken, decoded, issuer, over_limit, plain, roles_of, with_roles
from orchestrator.limits import SIGN_IN_STARTS
from orchestrator.provider import ProviderAway, Refused, provider

LOGIN = "oidc"  #: the login session's member that holds what renews the login and ends it
STATES = "oidc_states"  #: the library's: the sign-ins under way in this browser, by state
LOGGED_OUT = "http://schemas.openid.net/event/backchannel-logout"


# --- who it is -----------------------------------------------------------------------------------------


def id_claims(token: object, nonce: str | None = None) -> dict[str, Any]:
    """The claims of an ID token made for us, and for this sign-in if a nonce is given. Raises BadToken, ProviderAway."""
    client = settings.OIDC_CLIENT_ID
    claims = decoded(token if isinstance(token, str) else "", "ID", client, direct=True)
    if claims.get("azp", client) != client or (isinstance(claims["aud"], list) and len(claims["aud"]) > 1 and "azp" not in claims):
        raise BadToken("The ID token was made for another client.")
    if nonce is not None and not compare_digest(str(claims.get("nonce", "")).encode(), nonce.encode()):
        raise BadToken("The ID token was made for another sign-in.")
    return claims


def principal(claims: dict[str, Any]) -> str:
    """Issuer and subject: the one name that says who it is; e-mail addresses change hands. It is the account's name here."""
    name = f"{issuer()}|{claims['sub']}"
    if len(name) > 150:
        raise BadToken("Issuer and subject are longer than an account's name may be.")
    return name


def adopt(user: User, claims: dict[str, Any]) -> None:
    """Names and roles as the provider has them now: gained and lost."""
    roles = roles_of(claims)
    user.first_name = (plain(claims.get("given_name")) or plain(claims.get("preferred_username")))[:150]
    user.last_name, user.email = plain(claims.get("family_name"))[:150], plain(claims.get("email"))[:254]
    user.is_staff = user.is_superuser = "admin" in roles
    user.save(update_fields=["first_name", "last_name", "email", "is_staff", "is_superuser"])
    Group.objects.bulk_create([Group(name=role) for role in sorted(roles)], ignore_conflicts=True)
    user.groups.set(Group.objects.filter(name__in=roles))
    user.role_names = sorted(roles)  # type: ignore[attr-defined]  # where it brought those of before (identity.with_roles)


def noted(tokens: dict[str, Any], claims: dict[str, Any]) -> dict[str, Any]:
    """What the login session keeps."""
    return {
        "id_token": tokens["id_token"], "refresh_token": str(tokens.get("refresh_token", "")), "sid": claims.get("sid"),
        "principal": principal(claims), "checked": time.time(),
    }  # fmt: skip


def renew(request: HttpRequest) -> None:
    """Ask the provider whether the login still counts, and with which roles. Raises Refused, BadToken, ProviderAway."""
    tokens = provider().tokens(grant_type="refresh_token", refresh_token=request.session[LOGIN]["refresh_token"])
    claims = id_claims(tokens.get("id_token"))
    if not isinstance(request.user, User) or principal(claims) != request.user.get_username():
        raise Refused
    adopt(request.user, claims)
    request.session[LOGIN] = {**noted(tokens, claims), "sid": request.session[LOGIN]["sid"]}


class OurSettings:
    """The library wants the provider's addresses from the settings; here the provider says them when they are needed."""

    @staticmethod
    def get_settings(attr: str, *args: Any) -> Any:
        """A setting of the library's."""
        return "" if attr.startswith("OIDC_OP_") else import_from_settings(attr, *args)


class Accounts(OurSettings, OIDCAuthenticationBackend):  # type: ignore[misc]  # the library has no types
    """The provider's users; the only ones that count while there is a provider."""

    def authenticate(self, request: HttpRequest | None, nonce: str | None = None, **kwargs: Any) -> User | None:
        """Only for a sign-in that this browser began."""
        return super().authenticate(request, nonce=nonce, **kwargs) if nonce else None

    def get_token(self, payload: dict[str, str]) -> dict[str, Any]:
        """The library's own call knows no difference between away and refused."""
        self.tokens = provider().tokens(**payload)
        return self.tokens

    def verify_token(self, token: object, **kwargs: Any) -> dict[str, Any]:
        """The library's own check looks neither at issuer nor audience nor type."""
        return id_claims(token, kwargs["nonce"])

    def get_or_create_user(self, access_token: str, id_token: str, payload: dict[str, Any]) -> User:
        """By issuer and subject (the library goes by e-mail), with the roles of this moment."""
        user = User.objects.get_or_create(username=principal(payload), defaults={"password": "!"})[0]  # a password that fits nothing
        adopt(user, payload)
        self.request.login_begun = noted(self.tokens, payload)
        return user

    def get_user(self, user_id: int) -> User | None:
        """Whoever was signed in by another issuer, or locally, is no longer."""
        return with_roles().filter(pk=user_id, username__startswith=f"{issuer()}|").first()


# --- there and back ------------------------------------------------------------------------------------


def needs_provider() -> None:
    """Without one these pages are not there."""
    if not settings.OIDC_ISSUER_URL:
        raise Http404


@method_decorator(login_not_required, name="dispatch")
class Start(OurSettings, OIDCAuthenticationRequestView):  # type: ignore[misc]
    """To the provider, with state, nonce and PKCE."""

    def get(self, request: HttpRequest) -> HttpResponse:
        """Each tab keeps the page that it wants to come back to."""
        needs_provider()
        if refused := over_limit(request, SIGN_IN_STARTS, str(request.META.get("REMOTE_ADDR"))):
            return refused
        self.OIDC_OP_AUTH_ENDPOINT = provider().public("authorization_endpoint")
        response: HttpResponse = super().get(request)
        begun = next(reversed(request.session[STATES].values()))
        begun["next"] = request.session.pop("oidc_login_next")
        if not request.user.is_authenticated:
            request.session.set_expiry(600)  # a sign-in that nobody finishes
        return response


@method_decorator(login_not_required, name="dispatch")
class Callback(OurSettings, OIDCAuthenticationCallbackView):  # type: ignore[misc]
    """Back from the provider."""

    def get(self, request: HttpRequest) -> HttpResponse:
        """Only if this browser began it, and only once."""
        needs_provider()
        begun = request.session.get(STATES, {}).get(request.GET.get("state", ""))
        if begun is None or request.GET.get("iss", issuer()) != issuer():
            return self.login_failure()
        self.success_url = begun["next"] or resolve_url(settings.LOGIN_REDIRECT_URL)
        try:
            return super().get(request)  # type: ignore[no-any-return]
        except (BadToken, Refused, SuspiciousOperation):
            return self.login_failure()

    success_url = ""  # the library's own knows one for all tabs

    def login_success(self) -> HttpResponse:
        """The library changes the session's key; what we keep goes into the new one."""
        response: HttpResponse = super().login_success()
        self.request.session.set_expiry(None)
        self.request.session[LOGIN] = self.request.login_begun
        return response

    def login_failure(self) -> HttpResponse:
        """Told, never redirected: a redirect would come back here for ever."""
        if self.request.user.is_authenticated:
            return told(self.request, _("You are signed in already"), "", 403)
        said = _(
            "The sign-in took too long, was begun elsewhere, or was refused. Begin again; if it stays like this, ask an administrator."
        )
        return told(self.request, _("That sign-in did not work"), said, 403)


# --- out -----------------------------------------------------------------------------------------------


@method_decorator(login_not_required, name="dispatch")
class SignOut(OIDCLogoutView):  # type: ignore[misc]
    """Here, and at the provider too."""

    http_method_names = ["post"]

    @property
    def redirect_url(self) -> str:
        """Where the browser goes: the provider ends its own login and sends it back."""
        if LOGIN not in self.request.session:
            return resolve_url(settings.LOGOUT_REDIRECT_URL)
        try:  # a fresh ID token: the provider knows none that a key of its past has signed
            renew(self.request)
        except ProviderAway:
            return reverse("signed_out")
        except (Refused, BadToken, KeyError):
            pass
        login = self.request.session[LOGIN]
        back = self.request.build_absolute_uri(reverse("signed_out"))
        hint = urlencode({"id_token_hint": login["id_token"], "client_id": settings.OIDC_CLIENT_ID, "post_logout_redirect_uri": back})
        try:
            return f"{provider().public('end_session_endpoint')}?{hint}"
        except ProviderAway:
            return reverse("signed_out")


@require_safe
@login_not_required
def signed_out(request: HttpRequest) -> HttpResponse:
    """Not the sign-in page, which would lead straight to the provider again."""
    return told(request, _("You are signed out"), "")


def told(request: HttpRequest, heading: str, said: str, status: int = 200) -> HttpResponse:
    """A page about the sign-in, with the way to it."""
    return render(request, "signed_out.html", {"heading": heading, "said": said}, status=status)


@csrf_exempt
@require_POST
@login_not_required
def back_channel(request: HttpRequest) -> HttpResponse:
    """The provider says that somebody signed out there (OpenID Connect Back-Channel Logout 1.0)."""
    needs_provider()
    try:
        claims = decoded(request.POST.get("logout_token", ""), "Logout", settings.OIDC_CLIENT_ID, "jti")
        if "nonce" in claims or LOGGED_OUT not in (claims.get("events") or {}):
            raise BadToken
        end_logins(principal(claims), claims.get("sid"))
    except BadToken:
        return JsonResponse({"error": "invalid_request"}, status=400, headers={"Cache-Control": "no-store"})
    return HttpResponse(headers={"Cache-Control": "no-store"})


def end_logins(principal: str, sid: str | None) -> None:
    """That login alone, or without its id all of that person. Sessions are sealed: every live one is opened, 50 us each."""
    for row in Session.objects.filter(expire_date__gt=timezone.now()).iterator():
        login = row.get_decoded().get(LOGIN) or {}
        if login.get("principal") == principal and sid in (None, login["sid"]):
            row.delete()
