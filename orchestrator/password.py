"""Changing one's own password: what is wrong with the new one is told where it was typed, and success is said."""

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.forms import PasswordChangeForm
from django.contrib.auth.views import PasswordChangeView
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.utils.translation import gettext as _

from audit.actor import actor_of
from orchestrator.identity import over_limit
from orchestrator.limits import SIGN_INS


class NewPassword(PasswordChangeForm):
    """Django tells a weak password at the field that repeats it; here at its own."""

    def validate_password_for_user(self, user: Any, password_field_name: str = "") -> None:
        """Whatever field the caller names, the first one is meant."""
        super().validate_password_for_user(user, "new_password1")


class ChangePassword(PasswordChangeView):
    """Old, new, repeated; then to the dashboard, which says that it was done."""

    template_name = "password.html"
    form_class = NewPassword
    success_url = "/"

    def dispatch(self, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """The provider keeps its people's passwords."""
        if settings.OIDC_ISSUER_URL:
            raise Http404
        return super().dispatch(*args, **kwargs)

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """An open browser is no place to guess the old one at."""
        return over_limit(request, SIGN_INS, actor_of(request).principal) or super().post(request, *args, **kwargs)

    def form_valid(self, form: Any) -> HttpResponse:
        """Change it, and say so."""
        messages.success(self.request, _("Your password is changed."))
        return super().form_valid(form)
