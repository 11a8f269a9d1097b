#!/usr/bin/env bash
# Entry point of PostgreSQL: chooses its password at the first start, so that no file of the project has one, then
# goes on as its image does. The file is readable by all, as Odoo's user has another number in its container; only
# containers that mount the volume see it.
set -euo pipefail

secret=$POSTGRES_PASSWORD_FILE
if [ ! -e "$secret" ]; then
    head -c 24 /dev/urandom | base64 >"$secret.new"
    mv "$secret.new" "$secret"
fi
exec docker-entrypoint.sh "$@"
