"""The app `sessions`; Django's own sessions app owns the label, so ours has another."""

from django.apps import AppConfig


class SessionsConfig(AppConfig):
    """Sessions and tasks."""

    name = "sessions"
    label = "agent_sessions"
    verbose_name = "Sessions and tasks"
    default_auto_field = "django.db.models.BigAutoField"
