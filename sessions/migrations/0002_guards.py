"""No change of a session or task without its event; full-text search; the view for people with psql."""

from importlib import import_module

from django.db import migrations

guard = import_module("audit.migrations.0002_guards").guard

TASK_FIXED = ["task_type", "description", "from_role", "to_role", "data", "context", "trace_id", "created_at", "created_by"]

SHAPES = """
ALTER TABLE sessions ADD CONSTRAINT sessions_metadata CHECK (jsonb_typeof(metadata) = 'object');
ALTER TABLE tasks ADD CONSTRAINT tasks_objects CHECK (
  jsonb_typeof(data) = 'object' AND jsonb_typeof(context) = 'object' AND coalesce(jsonb_typeof(result), 'object') = 'object');
CREATE INDEX sessions_search ON sessions USING gin (to_tsvector('simple', metadata));
"""
SHAPES_BACK = """
DROP INDEX sessions_search;
ALTER TABLE tasks DROP CONSTRAINT tasks_objects;
ALTER TABLE sessions DROP CONSTRAINT sessions_metadata;
"""

# The retention time is a setting of the product; its connections bring it along, psql sees the default.
VIEW = """
CREATE VIEW active_sessions AS
  SELECT id, role, task_id, created_at, updated_at FROM sessions
  WHERE status = 'active' AND updated_at >= now()
    - make_interval(days => coalesce(nullif(current_setting('orchestrator.session_retention_days', true), ''), '7')::int)
  ORDER BY updated_at DESC;
COMMENT ON VIEW active_sessions IS 'Active sessions by effective status, latest activity first';
"""


class Migration(migrations.Migration):
    """Triggers, checks, the search index and the view."""

    dependencies = [("agent_sessions", "0001_initial"), ("audit", "0002_guards")]

    operations = [
        guard("sessions", "session", "role", "trace_id", "created_at", "created_by"),
        guard("tasks", "task", *TASK_FIXED),
        migrations.RunSQL(SHAPES, SHAPES_BACK),
        migrations.RunSQL(VIEW, "DROP VIEW active_sessions"),
    ]
