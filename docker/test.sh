#!/usr/bin/env bash
# Runs the named steps one after another, or all of them, and closes with a summary. PostgreSQL and Redis must be up.
# Of all steps the proofs (poc) run beside the others: they wait for their processes more than they work.
#
#   test.sh [lint] [unit] [odoo] [pytest-odoo] [poc]
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/env.sh"
. "$KKT_HOME/docker/steps.sh"
cd "$KKT_HOME"

steps=("$@") proofs=
[ $# -gt 0 ] || steps=(lint unit odoo pytest-odoo)
tests=addons/opterp_kkt_tests
db=opterp_kkt_test
summary=()
passed=0 failed=0

lint() { ruff check; }

unit() { pytest -p no:odoo -q "$tests/unit"; }

# A port of its own, so that an open shop (`make run`) is not in the way.
free_port() { python -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

odoo_tests() {
    docker/database.sh fresh "$db"
    ODOO_HTTP_PORT=$(free_port) odoo -d "$db" -i opterp_kkt_tests --test-enable --stop-after-init \
        --test-tags /opterp_kkt,/opterp_kkt_tests --log-level=warn \
        --log-handler=odoo.tests.stats:INFO --log-handler=odoo.tests.result:INFO
}

# The browser tours ran in the step before.
pytest_odoo() { pytest -q --odoo-database="$db" "$tests/tests"; }

poc() {
    docker/database.sh template
    pytest -p no:odoo -v -s "$tests/poc"
}

# Adds what the step's last line counts, pytest's or Odoo's, to the sums; a step that counts nothing counts as one,
# but a run without any test has failed.
count() { # log, exit status
    local line good=0 bad=0
    line=$(grep -aE '[0-9]+ (passed|failed|error)' "$1" | tail -1 || true)
    [[ ! $line =~ ([0-9]+)\ passed ]] || good=${BASH_REMATCH[1]}
    [[ ! $line =~ ([0-9]+)\ failed ]] || bad=${BASH_REMATCH[1]}
    [[ ! $line =~ ([0-9]+)\ error ]] || bad=$((bad + BASH_REMATCH[1]))
    [[ ! $line =~ of\ ([0-9]+)\ tests ]] || good=$((BASH_REMATCH[1] - bad))
    [[ ! $line =~ of\ 0\ tests ]] || bad=1
    [ "$2" = 0 ] || [ "$bad" != 0 ] || bad=1
    [ $((good + bad)) != 0 ] || good=1
    passed=$((passed + good)) failed=$((failed + bad))
    tally="$good passed, $bad failed"
}

run() { # name
    case $1 in
        odoo) odoo_tests ;;
        *) "${1/-/_}" ;;
    esac
}

add_to_summary() { # name, when it started, exit status
    count ".run/log/test-$1.log" "$3"
    summary+=("$(printf '%-12s %4d s  %s' "$1" $(($(date +%s) - $2)) "$tally")")
}

run_step() { # name
    local started status=0
    started=$(date +%s)
    printf '\n=== %s\n' "$1"
    run "$1" 2>&1 | tee -i ".run/log/test-$1.log" || status=$?
    add_to_summary "$1" "$started" "$status"
}

# In a process group of its own, so that Ctrl-C can be passed on: a shell's background jobs ignore it.
start_proofs() {
    docker/database.sh template
    proofs_started=$(date +%s)
    set -m
    run poc >.run/log/test-poc.log 2>&1 &
    proofs=$!
    set +m
}

show_proofs() {
    local status=0
    printf '\n=== poc, which has been running beside the other steps\n'
    tail -n +1 --pid="$proofs" -f .run/log/test-poc.log
    wait "$proofs" || status=$?
    add_to_summary poc "$proofs_started" "$status"
}

stop() {
    [ -z "$proofs" ] || { kill -INT -- "-$proofs" && wait "$proofs"; } || true
    exit 130
}

trap stop INT TERM
[ $# -gt 0 ] || start_proofs
for step in "${steps[@]}"; do run_step "$step"; done
[ -z "$proofs" ] || show_proofs
printf '\n=== summary (logs: .run/log/test-*.log)\n'
printf '%s\n' "${summary[@]}"
printf '%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" = 0 ]
