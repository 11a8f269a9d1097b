#!/usr/bin/env bash
# Entry point of the containers with Odoo.
#
#   entry.sh prepare      the demo shop's database, by the script of `make demo`, delivering to the container `ofd`
#   entry.sh COMMAND…     any command, able to reach PostgreSQL
set -euo pipefail

# libpq takes a password from a file that nobody else can read, so each container has a copy of its own. Not from the
# environment or the command line: those are shown by `docker inspect` and `ps`, and `docker compose exec` would lack it.
(umask 077 && echo "*:*:*:$PGUSER:$(</run/secrets/postgres)" >"$PGPASSFILE")
ODOO_KKT_METRICS_TOKEN=$(</run/secrets/metrics)
export ODOO_KKT_METRICS_TOKEN

prepare() {
    docker/database.sh demo
    psql -qX -v ON_ERROR_STOP=1 -d opterp_kkt_demo \
        -c "UPDATE kkt_ofd SET url = 'http://ofd:8479' WHERE url = 'http://127.0.0.1:8479'"
}

if [ "$*" = prepare ]; then prepare; else exec "$@"; fi
