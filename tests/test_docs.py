"""The documents tell the truth: settings.md and .env.example what settings.py reads, schema.md what the database holds."""

import ast
import hashlib
import re
from pathlib import Path
from typing import NamedTuple

import pytest
from django.db import DatabaseError, connection, transaction

from tests.conftest import Door
from tests.evidence import bare, rewrite, sql

ROOT = Path(__file__).parent.parent
PRODUCT = ["audit", "sessions", "approvals", "orchestrator"]

# --- settings ------------------------------------------------------------------------------------------


class Setting(NamedTuple):
    """One setting as the code reads it: `bounds` are words that its description must hold."""

    default: str
    bounds: list[str]


def constants(node: ast.expr) -> list[object]:
    """The constants of an expression, as written: "var" of str(BASE_DIR / "var")."""
    return [found.value for found in ast.walk(node) if isinstance(found, ast.Constant)]


def setting(call: ast.Call) -> Setting:
    """What a call of an env helper says beside the name."""
    helper = ast.unparse(call.func)
    further = [*call.args[1:], *(keyword.value for keyword in call.keywords)]
    if helper == "env_url":
        return Setting("", [f"`{scheme}://`" for scheme in constants(further[0])])
    if helper == "env_number":
        return Setting(str(constants(further[0])[0]), [f"1 to {constants(further[1])[0]}"])
    if helper == "env_bool":
        return Setting(str(constants(further[0])[0]).lower() if further else "false", ["yes or no"])
    return Setting(str(constants(further[0])[-1]) if further else "", [])


def read() -> dict[str, Setting]:
    """The settings that settings.py reads: every call of env and its sisters that names one."""
    tree = ast.parse((ROOT / "orchestrator" / "settings.py").read_text())
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and re.fullmatch(r"env(_\w+)?", ast.unparse(node.func))]
    return {str(call.args[0].value): setting(call) for call in calls if isinstance(call.args[0], ast.Constant)}


def documented() -> dict[str, list[str]]:
    """The rows of the settings in docs/settings.md: name, then default, allowed, effect."""
    rows = re.findall(r"^\| `([A-Z_]+)` \|(.*)\|(.*)\|(.*)\|$", (ROOT / "docs" / "settings.md").read_text(), re.MULTILINE)
    return {name: [cell.strip() for cell in cells] for name, *cells in rows}


def test_every_setting_is_documented_and_every_documented_setting_is_read() -> None:
    assert documented().keys() == read().keys()


@pytest.mark.parametrize("name", read())
def test_a_documented_setting_has_its_real_default_and_bounds(name: str) -> None:
    default, allowed, effect = documented()[name]
    assert default.strip("`") == read()[name].default
    assert [bound for bound in read()[name].bounds if bound not in allowed] == []
    assert effect


def test_the_example_names_every_setting_with_its_default() -> None:
    lines = re.findall(r"^# ([A-Z_]+)=(\S*)", (ROOT / ".env.example").read_text(), re.MULTILINE)
    product = {name: found.default for name, found in read().items()}
    compose = dict(re.findall(r"\$\{(\w+):-([^}]*)\}", (ROOT / "compose.yaml").read_text()))
    assert dict(lines) == compose | product
    assert len(lines) == len(dict(lines))


def test_nothing_but_settings_reads_the_environment() -> None:
    files = [path for package in PRODUCT for path in (ROOT / package).rglob("*.py") if path.name != "settings.py"]
    reads = re.compile(r"environ(\.get|\[|\.copy)|getenv")
    # wsgi.py has an environ too: what the web server says of one request.
    found = {str(path.relative_to(ROOT)) for path in files if reads.search(path.read_text())}
    assert found - {"orchestrator/wsgi.py"} == set()


def test_settings_of_the_predecessor_are_named_as_without_effect() -> None:
    section = (ROOT / "docs" / "settings.md").read_text().split("## Settings of the predecessor without effect")[1]
    gone = set(re.findall(r"^\| `([A-Z_]+)` \|", section, re.MULTILINE))
    assert gone == {"IDEMPOTENCY_ENABLED", "CONTROLLER_PORT", "GUARD_ENABLED"}
    assert gone & read().keys() == set()


# --- tables --------------------------------------------------------------------------------------------

SCHEMA = (ROOT / "docs" / "schema.md").read_text()
OURS = {"sessions", "tasks", "approvals", "audit_events"}
VIEWS = {"active_sessions", "pending_approvals"}
#: As people write the types, as PostgreSQL spells them.
SPELLED = {"character varying": "varchar", "timestamp with time zone": "timestamptz"}

COLUMNS = """SELECT a.attname, format_type(a.atttypid, a.atttypmod), CASE WHEN a.attnotnull THEN 'no' ELSE 'yes' END,
  coalesce(col_description(a.attrelid, a.attnum), '')
FROM pg_attribute a WHERE a.attrelid = %s::regclass AND a.attnum > 0 AND NOT a.attisdropped"""
# PostgreSQL 18 calls NOT NULL a constraint too; the column's own line says that.
NAMED = """SELECT indexrelid::regclass::text FROM pg_index WHERE indrelid = %(table)s::regclass
UNION SELECT conname FROM pg_constraint WHERE conrelid = %(table)s::regclass AND contype <> 'n'
UNION SELECT tgname FROM pg_trigger WHERE tgrelid = %(table)s::regclass AND NOT tgisinternal"""
RELATIONS = """SELECT relname, coalesce(obj_description(oid, 'pg_class'), '') FROM pg_class
WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm')"""
FUNCTIONS = (
    "SELECT proname FROM pg_proc JOIN pg_language l ON l.oid = prolang WHERE pronamespace = 'public'::regnamespace AND lanname <> 'c'"
)


def section(table: str) -> str:
    """What schema.md says under that heading."""
    return SCHEMA.split(f"\n## {table}\n")[1].split("\n## ")[0]


def cells(table: str) -> list[list[str]]:
    """The rows of the section's tables, without their headings."""
    rows = [row for row in section(table).splitlines() if row.startswith("| `")]
    return [[cell.strip().replace(r"\|", "|") for cell in re.split(r"(?<!\\)\|", row)[1:-1]] for row in rows]


def columns(relation: str) -> dict[str, tuple[str, str, str]]:
    """Its columns in the database: type, whether null is allowed, comment."""
    found = {}
    for name, kind, null, comment in sql(COLUMNS, relation):
        for spelled, usual in SPELLED.items():
            kind = kind.replace(spelled, usual)
        found[name] = (kind, null, comment)
    return found


def named(table: str) -> set[str]:
    """Its indexes, constraints and triggers in the database."""
    with connection.cursor() as cursor:
        cursor.execute(NAMED, {"table": table})
        return {row[0] for row in cursor.fetchall()}


def test_the_document_names_every_table_view_and_function(store: None) -> None:
    relations = {name for name, _ in sql(RELATIONS)}
    assert relations >= OURS | VIEWS
    assert [name for name in relations - OURS - VIEWS if f"`{name}`" not in section("Django's own tables")] == []
    assert [name for name in OURS | VIEWS if f"\n## {name}\n" not in SCHEMA] == []
    listed = re.search(r"The functions behind the triggers are (.*?);", SCHEMA)
    assert listed and set(re.findall(r"`(\w+)`", listed[1])) == {name for (name,) in sql(FUNCTIONS)}


@pytest.mark.parametrize("table", sorted(OURS))
def test_the_document_shows_every_column_with_its_type_and_comment(store: None, table: str) -> None:
    shown = {row[0].strip("`"): row[1:] for row in cells(table) if len(row) == 4}
    real = columns(table)
    assert shown.keys() == real.keys()
    for name, (kind, null, holds) in shown.items():
        assert (name, kind, null) == (name, *real[name][:2])
        assert holds.startswith(real[name][2])


@pytest.mark.parametrize("view", sorted(VIEWS))
def test_the_document_shows_every_column_of_a_view(store: None, view: str) -> None:
    assert {name.strip("`"): kind for name, kind in cells(view)} == {name: kind for name, (kind, *_) in columns(view).items()}


@pytest.mark.parametrize("table", sorted(OURS))
def test_the_document_names_every_index_constraint_and_trigger_and_none_besides(store: None, table: str) -> None:
    shown = {name for row in cells(table) if len(row) < 4 for name in re.findall(r"`(\w+)`", row[0])}
    assert shown == named(table)


@pytest.mark.parametrize("table", sorted(OURS))
def test_every_column_has_a_comment_in_the_database(store: None, table: str) -> None:
    assert [name for name, (_, _, comment) in columns(table).items() if not comment] == []


def test_every_table_and_view_of_ours_has_a_comment_in_the_database(store: None) -> None:
    assert [name for name, comment in sql(RELATIONS) if name in OURS | VIEWS and not comment] == []


# --- what the document says of the database's behaviour ------------------------------------------------

REFUSED = re.findall(r"^\| `((?:INSERT|UPDATE|DELETE|TRUNCATE)[^`]*)` \| (.*) \|$", SCHEMA, re.MULTILINE)
QUERIES = [query.strip() for block in re.findall(r"```sql\n(.*?)```", SCHEMA, re.DOTALL) for query in block.split(";") if query.strip()]


@pytest.fixture
def asked(store: None, finance_door: Door, felix_door: Door) -> str:
    """A request, asked by another than who sent the task."""
    task_id = finance_door.route().json()["task_id"]
    return str(felix_door.ask(task_id).json()["approval_id"])


@pytest.mark.parametrize(("statement", "answer"), REFUSED)
def test_the_database_refuses_what_the_document_says_it_refuses(asked: str, statement: str, answer: str) -> None:
    with pytest.raises(DatabaseError) as refusal, transaction.atomic():
        sql(statement)
        sql("SET CONSTRAINTS ALL IMMEDIATE")  # as the commit does
    assert re.match(re.escape(answer).replace("…", r"\d+"), str(refusal.value)), refusal.value


def test_the_documents_proofs_find_nothing_in_a_sound_trail_and_its_other_queries_something(asked: str) -> None:
    gaps, altered, *useful = QUERIES
    assert (sql(gaps), sql(altered)) == ([], [])
    assert useful and all(sql(query) for query in useful)


def test_the_documents_proofs_find_a_lost_and_an_altered_event(asked: str) -> None:
    gaps, altered, *_ = QUERIES
    rewrite("UPDATE audit_events SET actor = 'nobody' WHERE subject_id = %s", bare(asked))
    assert [row[1] for row in sql(altered)] == ["approval.requested"]
    rewrite("DELETE FROM audit_events WHERE subject_id = %s", bare(asked))
    assert [row[0] for row in sql(gaps)] == ["approval"]


def test_the_documents_digest_can_be_computed_elsewhere(asked: str) -> None:
    """As the document describes it, from an event that stands alone: PostgreSQL's jsonb as text, then sha256."""
    parts = "id, event_type, role, to_char(timestamp AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US'), trace_id, metadata, actor"
    parts += ", actor_id, actor_kind, subject_type, subject_id, version"
    text, digest = sql(f"SELECT jsonb_build_array({parts})::text, digest FROM audit_events WHERE subject_id = %s", bare(asked))[0]
    assert hashlib.sha256(text.encode()).hexdigest() == digest


# --- links ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("document", ["README.md", *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))])
def test_a_link_to_a_file_leads_somewhere(document: str) -> None:
    links = re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", (ROOT / document).read_text())
    assert [link for link in links if not ((ROOT / document).parent / link).exists()] == []
