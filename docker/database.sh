#!/usr/bin/env bash
# Databases of this checkout; PostgreSQL must be up.
#
#   database.sh demo          opterp_kkt_demo, the shop with demo data: made once, updated when the addon changed
#   database.sh fresh NAME    an empty shop without our addons, copied in a second from one that is made once
#   database.sh drop NAME
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/env.sh"
. "$KKT_HOME/docker/steps.sh"
cd "$KKT_HOME"

base=opterp_kkt_base
demo=opterp_kkt_demo
filestore=.run/data/filestore
log=.run/log/database.log

query() { PGOPTIONS='-c client_min_messages=warning' psql -qAtX -v ON_ERROR_STOP=1 -d "${2:-postgres}" -c "$1"; }

drop() {
    query "DROP DATABASE IF EXISTS \"$1\" WITH (FORCE)"
    rm -rf "${filestore:?}/${1:?}"
}

# A database's version is its comment: written last, so that a half-made database has none, and gone with it.
version_of() { query "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = '$1'"; }

set_version() { query "COMMENT ON DATABASE \"$1\" IS '$2'"; }

odoo_once() { # database, arguments
    odoo -d "$1" --no-http --stop-after-init --log-level=warn "${@:2}" >"$log" 2>&1 && return
    tail -20 "$log" >&2
    fail "Odoo could not prepare the database $1: see $log"
}

# --- the demo shop -------------------------------------------------------------------------------------------

# Whatever of the addon ends up in the database. The rest is read from its files at every start.
addon_version() {
    find addons/opterp_kkt -type f ! -name '*.pyc' ! -path '*/static/*' ! -path '*/core/*' ! -path '*/transports/*' \
        -print0 | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum | cut -c1-16
}

prepare_demo() {
    local wanted found
    wanted=$(addon_version)
    found=$(version_of "$demo")
    [ "$wanted" != "$found" ] || return 0
    if [ -n "$found" ]; then
        say "updating the demo shop to the changed addon"
        odoo_once "$demo" -u opterp_kkt --load-language=ru_RU
    else
        say "making the demo shop (about a minute)"
        drop "$demo"
        odoo_once "$demo" -i opterp_kkt --with-demo --load-language=ru_RU
    fi
    set_version "$demo" "$wanted"
    say "the demo shop is ready"
}

# --- fresh databases -----------------------------------------------------------------------------------------

# The modules of Odoo itself that our addons depend on.
dependencies() {
    python - <<-'END'
		import ast, pathlib
		manifests = [ast.literal_eval(p.read_text()) for p in pathlib.Path("addons").glob("*/__manifest__.py")]
		print(",".join(sorted({d for m in manifests for d in m["depends"] if not d.startswith("opterp_kkt")})))
	END
}

prepare_base() {
    local modules wanted
    modules=$(dependencies)
    wanted="$(python -c 'import odoo.release as r; print(r.__file__, r.version)') $modules"
    [ "$wanted" != "$(version_of "$base")" ] || return 0
    say "making a database with Odoo's $modules, to copy fresh ones from (about a minute)"
    drop "$base"
    odoo_once "$base" -i "$modules"
    set_version "$base" "$wanted"
}

# A copy is another database: it has an identity of its own.
fresh() {
    prepare_base
    drop "$1"
    query "CREATE DATABASE \"$1\" TEMPLATE $base"
    [ ! -d "$filestore/$base" ] || cp -r "$filestore/$base" "$filestore/$1"
    query "UPDATE ir_config_parameter SET value = gen_random_uuid() WHERE key = 'database.uuid'" "$1"
}

case "${1:-} $#" in
    'demo 1') prepare_demo ;;
    'fresh 2') fresh "$2" ;;
    'drop 2') drop "$2" ;;
    *) fail "usage: database.sh demo | fresh NAME | drop NAME" ;;
esac
