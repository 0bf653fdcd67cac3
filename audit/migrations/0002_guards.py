"""What the database itself guarantees: events are forever and chained, and no change commits without its event."""

from django.db import migrations

EVENTS = r"""
CREATE FUNCTION audit_digest(previous text, e audit_events) RETURNS text LANGUAGE sql STABLE AS $$
  -- Canonical text: jsonb orders its keys, the time is written in UTC whatever the connection's zone.
  SELECT encode(sha256(convert_to(previous || jsonb_build_array(
    e.id, e.event_type, e.role, to_char(e.timestamp AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US'), e.trace_id, e.metadata,
    e.actor, e.actor_id, e.actor_kind, e.subject_type, e.subject_id, e.version)::text, 'UTF8')), 'hex')
$$;

CREATE FUNCTION audit_events_chain() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  last record;
  previous text := '';
BEGIN
  IF NEW.timestamp >= transaction_timestamp() THEN  -- no moment of the past was given: it is now
    NEW.timestamp := clock_timestamp();
  END IF;
  -- The first event of an object has none before it, and nobody else sees the object yet.
  IF NEW.subject_id IS NOT NULL AND NEW.version IS DISTINCT FROM 1 THEN
    PERFORM pg_advisory_xact_lock(hashtextextended(NEW.subject_id::text, 0));  -- refusals take no row lock
    SELECT digest, timestamp INTO last FROM (
      (SELECT e.digest, e.timestamp FROM audit_events e WHERE e.subject_type = NEW.subject_type
        AND e.subject_id = NEW.subject_id AND e.version IS NOT NULL ORDER BY e.version DESC LIMIT 1)
      UNION ALL
      (SELECT e.digest, e.timestamp FROM audit_events e WHERE e.subject_id = NEW.subject_id AND e.version IS NULL
        ORDER BY e.timestamp DESC LIMIT 1)) ends ORDER BY timestamp DESC LIMIT 1;
    IF FOUND THEN
      previous := last.digest;
      NEW.timestamp := greatest(NEW.timestamp, last.timestamp + interval '1 microsecond');
    END IF;
  END IF;
  NEW.digest := audit_digest(previous, NEW);
  RETURN NEW;
END $$;

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% of % is refused: what happened stays', TG_OP, TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation';
END $$;

CREATE TRIGGER audit_events_chain BEFORE INSERT ON audit_events FOR EACH ROW EXECUTE FUNCTION audit_events_chain();
CREATE TRIGGER audit_events_forever BEFORE UPDATE OR DELETE ON audit_events FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER audit_events_whole BEFORE TRUNCATE ON audit_events FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
ALTER TABLE audit_events ADD CONSTRAINT audit_events_metadata CHECK (jsonb_typeof(metadata) = 'object');
"""

EVENTS_BACK = """
ALTER TABLE audit_events DROP CONSTRAINT audit_events_metadata;
DROP TRIGGER audit_events_whole ON audit_events;
DROP TRIGGER audit_events_forever ON audit_events;
DROP TRIGGER audit_events_chain ON audit_events;
DROP FUNCTION refuse_change();
DROP FUNCTION audit_events_chain();
DROP FUNCTION audit_digest(text, audit_events);
"""

OBJECTS = r"""
CREATE FUNCTION audited_version() RETURNS trigger LANGUAGE plpgsql AS $$
-- Arguments: the columns that never change after the insert.
DECLARE
  was jsonb := to_jsonb(OLD) - ARRAY['updated_at', 'idempotency_key', 'request_digest'];
  becomes jsonb := to_jsonb(NEW) - ARRAY['updated_at', 'idempotency_key', 'request_digest'];
  frozen text;
BEGIN
  IF was = becomes THEN RETURN NEW; END IF;  -- a touch: no version, no event
  IF NEW.version <> OLD.version + 1 THEN
    RAISE EXCEPTION 'a change of % needs the next version and its event', TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  FOREACH frozen IN ARRAY TG_ARGV LOOP
    IF was -> frozen IS DISTINCT FROM becomes -> frozen THEN
      RAISE EXCEPTION '%.% never changes', TG_TABLE_NAME, frozen USING ERRCODE = 'integrity_constraint_violation';
    END IF;
  END LOOP;
  RETURN NEW;
END $$;

CREATE FUNCTION audited_events() RETURNS trigger LANGUAGE plpgsql AS $$
-- Argument: the subject type. An INSERT needs the events 1..version (past objects enter whole), an UPDATE its own.
DECLARE
  since integer := CASE TG_OP WHEN 'INSERT' THEN 1 ELSE NEW.version END;
  told integer;
BEGIN
  SELECT count(*) INTO told FROM audit_events
    WHERE subject_type = TG_ARGV[0] AND subject_id = NEW.id AND version BETWEEN since AND NEW.version;
  IF told <> NEW.version - since + 1 THEN
    RAISE EXCEPTION 'version % of this % has no audit event', NEW.version, TG_ARGV[0] USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NULL;
END $$;
"""

OBJECTS_BACK = """
DROP FUNCTION audited_events();
DROP FUNCTION audited_version();
"""


def guard(table: str, subject: str, *frozen: str) -> migrations.RunSQL:
    """The triggers that hold one table of objects to its audit events; used by the apps above as well."""
    columns = ", ".join(f"'{name}'" for name in frozen)
    return migrations.RunSQL(
        f"""
        CREATE TRIGGER {table}_version BEFORE UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION audited_version({columns});
        CREATE CONSTRAINT TRIGGER {table}_inserted AFTER INSERT ON {table} DEFERRABLE INITIALLY DEFERRED
          FOR EACH ROW EXECUTE FUNCTION audited_events('{subject}');
        CREATE CONSTRAINT TRIGGER {table}_changed AFTER UPDATE ON {table} DEFERRABLE INITIALLY DEFERRED
          FOR EACH ROW WHEN (OLD.version <> NEW.version) EXECUTE FUNCTION audited_events('{subject}');
        CREATE TRIGGER {table}_kept BEFORE DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION refuse_change();
        CREATE TRIGGER {table}_whole BEFORE TRUNCATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
        """,
        f"""
        DROP TRIGGER {table}_whole ON {table};
        DROP TRIGGER {table}_kept ON {table};
        DROP TRIGGER {table}_changed ON {table};
        DROP TRIGGER {table}_inserted ON {table};
        DROP TRIGGER {table}_version ON {table};
        """,
    )


class Migration(migrations.Migration):
    """Functions and triggers; the tables of the apps above get theirs with guard()."""

    dependencies = [("audit", "0001_initial")]

    operations = [migrations.RunSQL(EVENTS, EVENTS_BACK), migrations.RunSQL(OBJECTS, OBJECTS_BACK)]
