"""The site map on one screen."""

from django.contrib import admin
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import include, path, re_path
from django.utils.translation import gettext as _

from orchestrator import dashboard, health, identity, oidc
from orchestrator.api import api
from orchestrator.api.problems import is_api, problem
from orchestrator.password import ChangePassword

handler500 = "orchestrator.health.server_error"
handler404 = "orchestrator.urls.not_found"
handler403 = "orchestrator.urls.forbidden"
handler400 = "orchestrator.urls.bad_request"


@login_not_required
def unknown(request: HttpRequest, rest: str = "") -> HttpResponse:
    """What is not known under /api, whatever the method."""
    return problem(request, 404)


urlpatterns = [
    path("api/", api.urls),  # first: most requests go there
    path("", dashboard.show, name="dashboard"),
    path("approvals/", include("approvals.urls")),
    path("sessions/", include("sessions.urls")),
    path("audit/", include("audit.urls")),
    path("sign-in/", identity.SignIn.as_view(), name="login"),
    path("sign-in/start/", oidc.Start.as_view(), name="oidc_authentication_init"),
    path("sign-in/back/", oidc.Callback.as_view(), name="oidc_authentication_callback"),
    path("sign-out/", oidc.SignOut.as_view(), name="logout"),
    path("sign-out/back-channel/", oidc.back_channel),
    path("signed-out/", oidc.signed_out, name="signed_out"),
    path("password/", ChangePassword.as_view(), name="password_change"),
    path("admin/login/", identity.admin_sign_in),
    path("admin/", admin.site.urls),
    path("health", health.health),
    path("livez", health.livez),
    path("status", health.status),
    re_path(r"^api(?P<rest>/.*)?$", unknown),
]


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """404."""
    return _error(request, 404)


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    """403."""
    return _error(request, 403, str(exception))


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """400."""
    return _error(request, 400)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """403: the form is older than the sign-in, or comes from elsewhere."""
    return _error(request, 403, _("This page is out of date. Reload it, then send the form again."))


def _error(request: HttpRequest, status: int, said: str = "") -> HttpResponse:
    if is_api(request):
        return problem(request, status)
    identity.name_caller(request)
    return render(request, f"{status}.html", {"said": said}, status=status)
