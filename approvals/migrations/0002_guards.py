"""No change of an approval without its event; four eyes against the task's creator; the view for people with psql."""

from importlib import import_module

from django.db import migrations

guard = import_module("audit.migrations.0002_guards").guard

FOUR_EYES = """
CREATE FUNCTION approvals_four_eyes() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT FROM tasks WHERE id = NEW.task_id AND created_by = NEW.decided_by) THEN
    RAISE EXCEPTION 'who sent the task cannot decide about it' USING ERRCODE = 'check_violation';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER approvals_four_eyes BEFORE INSERT OR UPDATE ON approvals FOR EACH ROW
  WHEN (NEW.decided_by IS NOT NULL) EXECUTE FUNCTION approvals_four_eyes();
"""
FOUR_EYES_BACK = """
DROP TRIGGER approvals_four_eyes ON approvals;
DROP FUNCTION approvals_four_eyes();
"""

VIEW = """
CREATE VIEW pending_approvals AS
  SELECT a.id, a.task_id, a.approver_role, a.created_at, t.description, t.from_role, t.to_role
  FROM approvals a JOIN tasks t ON t.id = a.task_id
  WHERE a.status = 'pending' AND a.expires_at > now() ORDER BY a.created_at;
COMMENT ON VIEW pending_approvals IS 'Pending approvals by effective status, oldest first';
"""


class Migration(migrations.Migration):
    """Triggers and the view."""

    dependencies = [("approvals", "0001_initial"), ("agent_sessions", "0002_guards")]

    operations = [
        guard("approvals", "approval", "task_id", "approver_role", "reason", "from_role", "created_at", "requested_by", "expires_at"),
        migrations.RunSQL(FOUR_EYES, FOUR_EYES_BACK),
        migrations.RunSQL(VIEW, "DROP VIEW pending_approvals"),
    ]
