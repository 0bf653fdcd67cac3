"""The identity provider as this server talks to it: its addresses, its keys, its tokens."""

import logging
from functools import cache
from threading import Lock
from time import monotonic
from typing import Any

import jwt
import requests
from django.conf import settings

log = logging.getLogger(__name__)
TIMEOUT = (1.5, 3.0)  # seconds to connect, and to answer: a sign-in fails within 5 s, with a page
PAUSE = 5.0  # seconds without a call to a provider that did not answer: nobody waits in vain twice
LIFESPAN = 300.0  # seconds until the keys are fetched anew: so long may a withdrawn one still count
COOLDOWN = 30.0  # seconds between two fetches, whatever unknown keys tokens may name


class ProviderAway(Exception):
    """The identity provider does not answer, or not as it must: nobody can tell who is calling."""


class Refused(Exception):
    """The provider says no: the code, or the login behind the refresh token, does not count (any more)."""


class Provider:
    """One per process; a key that is known goes on counting while the provider is away."""

    def __init__(self) -> None:
        self.addresses: dict[str, Any] = {}
        self.keys: dict[str, jwt.PyJWK] = {}
        self.fetching, self.fetched, self.next_fetch, self.away_until = Lock(), float("-inf"), 0.0, 0.0

    # --- addresses: as browsers reach it, and as this server does ------------------------------------------

    def public(self, name: str) -> str:
        """Where a browser finds this endpoint."""
        return self._address(name).replace(settings.OIDC_INTERNAL_URL, settings.OIDC_ISSUER_URL, 1)

    def internal(self, name: str) -> str:
        """Where this server finds it."""
        return self._address(name).replace(settings.OIDC_ISSUER_URL, settings.OIDC_INTERNAL_URL, 1)

    def _address(self, name: str) -> str:
        if not self.addresses:
            said = self._ask("GET", f"{settings.OIDC_INTERNAL_URL}/.well-known/openid-configuration")
            if said.get("issuer") != settings.OIDC_ISSUER_URL:
                log.error("the provider calls itself %r; OIDC_ISSUER_URL must be exactly that", said.get("issuer"))
                raise ProviderAway
            self.addresses = said
        if name not in self.addresses:
            log.error("the provider does not say its %s", name)
            raise ProviderAway
        return str(self.addresses[name])

    # --- keys ----------------------------------------------------------------------------------------------

    def key(self, kid: str, direct: bool = False) -> jwt.PyJWK:
        """The key of that id. Raises KeyError if it is none of the provider's, ProviderAway while none at all is known.

        A token that came `direct` from the provider is no stranger's: for it the keys are fetched even if they just were.
        """
        known = kid in self.keys
        if direct and not known:
            self.next_fetch = 0.0
        if not known or monotonic() - self.fetched > LIFESPAN:
            self._fetch_keys(wait=not known)
        if not self.keys:
            raise ProviderAway
        return self.keys[kid]

    def _fetch_keys(self, wait: bool) -> None:
        """Unless somebody just did; whoever holds a key that is known does not wait for it."""
        if not self.fetching.acquire(blocking=wait):
            return
        try:
            if monotonic() >= self.next_fetch:
                self.next_fetch = monotonic() + COOLDOWN
                said = self._ask("GET", settings.OIDC_JWKS_URL or self.internal("jwks_uri"))
                self.keys, self.fetched = _signing_keys(said), monotonic()
        except ProviderAway:
            if not self.keys:
                self.next_fetch = 0.0  # the pause after a failure is enough
        finally:
            self.fetching.release()

    # --- tokens --------------------------------------------------------------------------------------------

    def tokens(self, **grant: str) -> dict[str, Any]:
        """What the provider gives for a code or a refresh token. Raises Refused, ProviderAway."""
        client = {"client_id": settings.OIDC_CLIENT_ID, "client_secret": settings.OIDC_CLIENT_SECRET}
        return self._ask("POST", self.internal("token_endpoint"), {**client, **grant})

    def _ask(self, method: str, url: str, data: dict[str, str] | None = None) -> dict[str, Any]:
        if monotonic() < self.away_until:
            raise ProviderAway
        try:
            answer = requests.request(method, url, data=data, timeout=TIMEOUT, allow_redirects=False)
            said = answer.json()
        except requests.RequestException as error:
            self.away_until = monotonic() + PAUSE
            log.warning("the identity provider does not answer: %s", type(error).__name__)
            raise ProviderAway from None
        if not isinstance(said, dict) or answer.status_code != 200:
            raise _refusal(answer.status_code, said)
        return said


@cache
def provider() -> Provider:
    """The process's own."""
    return Provider()


def _refusal(status: int, said: object) -> Exception:
    """Our no, or theirs: a wrong client secret is no reason to tell people that they are signed out."""
    error = said.get("error") if isinstance(said, dict) else None
    if error == "invalid_grant":
        return Refused()
    log.error("the identity provider answers %s %s", status, error)
    return ProviderAway()


def _signing_keys(said: dict[str, Any]) -> dict[str, jwt.PyJWK]:
    """By id; what is not for signing, or of a kind that we do not know, is left out."""
    try:
        keys = jwt.PyJWKSet.from_dict(said).keys
    except (jwt.PyJWTError, TypeError):
        log.error("the identity provider shows no keys that could be read")
        raise ProviderAway from None
    return {key.key_id: key for key in keys if key.key_id and key.public_key_use in ("sig", None)}
