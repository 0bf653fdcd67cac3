"""Django admin: how it is called, what all four tables share there, and the trail itself."""

import json
from typing import Any
from uuid import UUID

from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from audit.calendar import Dated, ShortPaginator
from audit.listing import PREFIX
from audit.models import AuditEvent
from audit.story import visible

admin.site.site_header = _("Orchestrator administration")
admin.site.site_title = _("Orchestrator")
admin.site.index_title = _("People, and everything that happened")


class ReadOnlyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # generic for the type checker alone
    """Everything can be looked at; nothing is added, edited or deleted, because each change needs its audit event."""

    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER  # a count per filter is as many full counts
    paginator = ShortPaginator
    date_hierarchy = "created_at"
    list_per_page = 50
    #: Columns that hold ids, which the search finds whole; then those that it finds by their words.
    ids: tuple[str, ...] = ("id",)
    words: tuple[str, ...] = ()
    # Django shows the search box only if this is set.
    search_fields = ("id",)
    search_help_text = _("A whole id, or the whole value of a role, a type or a name")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """All rows; their calendar is found without reading them."""
        return Dated(self.model).order_by(*self.get_ordering(request))

    def has_add_permission(self, request: HttpRequest, *args: Any) -> bool:
        """Agents add, through the API."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """No save button; the actions below a list go through the product's own rules."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Nothing is ever deleted."""
        return False

    def get_search_results(self, request: HttpRequest, queryset: QuerySet[Any], search_term: str) -> tuple[QuerySet[Any], bool]:
        """By whole values, so that indexes answer; a word that is no id is not compared with ids."""
        term = search_term.strip()
        if not term:
            return queryset, False
        try:
            found = dict.fromkeys(self.ids, UUID(PREFIX.sub("", term)))
        except ValueError:
            return _any(queryset, dict.fromkeys(self.words, term)), False
        return _any(queryset, found), False


def _any(rows: QuerySet[Any], values: dict[str, Any]) -> QuerySet[Any]:
    found = rows.none()
    for name, value in values.items():
        found |= rows.filter(**{name: value})
    return found


class About(admin.SimpleListFilter):
    """What an event is about; Django's own filter reads the whole table to find the words."""

    title = _("subject type")
    parameter_name = "subject_type"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """The three kinds of objects, and what callers report."""
        return [("session", _("session")), ("task", _("task")), ("approval", _("approval")), ("reported", _("reported"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Those of the kind."""
        if not (kind := self.value()):
            return queryset
        return queryset.filter(subject_type__isnull=True) if kind == "reported" else queryset.filter(subject_type=kind)


@admin.register(AuditEvent)
class AuditEventAdmin(ReadOnlyAdmin):
    """The trail: the database refuses what the admin does not offer."""

    date_hierarchy = "timestamp"
    list_display = ("timestamp", "event_type", "who", "actor_kind", "role", "subject_type", "version")
    list_filter = ("timestamp", About, "actor_kind")
    ids = ("id", "trace_id", "subject_id")
    words = ("event_type", "actor", "actor_id", "role")
    fields = (
        "timestamp", "event_type", "who", "actor_id", "actor_kind", "role", "subject_type", "subject_id", "version", "trace_id", "details",
        "digest",
    )  # fmt: skip
    readonly_fields = fields
    ordering = ("-timestamp", "-id")

    @admin.display(description=_("actor"))
    def who(self, event: AuditEvent) -> str:
        """The name, with what hides in it made visible."""
        return visible(event.actor)

    @admin.display(description=_("details"))
    def details(self, event: AuditEvent) -> SafeString:
        """The metadata, readable."""
        return as_json(event.metadata)


def as_json(value: Any) -> SafeString:
    """A payload as indented JSON, escaped, with what hides in it made visible."""
    return format_html("<pre>{}</pre>", visible(json.dumps(value, indent=2, ensure_ascii=False), 200_000))
