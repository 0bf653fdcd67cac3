"""People and roles in Django admin: a role is a group whose name can stand on the org chart."""

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group, User
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from audit.actor import ROLE

admin.site.unregister(Group)


class RoleForm(forms.ModelForm):  # type: ignore[type-arg]  # generic for the type checker alone
    """Only the name says anything here: what a role may do is the product's own rule."""

    class Meta:
        model = Group
        fields = ("name",)

    def clean_name(self) -> str:
        """Folded as everywhere; what no task or token could name is refused."""
        name = str(self.cleaned_data["name"]).strip().lower()
        if not ROLE.fullmatch(name):
            raise ValidationError(_("A letter first, then letters, digits, _ and -, at most 50."))
        return name


@admin.register(Group)
class RoleAdmin(GroupAdmin):
    """Roles, with who holds them."""

    form = RoleForm
    list_display = ("name", "holders")

    def get_fieldsets(self, request: Any, obj: Any = None) -> Any:
        """The name alone: Django's permissions decide nothing in this product."""
        return [(None, {"fields": ("name",)})]

    @admin.display(description=_("held by"))
    def holders(self, role: Group) -> str:
        """Their names."""
        return ", ".join(sorted(user.get_full_name() or user.get_username() for user in role.user_set.all())) or "-"

    def get_queryset(self, request: Any) -> Any:
        """With their holders, in one query more."""
        return super().get_queryset(request).prefetch_related("user_set")


admin.site.unregister(User)


@admin.register(User)
class PersonAdmin(UserAdmin):  # type: ignore[type-arg]  # generic for the type checker alone
    """People. Their name here is who they are in the audit, so it stays; who leaves is made inactive, not deleted."""

    fieldsets = (
        (None, {"fields": ("username", "password")}),
        (_("Personal info"), {"fields": ("first_name", "last_name", "email")}),
        (_("Roles"), {"fields": ("is_active", "is_staff", "is_superuser", "groups")}),
        (_("Important dates"), {"fields": ("last_login", "date_joined")}),
    )
    filter_horizontal = ("groups",)

    def get_readonly_fields(self, request: Any, obj: Any = None) -> Any:
        """Four eyes look at names: who could take another one would be somebody else."""
        return ("last_login", "date_joined", *(("username",) if obj else ()))

    def has_delete_permission(self, request: Any, obj: Any = None) -> bool:
        """A freed name would come to somebody else with all that was done under it."""
        return False
