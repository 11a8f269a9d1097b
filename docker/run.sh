#!/usr/bin/env bash
# The shop and an OFD to send to, until Ctrl-C. PostgreSQL and Redis must be up.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/env.sh"
. "$KKT_HOME/docker/steps.sh"
cd "$KKT_HOME"

ofd_emulator() {
    PYTHONPATH=addons/opterp_kkt_tests exec python -m ofd_emulator --port "$KKT_OFD_PORT" --history .run/ofd.jsonl
}

answers() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

refuse_taken_port() { ! answers "$1" || fail "port $1 is taken by another program: choose a free one with $2=…"; }

wait_for() { # port, process, name, log
    until answers "$1"; do
        kill -0 "$2" 2>/dev/null || { tail -5 "$4" >&2; fail "$3 did not start: see $4"; }
        sleep 0.2
    done
}

refuse_taken_port "$KKT_HTTP_PORT" KKT_HTTP_PORT
refuse_taken_port "$KKT_OFD_PORT" KKT_OFD_PORT
docker/database.sh demo

trap 'kill $(jobs -p) 2>/dev/null; wait' EXIT
trap 'exit 0' INT TERM
ofd_emulator >.run/log/ofd.log 2>&1 &
wait_for "$KKT_OFD_PORT" $! "the OFD emulator" .run/log/ofd.log
odoo -d opterp_kkt_demo --logfile .run/log/odoo.log >/dev/null 2>&1 &
wait_for "$KKT_HTTP_PORT" $! Odoo .run/log/odoo.log

say "the shop is open: http://127.0.0.1:$KKT_HTTP_PORT  (kassir / kassir sells, admin / admin sees all)"
say "what the OFD got: http://127.0.0.1:$KKT_OFD_PORT   logs: .run/log   Ctrl-C ends"
wait -n
fail "Odoo or the OFD emulator ended: see .run/log"
