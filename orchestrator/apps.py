"""The app `orchestrator`: commands and system checks."""

from django.apps import AppConfig


class OrchestratorConfig(AppConfig):
    """The wiring."""

    name = "orchestrator"

    def ready(self) -> None:
        """Register the system checks."""
        from orchestrator import checks  # noqa: F401
