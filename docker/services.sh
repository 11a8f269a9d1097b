#!/usr/bin/env bash
# This checkout's own PostgreSQL and Redis, on their own ports and data, on 127.0.0.1 only.
#
#   services.sh start|stop|status [postgres|redis]
#   services.sh clean                stops them and removes .run
#   services.sh during COMMAND…      COMMAND with the services up; the last such command to end stops them,
#                                    unless they were up before the first
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/env.sh"
. "$KKT_HOME/docker/steps.sh"

run=$KKT_HOME/.run
pg=$run/pg
redis_pid=$run/redis/redis.pid

port_taken() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

refuse_taken_port() { # name, port, variable
    ! port_taken "$2" || fail "port $2 for $1 is taken by another program: choose a free one with $3=…"
}

# --- PostgreSQL ----------------------------------------------------------------------------------------------

# PostgreSQL refuses to run as root.
pg_user() { getent passwd postgres >/dev/null && echo postgres || echo nobody; }

as_pg_user() {
    if [ "$(id -u)" = 0 ]; then
        (cd / && exec setpriv --reuid="$(pg_user)" --regid="$(id -g "$(pg_user)")" --clear-groups -- "$@")
    else
        "$@"
    fi
}

pg_bin() {
    local initdb
    initdb=$(command -v initdb || printf '%s\n' /usr/lib/postgresql/*/bin/initdb | sort -V | tail -1)
    [ -x "$initdb" ] || fail "PostgreSQL's server programs (initdb, pg_ctl) are not installed"
    dirname "$(readlink -f "$initdb")"
}

# .run/pg holds the cluster, or is a link to where the cluster is when PostgreSQL's user can't reach the checkout.
make_pg_home() {
    local elsewhere
    mkdir -p "$run"
    if as_pg_user test -x "$run"; then
        mkdir -p "$pg"
    else
        elsewhere=/var/tmp/opterp-kkt-$(printf %s "$KKT_HOME" | sha256sum | cut -c1-12)
        mkdir -p "$elsewhere"
        ln -sfn "$elsewhere" "$pg"
    fi
    [ "$(id -u)" != 0 ] || chown "$(pg_user)" "$pg/"
    chmod 700 "$pg/"
}

# The administrator's role has no way in over the network; only `odoo`, which may create databases, has.
create_cluster() {
    local data=$1
    rm -rf "${data:?}"/*
    as_pg_user "$(pg_bin)/initdb" -D "$data" -U postgres -E UTF8 --locale=C.UTF-8 --no-sync -A reject >/dev/null
    as_pg_user tee "$data/pg_hba.conf" >/dev/null <<<'host all odoo 127.0.0.1/32 trust'
    as_pg_user tee -a "$data/postgresql.conf" >/dev/null <<-'END'
		listen_addresses = '127.0.0.1'
		unix_socket_directories = ''
		max_connections = 200
		# A throw-away cluster: data survive kill -9 of every process, but not a power cut.
		fsync = off
		synchronous_commit = off
		full_page_writes = off
	END
    as_pg_user "$(pg_bin)/postgres" --single -D "$data" postgres >/dev/null 2>&1 <<<'CREATE ROLE odoo LOGIN CREATEDB'
    as_pg_user touch "$data/kkt.ready"
}

pg_running() { [ -e "$pg/postmaster.pid" ] && as_pg_user "$(pg_bin)/pg_ctl" status -D "$(readlink -f "$pg")" >/dev/null; }

start_postgres() {
    local data
    pg_running && return
    refuse_taken_port PostgreSQL "$KKT_PG_PORT" KKT_PG_PORT
    make_pg_home
    data=$(readlink -f "$pg")
    [ -e "$data/kkt.ready" ] || create_cluster "$data"
    as_pg_user "$(pg_bin)/pg_ctl" start -w -s -D "$data" -o "-p $KKT_PG_PORT" >>"$run/log/postgres.log" 2>&1 9>&- ||
        fail "PostgreSQL did not start: see .run/log/postgres.log"
}

stop_postgres() {
    pg_running || return 0
    as_pg_user "$(pg_bin)/pg_ctl" stop -s -m fast -D "$(readlink -f "$pg")"
}

# --- Redis ---------------------------------------------------------------------------------------------------

# A process id may be used again by somebody else: the title has our port.
redis_running() {
    [ -e "$redis_pid" ] && tr '\0' ' ' 2>/dev/null <"/proc/$(<"$redis_pid")/cmdline" | grep -q "redis-server.*:$KKT_REDIS_PORT"
}

start_redis() {
    redis_running && return
    refuse_taken_port Redis "$KKT_REDIS_PORT" KKT_REDIS_PORT
    mkdir -p "$run/redis"
    redis-server --bind 127.0.0.1 --port "$KKT_REDIS_PORT" --save '' --appendonly no --dir "$run/redis" \
        --daemonize yes --pidfile "$redis_pid" --logfile "$run/log/redis.log" >/dev/null 9>&-
    for _ in {1..50}; do
        port_taken "$KKT_REDIS_PORT" && return
        sleep 0.1
    done
    fail "Redis did not start: see .run/log/redis.log"
}

stop_redis() {
    redis_running || return 0
    local pid
    pid=$(<"$redis_pid")
    kill "$pid"
    while kill -0 "$pid" 2>/dev/null; do sleep 0.05; done
}

# --- both ----------------------------------------------------------------------------------------------------

start() { # nothing, or one of them
    mkdir -p "$run/log"
    [ "${1:-postgres}" != postgres ] || start_postgres
    [ "${1:-redis}" != redis ] || start_redis
}

stop() {
    [ "${1:-redis}" != redis ] || stop_redis
    [ "${1:-postgres}" != postgres ] || stop_postgres
}

status() {
    pg_running && echo "PostgreSQL is up on 127.0.0.1:$KKT_PG_PORT" || echo "PostgreSQL is down"
    redis_running && echo "Redis is up on 127.0.0.1:$KKT_REDIS_PORT" || echo "Redis is down"
    pg_running && redis_running
}

clean() {
    stop ""
    [ ! -L "$pg" ] || rm -rf "$(readlink -f "$pg")"
    rm -rf "$run"
}

# Every `during` holds the lock in common; who can then have it alone is the last one and turns off the lights.
during() {
    local status
    mkdir -p "$run"
    exec 9>"$run/services.lock" 8>"$run/start.lock"
    flock -s 9
    flock 8
    if ! pg_running || ! redis_running; then
        touch "$run/services.ours"
        start ""
    fi
    flock -u 8
    trap leave EXIT
    set -m # a process group of its own, so that an interrupt reaches everything that COMMAND started
    "$@" 9>&- &
    child=$!
    set +m
    trap 'kill -INT -- -$child 2>/dev/null' INT
    trap 'kill -TERM -- -$child 2>/dev/null' TERM
    # A signal ends a wait, but not yet the child, nor what the child started.
    while status=0; wait "$child" || status=$?; kill -0 "$child" 2>/dev/null; do :; done
    for _ in {1..100}; do
        kill -0 -- "-$child" 2>/dev/null || break
        sleep 0.1
    done
    return "$status"
}

leave() {
    trap '' INT TERM
    if flock -n -x 9 && [ -e "$run/services.ours" ]; then
        stop ""
        rm -f "$run/services.ours"
    fi
}

case ${1:-} in
    start) start "${2:-}" ;;
    stop)
        stop "${2:-}"
        [ -n "${2:-}" ] || rm -f "$run/services.ours"
        ;;
    status) status ;;
    clean) clean ;;
    during) shift; during "$@" ;;
    *) sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0"; exit 2 ;;
esac
