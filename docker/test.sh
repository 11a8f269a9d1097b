#!/usr/bin/env bash
# Runs the named steps, or all of them, and closes with one table. PostgreSQL and Redis must be up. When all run, the proofs
# go in two lanes beside the other steps: they wait for their processes more than they work.
#
#   test.sh [lint] [unit] [odoo] [pytest-odoo] [poc]
#   test.sh all            every step, pytest-odoo over all of Odoo's tests instead of a sample, and the nemesis with many seeds
#   ONLY=poc_5 test.sh     what has this in its name, or the test file at this path
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/env.sh"
. "$KKT_HOME/docker/steps.sh"
cd "$KKT_HOME"

tests=addons/opterp_kkt_tests
db=opterp_kkt_test
logs=.run/log
# The longest proofs, to balance the two lanes; the second one has all others.
first_lane=("$tests"/poc/test_{administrators,clocks,people,poc_1,poc_5_splitbrain,takeover,poison}.py)
sample=("$tests"/tests/test_{register,breaker_model}.py) # that pytest-odoo runs them, too
seeds=(1 2 3 5 7 11 13)
lanes=() summary=()
passed=0 failed=0

lint() {
    local node=.run/node
    ruff check && pylint addons/opterp_kkt || return
    # Programs that print, and classes that are no models of Odoo's.
    pylint --disable=print-used,method-required-super,missing-return,except-pass "$tests" || return
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

odoo_tests() { # test tags
    docker/database.sh fresh "$db"
    ODOO_HTTP_PORT=$(free_port) odoo -d "$db" -i opterp_kkt_tests --test-enable --stop-after-init \
        --test-tags "${1:-/opterp_kkt,/opterp_kkt_tests}" --log-level=warn \
        --log-handler=odoo.tests.stats:INFO --log-handler=odoo.tests.result:INFO
}

# The browser tours ran in the step before.
pytest_odoo() { pytest -q --odoo-database="$db" "${sample[@]}"; }

pytest_odoo_all() { pytest -q --odoo-database="$db" "$tests/tests"; }

proofs() { # name of the report, what to give pytest
    KKT_REPORT=$logs/$1.json pytest -p no:odoo -v -s "${@:2}"
}

proofs_1() { proofs proofs-1 "${first_lane[@]}"; }

proofs_2() { proofs proofs-2 "$tests/poc" "${first_lane[@]/#/--ignore=}"; }

poc() {
    docker/database.sh template
    local status=0
    proofs proofs "$tests/poc" || status=$?
    write_report proofs
    return "$status"
}

nemesis() {
    local seed status=0
    docker/database.sh template
    for seed in "${seeds[@]}"; do
        python "$tests/poc/nemesis" --seed "$seed" --minutes 2 || status=1
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
    local file list files=() odoo=()
    list=$(chosen) || fail "no test has $ONLY in its name"
    for file in $list; do
        if [[ $file == *tests/tests/* ]]; then odoo+=("/${file#addons/}"); else files+=("$file"); fi
    done
    [ ${#odoo[@]} = 0 ] || odoo_tests "$(IFS=,; echo "${odoo[*]}")"
    [ ${#files[@]} = 0 ] || {
        [[ ${files[*]} != *tests/poc/* ]] || docker/database.sh template
        proofs proofs "${files[@]}"
    }
}

# Adds what the step's last line counts, pytest's or Odoo's, to the sums; a step that counts nothing counts as one,
# but a run without any test has failed.
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
    passed=$((passed + good)) failed=$((failed + bad))
}

run() { # name
    case $1 in
        odoo) odoo_tests ;;
        *) "${1//-/_}" ;;
    esac
}

add_to_summary() { # name, seconds, exit status
    count "$logs/test-$1.log" "$3"
    summary+=("$(printf '%-16s %7d %7d %8d s' "$1" "$good" "$bad" "$2")")
}

run_step() { # name
    local started status=0
    started=$(date +%s)
    printf '\n=== %s\n' "$1"
    run "$1" 2>&1 | tee -i "$logs/test-$1.log" || status=$?
    add_to_summary "$1" $(($(date +%s) - started)) "$status"
}

# In a process group of its own, so that Ctrl-C can be passed on: a shell's background jobs ignore it.
start_lane() { # name
    set -m
    (
        status=0
        run "$1" >"$logs/test-$1.log" 2>&1 || status=$?
        echo "$status $(($(date +%s) - KKT_LANES))" >"$logs/test-$1.status"
    ) &
    lanes+=($!)
    set +m
}

start_lanes() {
    docker/database.sh template
    rm -f "$logs"/proofs-*.json
    KKT_LANES=$(date +%s)
    start_lane proofs-1
    start_lane proofs-2
}

# How far the lanes are; something moves while Odoo loads its modules.
tell() {
    local lane
    while sleep 15; do
        for lane in proofs-1 proofs-2; do
            [ -e "$logs/test-$lane.status" ] || say "$lane: $(tail -n 1 "$logs/test-$lane.log" | cut -c 1-100)"
        done
    done
}

end_lane() { # name
    local status seconds
    read -r status seconds <"$logs/test-$1.status" || { status=1 seconds=0; }
    if [ "$status" != 0 ]; then
        printf '\n=== %s\n' "$1"
        cat "$logs/test-$1.log"
    fi
    add_to_summary "$1" "$seconds" "$status"
}

end_lanes() {
    [ ${#lanes[@]} != 0 ] || return 0
    wait "${lanes[@]}" || true
    kill "$teller" 2>/dev/null || true
    end_lane proofs-1
    end_lane proofs-2
    write_report proofs-1 proofs-2
}

stop() {
    [ -z "${teller:-}" ] || kill "$teller" || true
    for lane in "${lanes[@]}"; do kill -INT -- "-$lane" && wait "$lane" || true; done
    exit 130
}

trap stop INT TERM
mkdir -p "$logs"
steps=("$@")
[ -z "${ONLY:-}" ] || steps=(only)
[ "${steps[*]}" != all ] || steps=(lint unit odoo pytest-odoo-all poc nemesis)
if [ ${#steps[@]} = 0 ]; then
    steps=(lint unit odoo pytest-odoo)
    rm -f "$logs"/test-proofs-*.status
    start_lanes
    tell & teller=$!
fi
for step in "${steps[@]}"; do run_step "$step"; done
end_lanes
printf '\n=== logs: %s/test-*.log\n%-16s %7s %7s %10s\n' "$logs" step passed failed time
printf '%s\n' "${summary[@]}"
printf '%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" = 0 ]
