"""An identity provider of the tests' own, over HTTP on loopback: says its addresses, shows its keys, gives tokens."""

import base64
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from pytest_django import Settings

from orchestrator.provider import provider

KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OIDC = "/protocol/openid-connect"
CLIENT = "orchestrator"


def text_of(part: Any) -> bytes:
    """One part of a token, also of such that PyJWT would refuse to write."""
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=")


def sign(claims: dict[str, Any], key: Any = KEY, algorithm: str = "RS256", **header: Any) -> str:
    """A token with these claims."""
    parts = b".".join(text_of(part) for part in ({"typ": "JWT", "alg": algorithm, "kid": "one", **header}, claims))
    signature = jwt.get_algorithm_by_name(algorithm).sign(parts, key)
    return f"{parts.decode()}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


class Issuer:
    """What it knows; tests change it as they go."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.keys: dict[str, Any] = {"one": KEY}
        self.asked: list[str] = []  # paths
        self.grants: list[dict[str, str]] = []  # what was asked of the token endpoint
        self.answer: tuple[int, dict[str, Any]] | None = None  # of the token endpoint, instead of tokens
        self.person: dict[str, Any] = {
            "sub": "7f1b7a3e-0001-4000-8000-000000000001", "preferred_username": "maria", "given_name": "Maria", "family_name": "Lindqvist",
            "email": "maria@example.com", "sid": "login-1", "realm_access": {"roles": ["manager", "default-roles-dev"]},
        }  # fmt: skip
        self.nonce = ""

    def claims(self, **changes: Any) -> dict[str, Any]:
        """Of a good token; `...` leaves a claim out."""
        now = int(time.time())
        usual = {"iss": self.url, "aud": CLIENT, "azp": CLIENT, "typ": "ID", "iat": now, "exp": now + 300, "nonce": self.nonce}
        return {name: value for name, value in {**usual, **self.person, **changes}.items() if value is not ...}

    def tokens(self, **changes: Any) -> dict[str, Any]:
        """What the token endpoint gives."""
        return {"id_token": sign(self.claims(**changes)), "access_token": "unused", "refresh_token": f"refresh-{len(self.grants)}"}

    def said(self, path: str) -> dict[str, Any]:
        """The answer to a GET."""
        self.asked.append(path)
        if path.endswith("/certs"):
            return {"keys": [json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key())) | {"kid": kid, "use": "sig", "alg": "RS256"}
                             for kid, key in self.keys.items()]}  # fmt: skip
        endpoints = {"authorization_endpoint": "auth", "token_endpoint": "token", "end_session_endpoint": "logout", "jwks_uri": "certs"}
        return {"issuer": self.url, **{name: f"{self.url}{OIDC}/{word}" for name, word in endpoints.items()}}

    def granted(self, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        """The answer of the token endpoint."""
        self.grants.append(form)
        return self.answer or (200, self.tokens())


@contextmanager
def serving() -> Iterator[Issuer]:
    """While the block runs; a request that comes later finds nobody."""

    class Site(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.reply(200, issuer.said(self.path))

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            self.reply(*issuer.granted(dict(parse_qsl(body))))

        def reply(self, status: int, said: dict[str, Any]) -> None:
            body = json.dumps(said).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Quietly."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Site) as site:
        issuer = Issuer(f"http://127.0.0.1:{site.server_port}/realms/desk")
        threading.Thread(target=site.serve_forever, args=[0.02], daemon=True).start()
        provider.cache_clear()
        yield issuer
        provider.cache_clear()
        site.shutdown()


def trust(settings: Settings, issuer: Issuer) -> None:
    """As settings.py would have it with this provider."""
    settings.OIDC_ISSUER_URL = settings.OIDC_INTERNAL_URL = issuer.url
    settings.OIDC_CLIENT_ID = settings.OIDC_RP_CLIENT_ID = CLIENT
    settings.OIDC_CLIENT_SECRET = settings.OIDC_RP_CLIENT_SECRET = "a secret of the tests"
    settings.AUTHENTICATION_BACKENDS = ["orchestrator.oidc.Accounts"]
