#!/usr/bin/env bash
# Databases of this checkout; PostgreSQL must be up.
#
#   database.sh demo     opterp_kkt_demo, the shop with demo data: made when it isn't there, updated when the addon changed
#   database.sh drop NAME…
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/env.sh"
. "$KKT_HOME/docker/steps.sh"

demo=opterp_kkt_demo
log=$KKT_HOME/.run/log/database.log

query() { psql -qAtX -d postgres -c "$1"; }

drop() {
    query "DROP DATABASE IF EXISTS \"$1\" WITH (FORCE)" 2>/dev/null
    rm -rf "$KKT_HOME/.run/data/filestore/${1:?}"
}

# Whatever of the addon ends up in the database. The rest is read from its files at every start.
addon_version() {
    cd "$KKT_HOME/addons/opterp_kkt"
    find . -type f ! -name '*.pyc' ! -path './static/*' ! -path './core/*' ! -path './transports/*' -print0 |
        LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum | cut -c1-16
}

# The version is the database's comment: written last, so that a half-made database has none, and gone with it.
version_in() { query "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = '$1'"; }

odoo_once() {
    cd "$KKT_HOME"
    odoo -d "$demo" --no-http --stop-after-init --log-level=warn "$@" >"$log" 2>&1 && return
    tail -20 "$log" >&2
    fail "Odoo could not prepare the database $demo: see .run/log/database.log"
}

make_demo() {
    say "making the demo shop (database $demo, about a minute)"
    drop "$demo"
    odoo_once -i opterp_kkt --with-demo --load-language=ru_RU
}

update_demo() {
    say "updating the demo shop to the changed addon"
    odoo_once -u opterp_kkt --load-language=ru_RU
}

prepare_demo() {
    local wanted found
    wanted=$(addon_version)
    found=$(version_in "$demo")
    [ "$wanted" != "$found" ] || return 0
    if [ -n "$found" ]; then update_demo; else make_demo; fi
    query "COMMENT ON DATABASE $demo IS '$wanted'"
    say "the demo shop is ready"
}

case ${1:-} in
    demo) prepare_demo ;;
    drop) for name in "${@:2}"; do drop "$name"; done ;;
    *) fail "usage: database.sh demo | drop NAME…" ;;
esac
