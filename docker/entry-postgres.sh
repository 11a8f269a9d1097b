#!/usr/bin/env bash
# Entry point of PostgreSQL: chooses its password and the token of monitoring at the first start, so that no file of the project
# has one, then goes on as its image does. The files are readable by all, as Odoo's user has another number in its container; only
# containers that mount the volume see them.
set -euo pipefail

draw() {
    if [ ! -e "$1" ]; then
        head -c 24 /dev/urandom | base64 >"$1.new"
        mv "$1.new" "$1"
    fi
}

draw "$POSTGRES_PASSWORD_FILE"
draw /run/secrets/metrics
exec docker-entrypoint.sh "$@"
