#!/bin/sh
# A smoke test of a running instance, with a POSIX shell and curl: is it healthy, does the story work, is it audited?
set -u

usage() {
  cat >&2 <<'TEXT'
usage: AGENT_TOKEN=... MANAGER_TOKEN=... [ORCHESTRATOR_URL=http://127.0.0.1:8088] sh deploy/smoke.sh

  AGENT_TOKEN       a token of an agent that holds a role of the org chart
  MANAGER_TOKEN     a token of another one: a person with such a role; that role is asked, that person decides
  ORCHESTRATOR_URL  where the instance is, with or without /api

On a development machine:
  AGENT_TOKEN=$(.venv/bin/python manage.py token smoke-agent --role finance --role agent)
  MANAGER_TOKEN=$(.venv/bin/python manage.py token smoke-manager --role manager)

One line per check, "ok   name" or "FAIL name: why". Exit status: 0 all is well, 1 something failed, 2 wrongly called.
It leaves one completed session, marked {"smoke": true}: nothing is ever deleted.
TEXT
  exit 2
}

# What cannot stand in a token must not get into a header.
is_token() {
  case $1 in '' | *[!A-Za-z0-9._~+/=-]*) return 1 ;; esac
}

{ [ $# -eq 0 ] && is_token "${AGENT_TOKEN:-}" && is_token "${MANAGER_TOKEN:-}"; } || usage
API=${ORCHESTRATOR_URL:-http://127.0.0.1:8088}
API=${API%/}
API=${API%/api}/api

# Other users can read a process's arguments, and children inherit the environment: the tokens go into files of ours alone.
umask 077
WORK=$(mktemp -d) || exit 1
trap 'rm -rf "$WORK"' EXIT
trap 'exit 1' HUP INT TERM
for who in agent manager wrong nobody; do
  printf 'Accept: application/json\n' >"$WORK/$who"
done
printf 'Authorization: Bearer %s\n' "$AGENT_TOKEN" >>"$WORK/agent"
printf 'Authorization: Bearer %s\n' "$MANAGER_TOKEN" >>"$WORK/manager"
printf 'Authorization: Bearer no.such.token\n' >>"$WORK/wrong"
unset AGENT_TOKEN MANAGER_TOKEN

# --- asking and looking --------------------------------------------------------------------------------

# call NAME WHO METHOD PATH [BODY] [HEADER]: the reply stands in NAME.status, NAME.head and NAME.body.
call() {
  name=$1 who=$2 method=$3 path=$4 body=${5:-} header=${6:-}
  set -- -q -sS --connect-timeout 5 --max-time 60 -X "$method" -H "@$WORK/$who" -D "$WORK/$name.head" -o "$WORK/$name.body"
  [ -z "$body" ] || set -- "$@" -H 'Content-Type: application/json' --data "$body"
  [ -z "$header" ] || set -- "$@" -H "$header"
  : >"$WORK/$name.head"
  : >"$WORK/$name.body"
  curl "$@" -w '%{http_code}' "$API$path" >"$WORK/$name.status" 2>"$WORK/$name.error"
}

# Names and values of a JSON reply, one to a line: enough for replies whose texts are ours.
lines() {
  tr '{}[],' '\n\n\n\n\n' <"$WORK/$1.body"
}

# field NAME MEMBER: the member's first value.
field() {
  lines "$1" | sed -n 's/^ *"'"$2"'": *"\{0,1\}\([^"]*\)"\{0,1\} *$/\1/p' | head -n 1
}

# header NAME HEADER: the header's value, without quotes (a proxy may write its name in small letters).
header() {
  tr -d '\r"' <"$WORK/$1.head" | awk -v name="$2:" 'tolower($1) == tolower(name) { print $2; exit }'
}

# why NAME: what the server said of an error, or curl of the connection.
why() {
  sed -n 's/.*"detail": *"\([^"]*\)".*/: \1/p' "$WORK/$1.body"
  sed 's/^/: /' "$WORK/$1.error"
}

# want NAME STATUS [MEMBER VALUE]...: keep quiet if that is the reply, else say what came.
want() {
  reply=$1 status=$(cat "$WORK/$1.status")
  if [ "$status" != "$2" ]; then
    no "$status instead of $2$(why "$reply")"
    return
  fi
  shift 2
  while [ $# -gt 0 ]; do
    [ "$(field "$reply" "$1")" = "$2" ] || no "$1 is '$(field "$reply" "$1")' instead of '$2'"
    shift 2
  done
}

# --- one line per check --------------------------------------------------------------------------------

FAILED=0 WHY=''

no() {
  WHY="${WHY:+$WHY; }$1"
}

# check NAME FUNCTION: run it, and say how it went.
check() {
  WHY=''
  "$2"
  if [ -z "$WHY" ]; then
    echo "ok   $1"
  else
    echo "FAIL $1: $WHY"
    FAILED=1
  fi
}

# role WHO: the first place on the org chart that the token gives.
role() {
  tr -d ' \n' <"$WORK/me-$1.body" | sed 's/.*"roles":\[\([^]]*\)\].*/\1/' | tr -d '"' | tr ',' '\n' |
    grep -Evx 'agent|auditor|admin|' | head -n 1
}

health() {
  call health nobody GET /health
  want health 200 database connected redis connected
}

refused() {
  call none nobody GET /me
  call wrong wrong GET /me
  want none 401
  want wrong 401
  [ -n "$(header wrong WWW-Authenticate)" ] || no "no WWW-Authenticate"
}

identity() {
  call me-agent agent GET /me
  call me-manager manager GET /me
  want me-agent 200 kind agent
  want me-manager 200 kind person
  [ -z "$WHY" ] || return
  AGENT=$(role agent) MANAGER=$(role manager) PERSON=$(field me-manager name)
  [ -n "$AGENT" ] && [ -n "$MANAGER" ] || no "both need a role of the org chart"
}

session() {
  call session agent POST /sessions "{\"agent_role\": \"$AGENT\", \"metadata\": {\"smoke\": true}}"
  want session 201 status pending
  SESSION=$(field session session_id)
}

route() {
  call route agent POST /tasks/route "$TASK" "Idempotency-Key: $KEY"
  want route 202 status accepted
  ID=$(field route task_id)
}

duplicate() {
  call again agent POST /tasks/route "$TASK" "Idempotency-Key: $KEY"
  want again 202
  [ "$(header again Idempotent-Replayed)" = true ] || no "no Idempotent-Replayed"
  cmp -s "$WORK/route.body" "$WORK/again.body" || no "the bytes differ"
  call other agent POST /tasks/route "{\"target\": \"$MANAGER\", \"task\": {\"type\": \"smoke\"}}" "Idempotency-Key: $KEY"
  want other 422 type urn:orchestrator:idempotency-key-reused
}

ask() {
  call ask agent POST /approvals "{\"task_id\": \"$ID\", \"approver_role\": \"$MANAGER\", \"reason\": \"Smoke test.\", \"expires_in\": 3600}"
  want ask 202 status pending
  APPROVAL=$(field ask approval_id)
}

# seconds TIME: those since 1970 of an ISO 8601 time in UTC, rounded down (days from the civil calendar).
seconds() {
  echo "$1" | awk -F '[-T:.Z+]' '{
    y = $1 - ($2 < 3); m = ($2 + 9) % 12
    days = 365 * y + int(y / 4) - int(y / 100) + int(y / 400) + int((153 * m + 2) / 5) + $3 - 719469
    printf "%d", days * 86400 + $4 * 3600 + $5 * 60 + $6
  }'
}

expiry() {
  call short agent POST /approvals "{\"task_id\": \"$ID\", \"approver_role\": \"$MANAGER\", \"expires_in\": 59}"
  want short 422
  call asked agent GET "/approvals/$APPROVAL"
  want asked 200 status pending
  [ -z "$WHY" ] || return
  lasts=$(($(seconds "$(field asked expires_at)") - $(seconds "$(field asked created_at)")))
  [ "$lasts" -ge 3599 ] && [ "$lasts" -le 3601 ] || no "it lasts $lasts seconds instead of 3600"
}

four_eyes() {
  call own agent POST "/approvals/$APPROVAL/decision" '{"decision": "approved"}'
  want own 403 type urn:orchestrator:not-yours-to-decide
}

# The agent waits while the person decides.
decide() {
  call waiting agent GET "/approvals/$APPROVAL?wait=30" &
  sleep 1
  [ ! -s "$WORK/waiting.status" ] || no "the agent's call did not wait"
  call decision manager POST "/approvals/$APPROVAL/decision" '{"decision": "approved", "comments": "Smoke test."}'
  want decision 200 status approved
  wait $!
}

learn() {
  want waiting 200 status approved decided_by "$PERSON" comments "Smoke test."
}

work() {
  call claim manager PUT "/tasks/$ID" '{"status": "active"}'
  want claim 200 status active
  call complete manager PUT "/tasks/$ID" '{"status": "completed", "result": {"smoke": true}}'
  want complete 200 status completed
  call ended agent GET "/sessions/$SESSION"
  want ended 200 state completed
}

# versions: "ID 1 2 3" for each object of the events, oldest first.
versions() {
  lines events | awk -F '"' '
    $2 == "subject" { subject = $4; next }
    $2 == "version" && subject { split($0, part, ":"); if (part[2] + 0) found[subject] = " " (part[2] + 0) found[subject] }
    { subject = "" }
    END { for (each in found) print each found[each] }'
}

# whole ID LAST: the object's events are the versions 1 to LAST.
whole() {
  wanted=$1 number=1
  while [ "$number" -le "${2:-0}" ]; do
    wanted="$wanted $number" number=$((number + 1))
  done
  versions | grep -qxF "$wanted" || no "the events of $1 are not 1 to $2"
}

audit() {
  call events agent GET "/audit?subject=$SESSION&page_size=100"
  want events 200
  latest=$(header ended ETag)
  whole "$SESSION" "${latest#W/}"
  whole "$ID" 3
  whole "$APPROVAL" 2
}

# --- the checks ----------------------------------------------------------------------------------------

check health health
check "auth refused" refused
check identity identity
if [ -n "$WHY" ]; then
  echo "The rest was not tried: it needs both callers." >&2
  exit 1
fi

KEY=smoke-$(date +%s)-$$
check session session
TASK="{\"target\": \"$MANAGER\", \"session_id\": \"$SESSION\", \"task\": {\"type\": \"smoke\", \"description\": \"Smoke test; nothing to do.\"}}"
check route route
check duplicate duplicate
check ask ask
check expiry expiry
check "four eyes" four_eyes
check decide decide
check wait learn
check "claim and complete" work
check audit audit
exit "$FAILED"
