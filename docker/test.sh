#!/usr/bin/env bash
# Runs the named steps, or those of `make test`, side by side: proofs wait for their processes more than they work. Closes with
# what to look at where something failed, and one table. PostgreSQL and Redis must be up.
#
#   test.sh                the steps of `make test`: lint, unit, flows, Odoo's tests and the proofs in two lanes each, then pytest-odoo
#                          over a sample; what is marked as a part of `make proofs` is left out
#   test.sh STEP…          lint, unit, flows, odoo (or odoo-1, odoo-2), pytest-odoo, pytest-odoo-all, proofs-1, proofs-2, nemesis, clients
#   test.sh poc            every proof
#   test.sh all            every step, pytest-odoo over all of Odoo's tests instead of a sample, and the nemesis with many seeds
#   ONLY=poc_5 test.sh     what has this in its name, or the test file at this path
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/env.sh"
. "$KKT_HOME/docker/steps.sh"
cd "$KKT_HOME"

tests=addons/opterp_kkt_tests
logs=.run/log
sample=("$tests"/tests/test_{contact,breaker_model}.py) # that pytest-odoo runs them, too
IFS=' ' read -r -a seeds <<<"${SEEDS:-1 2 3 5 7 11 13}"
steps=() lanes=()

lint() {
    local node=.run/node
    # A model's subjects may have files of their own.
    ruff check && ruff format --check --quiet && pylint --disable=consider-merging-classes-inherited addons/opterp_kkt || return
    # What else is there are programs beside Odoo, which ruff looks at; and a test's classes are no models of Odoo's.
    pylint --disable=print-used,method-required-super,missing-return,except-pass "$tests"/{__init__.py,__manifest__.py,models,tests} || return
    command -v npm >/dev/null || { echo "no npm here: the JavaScript was not checked" && return; }
    if [ ! "$node/node_modules/.package-lock.json" -nt package-lock.json ]; then
        install -D -t "$node" package.json package-lock.json
        npm ci --prefix "$node" --no-audit --no-fund || { echo "npm could not install eslint: the JavaScript was not checked" && return; }
    fi
    "$node/node_modules/.bin/eslint" --resolve-plugins-relative-to "$node" addons
}

unit() { pytest -p no:odoo -q "$tests/unit"; }

# A port of its own, so that an open shop (`make run`) is not in the way.
free_port() { python -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

odoo_tests() { # database, test tags, modules of Odoo beside ours
    docker/database.sh tested "$1" ${3:+"$3"} &&
        ODOO_HTTP_PORT=$(free_port) command odoo -d "$1" --test-enable --stop-after-init --test-tags "$2" --log-level=warn \
            --log-handler=odoo.modules.loading:INFO --log-handler=odoo.addons.opterp_kkt_tests:INFO --log-handler=odoo.tests:INFO
}

odoo() { odoo_tests opterp_kkt_test /opterp_kkt_tests,-kkt_flows; }

# Two lanes, which take the files in turn.
half_of_odoo() { # 0 or 1
    local files=("$tests"/tests/test_*.py) tags=-kkt_flows number
    for ((number = $1; number < ${#files[@]}; number += 2)); do tags+=,/${files[number]#addons/}; done
    odoo_tests "opterp_kkt_test_$1" "$tags"
}

odoo_1() { half_of_odoo 0; }

odoo_2() { half_of_odoo 1; }

# Employees, down payments, gift cards and e-wallets come from modules that the addon does not ask for: all else runs without them.
flows() { odoo_tests kkt_flows kkt_flows pos_hr,pos_loyalty,pos_sale; }

# The browser tours ran in the step before.
pytest_odoo() { docker/database.sh tested opterp_kkt_test && pytest -q --odoo-database=opterp_kkt_test "${@-"${sample[@]}"}"; }

pytest_odoo_all() { pytest_odoo "$tests/tests"; }

proofs() { # name of the report, what to give pytest
    KKT_REPORT=$logs/$1.json pytest -p no:odoo -v -s "${@:2}"
}

# Both lanes know all proofs; a file of them is run by the lane that comes to it first.
lane() { KKT_SHARED=$shared proofs "$1" "$tests/poc"; }

proofs_1() { lane proofs-1; }

proofs_2() { lane proofs-2; }

# Clients that others wrote, against the emulated registers.
clients() {
    pip install --quiet --no-deps --upgrade --target .run/clients -r requirements-clients.txt &&
        PYTHONPATH=.run/clients pytest -p no:odoo -q "$tests/unit/test_foreign_clients.py"
}

nemesis() {
    local seed status=0
    for seed in "${seeds[@]}"; do
        [ ! -e "$shared/stopped" ] || return 1
        python "$tests/poc/nemesis" --seed "$seed" --minutes "${MINUTES:-2}" || status=1
    done
    return "$status"
}

# One report of all lanes.
write_report() { PYTHONPATH=$tests python -m harness.report "${@/#/$logs/}"; }

# Test files that ONLY names: a path, or a part of their names.
chosen() {
    if [ -e "$ONLY" ]; then echo "$ONLY"; else compgen -G "$tests/*/test_*.py" | grep -F -- "$ONLY"; fi
}

only() {
    local file list files=() tags=()
    list=$(chosen) || fail "no test has $ONLY in its name"
    for file in $list; do
        if [[ $file == *tests/tests/* ]]; then tags+=("/${file#addons/}"); else files+=("$file"); fi
    done
    [ ${#tags[@]} = 0 ] || odoo_tests opterp_kkt_test "$(IFS=,; echo "${tags[*]}")" || return
    [ ${#files[@]} = 0 ] || proofs proofs "${files[@]}"
}

# --- steps and lanes -----------------------------------------------------------------------------------------

run() { "${1//-/_}"; }

run_step() { # name
    local started status=0
    started=$(date +%s)
    run "$1" >"$logs/test-$1.log" 2>&1 || status=$?
    echo "$status $(($(date +%s) - started))" >"$logs/test-$1.status"
    say "$1: $([ "$status" = 0 ] && echo passed || echo FAILED)"
}

# What is asked for alone is shown as it is said.
run_alone() { # name
    local started status=0
    started=$(date +%s)
    run "$1" 2>&1 | tee -i "$logs/test-$1.log" || status=$?
    echo "$status $(($(date +%s) - started))" >"$logs/test-$1.status"
}

# Steps that go one after another. In a process group of its own, so that Ctrl-C can be passed on: a shell's background jobs
# ignore it.
start_lane() { # names
    steps+=("$@")
    set -m
    (
        trap : INT TERM # it ends when its step has ended
        for step in "$@"; do [ -e "$shared/stopped" ] || run_step "$step"; done
    ) &
    lanes+=($!)
    set +m
}

under_way() {
    local step
    for step in "${steps[@]}"; do [ ! -e "$logs/test-$step.log" ] || [ -e "$logs/test-$step.status" ] || echo "$step"; done
}

# The last line of each step in turn: something always moves.
tell() {
    local turn=0 running step words='s/^[0-9-]+ [0-9:,]+ [0-9]+ [A-Z]+ [^ ]+ (odoo\.addons\.)?//; s/^(.{100}).*/\1/'
    while sleep 5; do
        mapfile -t running < <(under_way)
        [ ${#running[@]} != 0 ] || continue
        step=${running[turn++ % ${#running[@]}]}
        say "$step: $(tail -n 1 "$logs/test-$step.log" | sed -E "$words")"
    done
}

wait_for_lanes() {
    tell & teller=$!
    wait "${lanes[@]}" || true
    kill "$teller"
}

# Ctrl-C lets what is under way end its servers. What does not hear it is told once more, with another word.
stop() {
    trap '' INT TERM
    [ -z "${teller:-}" ] || kill "$teller" 2>/dev/null || true
    touch "$shared/stopped"
    signal_lanes -INT
    lanes_end_soon || { say "not yet at an end: $(under_way | xargs)" && signal_lanes -TERM; }
    wait "${lanes[@]}" || true
    exit 130
}

signal_lanes() {
    local lane
    for lane in "${lanes[@]}"; do kill "$1" -- "-$lane" 2>/dev/null || true; done
}

lanes_end_soon() {
    for _ in {1..100}; do
        [ -n "$(jobs -r)" ] || return 0
        sleep 0.1
    done
    return 1
}

# --- the end -------------------------------------------------------------------------------------------------

# What the step's last line counts, pytest's or Odoo's; a step that counts nothing counts as one, but a run without any test has
# failed.
count() { # log, exit status
    local line
    good=0 bad=0
    line=$(grep -aE '[0-9]+ (passed|failed|error)' "$1" | tail -1 || true)
    [[ ! $line =~ ([0-9]+)\ passed ]] || good=${BASH_REMATCH[1]}
    [[ ! $line =~ ([0-9]+)\ failed ]] || bad=${BASH_REMATCH[1]}
    [[ ! $line =~ ([0-9]+)\ error ]] || bad=$((bad + BASH_REMATCH[1]))
    [[ ! $line =~ of\ ([0-9]+)\ tests ]] || good=$((BASH_REMATCH[1] - bad))
    [[ ! $line =~ of\ 0\ tests ]] || bad=1
    [ "$2" = 0 ] || [ "$bad" != 0 ] || bad=1
    [ $((good + bad)) != 0 ] || good=1
}

# The parts of a log that tell of a failure: Odoo's errors, each with the lines that belong to it; pytest's last chapters.
look_at() { # log
    local found
    found=$(sed -nE '/^=+ (ERRORS|FAILURES) =+$/,$p' "$1")
    [ -n "$found" ] || found=$(awk '/^[0-9-]+ [0-9:,]+ / { shown = / (ERROR|CRITICAL) / } shown' "$1")
    [ -n "$found" ] || found=$(tail -n 40 "$1")
    if [ "$(wc -l <<<"$found")" -le 300 ]; then echo "$found"; else head -n 200 <<<"$found" && echo "[…]" && tail -n 100 <<<"$found"; fi
}

tell_the_end() {
    local step status seconds passed=0 failed=0 table=()
    for step in "${steps[@]}"; do
        read -r status seconds <"$logs/test-$step.status" || { status=1 seconds=0; }
        count "$logs/test-$step.log" "$status"
        passed=$((passed + good)) failed=$((failed + bad))
        table+=("$(printf '%-16s %7d %7d %8d s' "$step" "$good" "$bad" "$seconds")")
        [ "$bad" = 0 ] || { printf '\n=== %s failed; all that it said is in %s\n' "$step" "$logs/test-$step.log" && look_at "$logs/test-$step.log"; }
    done
    printf '\n=== logs: %s/test-*.log\n%-16s %7s %7s %10s\n' "$logs" step passed failed time
    printf '%s\n' "${table[@]}"
    printf '%d passed, %d failed\n' "$passed" "$failed"
    [ "$failed" = 0 ]
}

trap stop INT TERM
mkdir -p "$logs"
rm -f "$logs"/test-*.{log,status} "$logs"/proofs*.json
shared=$(mktemp -d)
trap 'rm -rf "$shared"' EXIT
docker/database.sh template
case "${ONLY:+only}${*}" in
    only*) steps=(only) && run_alone only ;;
    '')
        export SHORT=1
        start_lane odoo-1 && start_lane odoo-2 && start_lane proofs-1 && start_lane proofs-2 &&
            start_lane lint flows pytest-odoo && start_lane unit
        ;;
    poc) start_lane proofs-1 && start_lane proofs-2 ;;
    all)
        start_lane odoo-1 && start_lane odoo-2 && start_lane proofs-1 nemesis && start_lane proofs-2 &&
            start_lane lint flows pytest-odoo-all && start_lane unit
        ;;
    *) for step in "$@"; do steps+=("$step") && run_alone "$step"; done ;;
esac
[ ${#lanes[@]} = 0 ] || wait_for_lanes
[ ! -e "$logs/proofs-1.json" ] || write_report proofs-1 proofs-2
tell_the_end
