"""Every setting, read from the environment here and nowhere else; a wrong one stops the start by name."""

import os
import secrets
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from urllib.parse import urlsplit

import dj_database_url
from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured

from orchestrator import embedded, keys

BASE_DIR = Path(__file__).resolve().parent.parent


def env(name: str, default: str = "") -> str:
    """The environment's NAME, or what stands in the file that NAME_FILE names (for secrets)."""
    if path := os.environ.get(f"{name}_FILE"):
        try:
            return Path(path).read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ImproperlyConfigured(f"{name}_FILE cannot be read: {getattr(error, 'strerror', 'it is not UTF-8')}.") from None
    return os.environ.get(name, "").strip() or default


def env_bool(name: str, default: bool = False) -> bool:
    """Yes or no; anything else is a mistake worth stopping for."""
    words = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
    word = env(name, str(default)).lower()
    if word not in words:
        raise ImproperlyConfigured(f"{name} must be true or false, not {word!r}.")
    return words[word]


def env_number(name: str, default: int, most: int) -> int:
    """A whole number from 1 to `most`."""
    text = env(name, str(default))
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= most):
        raise ImproperlyConfigured(f"{name} must be a whole number from 1 to {most}, not {text!r}.")
    return int(text)


def env_list(name: str, default: str = "") -> list[str]:
    """Words between commas."""
    return [word.strip() for word in env(name, default).split(",") if word.strip()]


def env_url(name: str, schemes: tuple[str, ...]) -> str:
    """An address with one of the schemes, or nothing."""
    url = env(name)
    try:
        scheme, host, _ = urlsplit(url).scheme, urlsplit(url).hostname, urlsplit(url).port
    except ValueError:  # its text may hold a part of the password
        raise ImproperlyConfigured(f"{name} is no address; in a password write / ? # [ ] @ : and % as %2F and so on.") from None
    if url and scheme not in schemes:
        raise ImproperlyConfigured(f"{name} must begin with {' or '.join(f'{s}://' for s in schemes)}.")
    if scheme.startswith("http") and not host:
        raise ImproperlyConfigured(f"{name} names no host.")
    return url


def env_networks(name: str) -> list[IPv4Network | IPv6Network]:
    """Addresses or networks between commas: 10.0.0.5, 172.16.0.0/12."""
    try:
        return [ip_network(word) for word in env_list(name)]
    except ValueError as error:
        raise ImproperlyConfigured(f"{name} must be addresses or networks between commas: {error}.") from None


def is_loopback(url: str) -> bool:
    """Whether only this machine reaches that address."""
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


# --- where it runs -------------------------------------------------------------------------------------
ORCHESTRATOR_HOME = Path(env("ORCHESTRATOR_HOME", str(BASE_DIR / "var"))).resolve()
HOST = env("HOST", "127.0.0.1")
PORT = env_number("PORT", 8088, most=65535)
DEBUG = env_bool("DEBUG")
DATABASE_URL = env_url("DATABASE_URL", ("postgres", "postgresql"))
REDIS_URL = env_url("REDIS_URL", ("redis", "rediss", "unix"))
OIDC_ISSUER_URL = env_url("OIDC_ISSUER_URL", ("https", "http")).rstrip("/")
OIDC_CLIENT_ID = env("OIDC_CLIENT_ID")
OIDC_CLIENT_SECRET = env("OIDC_CLIENT_SECRET")
PUBLIC_URL = env_url("PUBLIC_URL", ("https", "http")).rstrip("/")
TRUSTED_PROXY = env_networks("TRUSTED_PROXY")

EMBEDDED_DATABASE = not DATABASE_URL
EMBEDDED_REDIS = not REDIS_URL
# A deployment has an identity provider or a database of its own; nothing of the demo happens there unasked.
DEPLOYMENT = bool(OIDC_ISSUER_URL or DATABASE_URL)
DEMO = not DEPLOYMENT

if OIDC_ISSUER_URL:
    for needed, given, why in (
        ("DATABASE_URL", DATABASE_URL, "the embedded engines are no production store"),
        ("REDIS_URL", REDIS_URL, "the embedded engines are no production store"),
        ("OIDC_CLIENT_ID", OIDC_CLIENT_ID, "people sign in as users of that client"),
        ("OIDC_CLIENT_SECRET", OIDC_CLIENT_SECRET, "it proves to the provider who asks (OIDC_CLIENT_SECRET_FILE will do)"),
        ("PUBLIC_URL", PUBLIC_URL, "the provider sends people back there"),
    ):
        if not given:
            raise ImproperlyConfigured(f"{needed} must be set when OIDC_ISSUER_URL is: {why}.")
    if DEBUG:
        raise ImproperlyConfigured("DEBUG must be off when OIDC_ISSUER_URL is set: it shows internals to everybody.")
elif OIDC_CLIENT_ID or OIDC_CLIENT_SECRET:
    raise ImproperlyConfigured("OIDC_ISSUER_URL must be set when OIDC_CLIENT_ID or OIDC_CLIENT_SECRET is.")
if urlsplit(PUBLIC_URL).path:
    raise ImproperlyConfigured("PUBLIC_URL must end with the host or port: the site lies at the root of its address.")
if PUBLIC_URL.startswith("http://") and not is_loopback(PUBLIC_URL):
    raise ImproperlyConfigured("PUBLIC_URL must begin with https:// unless only this machine reaches it: cookies would travel in the open.")


def secret_key() -> str:
    """SECRET_KEY; a development machine makes its own once and keeps it."""
    if given := env("SECRET_KEY"):
        return given
    if DEPLOYMENT:
        raise ImproperlyConfigured("SECRET_KEY (or SECRET_KEY_FILE) must be set in a deployment: 50 random characters.")
    return keys.own_secret(ORCHESTRATOR_HOME, "secret.key", lambda: secrets.token_urlsafe(50))


SECRET_KEY = secret_key()

# --- the product's own rules ---------------------------------------------------------------------------
APPROVAL_TTL_SECONDS = env_number("APPROVAL_TTL_SECONDS", 259_200, most=2_592_000)
CONFIRM_ABOVE = env_number("CONFIRM_ABOVE", 50_000, most=1_000_000_000)
IDEMPOTENCY_TTL_SECONDS = env_number("IDEMPOTENCY_TTL_SECONDS", 86_400, most=31_536_000)
SESSION_RETENTION_DAYS = env_number("SESSION_RETENTION_DAYS", 7, most=3_650)
TOKEN_MAX_AGE = env_number("TOKEN_MAX_AGE", 3_600, most=86_400)
RATE_LIMIT = env_number("RATE_LIMIT", 12_000, most=1_000_000_000)
SIGN_IN_LIMIT = env_number("SIGN_IN_LIMIT", 10, most=1_000_000_000)
ORG_ROLES = [role.lower() for role in env_list("ORG_ROLES")]
OIDC_AUDIENCE = env("OIDC_AUDIENCE", "goose-controller")
OIDC_JWKS_URL = env_url("OIDC_JWKS_URL", ("https", "http"))
#: Of the predecessor's settings those that are set and do nothing here (docs/settings.md); checks.py names them.
WITHOUT_EFFECT = sorted({"IDEMPOTENCY_ENABLED", "CONTROLLER_PORT", "GUARD_ENABLED"} & os.environ.keys())
OIDC_INTERNAL_URL = env_url("OIDC_INTERNAL_URL", ("https", "http")).rstrip("/") or OIDC_ISSUER_URL
OIDC_ALLOWED_CLIENTS = env_list("OIDC_ALLOWED_CLIENTS")

# --- Django --------------------------------------------------------------------------------------------
ALLOWED_HOSTS = env_list("ALLOWED_HOSTS", "127.0.0.1,localhost,[::1]")
CSRF_TRUSTED_ORIGINS = [PUBLIC_URL] if PUBLIC_URL else []
ROOT_URLCONF = "orchestrator.urls"
WSGI_APPLICATION = "orchestrator.wsgi.application"
APPEND_SLASH = False

INSTALLED_APPS = [
    "orchestrator",
    "approvals",
    "sessions",
    "audit",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "django.contrib.postgres",
    "django_htmx",
    "template_partials",
    "csp",
    "ninja",
]

MIDDLEWARE = [
    "orchestrator.health.OutageMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "orchestrator.api.problems.TraceMiddleware",
    "orchestrator.api.door.DoorMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "orchestrator.fresh.FreshMiddleware",
    "orchestrator.identity.ActorMiddleware",
    "orchestrator.zone.ZoneMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "orchestrator.dashboard.desk",
            ],
        },
    }
]

STATEMENT_SECONDS = 10  # the longest that one question to the database may take

# --- stores --------------------------------------------------------------------------------------------
DATABASES = {
    "default": {
        **dj_database_url.parse(DATABASE_URL or embedded.database_url(ORCHESTRATOR_HOME), engine="orchestrator.postgres"),
        # With fixed threads a kept, checked connection fails at once while the database is down and is back at once.
        "CONN_MAX_AGE": None,
        "CONN_HEALTH_CHECKS": True,
    }
}
DATABASES["default"].setdefault("OPTIONS", {}).update(  # type: ignore[attr-defined]
    {
        "connect_timeout": 2,
        "options": f"-c statement_timeout={STATEMENT_SECONDS}s -c orchestrator.session_retention_days={SESSION_RETENTION_DAYS}",
    }
)
CACHES = {
    "default": {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": REDIS_URL or embedded.redis_url(ORCHESTRATOR_HOME),
        "OPTIONS": {
            "SOCKET_CONNECT_TIMEOUT": 0.2,
            "SOCKET_TIMEOUT": 0.2,
            "IGNORE_EXCEPTIONS": True,  # Redis is for speed: any error is a miss
        },
    }
}

# --- people --------------------------------------------------------------------------------------------
# Passwords of our own count only while there is no identity provider, also for /admin/; a login from before ends with it.
AUTHENTICATION_BACKENDS = ["orchestrator.oidc.Accounts" if OIDC_ISSUER_URL else "orchestrator.identity.Passwords"]
OIDC_RP_CLIENT_ID, OIDC_RP_CLIENT_SECRET, OIDC_RP_SIGN_ALGO = OIDC_CLIENT_ID, OIDC_CLIENT_SECRET, "RS256"
OIDC_RP_SCOPES = "openid profile email"
OIDC_USE_PKCE = True
OIDC_MAX_STATES = 20  # sign-ins under way in one browser, one for each tab
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "login"
SESSION_COOKIE_AGE = 12 * 3600
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
CSRF_FAILURE_VIEW = "orchestrator.urls.csrf_failure"
# One scheme for the whole site: PUBLIC_URL decides about cookies.
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = PUBLIC_URL.startswith("https://")
SESSION_COOKIE_NAME, CSRF_COOKIE_NAME = ("__Host-sessionid", "__Host-csrftoken") if SESSION_COOKIE_SECURE else ("sessionid", "csrftoken")
SECURE_HSTS_SECONDS = 31_536_000 if SESSION_COOKIE_SECURE else 0
# Probes and the provider's back channel come from within, past the proxy that ends TLS.
SECURE_REDIRECT_EXEMPT = ["^livez$", "^health$", "^sign-out/back-channel/$"]
# HSTS for subdomains, and for the browsers' preloaded lists: the whole domain's owner decides that, not one site on it.
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]

# --- pages ---------------------------------------------------------------------------------------------
LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
STATIC_URL = "static/"
STATIC_ROOT = ORCHESTRATOR_HOME / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
# Hashed names and a year in the browser's cache; `serve` and the tests collect the files.
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF],
        "connect-src": [SELF],
        # Chromium applies it to redirects too: signing out leads to the provider.
        "form-action": [SELF, *([f"{issuer.scheme}://{issuer.netloc}"] if (issuer := urlsplit(OIDC_ISSUER_URL)).netloc else [])],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
    }
}
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
DATA_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": "WARNING"},
    # A name that is not ours is a stranger's mistake: no traceback for it.
    "loggers": {"django.request": {"level": "ERROR"}, "django.security.DisallowedHost": {"level": "CRITICAL"}},
}
