#!/usr/bin/env bash
# Databases of this checkout; PostgreSQL must be up.
#
#   database.sh demo          opterp_kkt_demo, the shop with demo data, to click in; implies template
#   database.sh template      opterp_kkt_template, the same shop for tests to copy: nobody opens it; opterp_kkt_template_failing,
#                             with the tests' addon, whose failpoints kill a server where they are told to; and
#                             opterp_kkt_template_flows, with Odoo's own sales orders and gift cards at the till
#   database.sh fresh NAME    Odoo without our addons or data, a copy of opterp_kkt_base
#   database.sh tested NAME [MODULE,…]    with our addons and their tests, installed beside these modules of Odoo
#
# What is copied is made once; when the addon changed it is made anew, and the demo shop updated.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/env.sh"
. "$KKT_HOME/docker/steps.sh"
cd "$KKT_HOME"

base=opterp_kkt_base
template=opterp_kkt_template
failing=opterp_kkt_template_failing
with_flows=opterp_kkt_template_flows
demo=opterp_kkt_demo
filestore=.run/data/filestore
log=.run/log/database.log

query() { PGOPTIONS='-c client_min_messages=warning' psql -qAtX -v ON_ERROR_STOP=1 -d "${2:-postgres}" -c "$1"; }

# Not WITH (FORCE): that would end an autovacuum worker too, which the owner may not; a plain DROP waits for that one.
drop() {
    query "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
        WHERE datname = '$1' AND usename = current_user" >/dev/null
    query "DROP DATABASE IF EXISTS \"$1\""
    rm -rf "${filestore:?}/${1:?}"
}

# A database's version is its comment: written last, so that a half-made database has none, and gone with it.
version_of() { query "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = '$1'"; }

set_version() { query "COMMENT ON DATABASE \"$1\" IS '$2'"; }

odoo_once() { # database, arguments
    odoo -d "$1" --no-http --stop-after-init --log-level=warn "${@:2}" >"$log" 2>&1 && ! grep -qE ' (ERROR|CRITICAL) ' "$log" && return
    tail -20 "$log" >&2
    fail "Odoo could not prepare the database $1: see $log"
}

run_in_shell() { # database, what to say of a failure; the script is read
    odoo shell -d "$1" --no-http --log-level=warn >>"$log" 2>&1 || fail "$2: see $log"
}

# A copy is another database: it has an identity of its own. Stored files are named by their content and never change.
# Without file_copy a crash before the next checkpoint would set the copy's sequences back.
copy() { # from, to
    drop "$2"
    query "CREATE DATABASE \"$2\" TEMPLATE \"$1\" STRATEGY file_copy"
    [ ! -d "$filestore/$1" ] || cp -rl "$filestore/$1" "$filestore/$2"
    query "UPDATE ir_config_parameter SET value = gen_random_uuid() WHERE key = 'database.uuid'" "$2"
}

# --- the demo shop -------------------------------------------------------------------------------------------

# Whatever of the addon ends up in the database. The rest is read from its files at every start.
addon_version() {
    find addons/opterp_kkt -type f ! -name '*.pyc' ! -path '*/static/*' ! -path '*/core/*' ! -path '*/transports/*' \
        -print0 | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum | cut -c1-16
}

# Odoo loads demo data of a module only where all that it depends on has it; we want our shop, not Odoo's furniture.
load_demo_data() { # database
    run_in_shell "$1" "the demo data could not be loaded" <<-'END'
		from odoo.tools.convert import convert_file
		convert_file(env, 'opterp_kkt', 'demo/optical_shop.xml', None, mode='init', noupdate=True)
		env.cr.commit()
	END
}

# Else every browser that comes to a copy waits until it has built them.
build_scripts() { # database
    run_in_shell "$1" "the pages' scripts could not be built" <<-'END'
		for name in 'web.assets_frontend_minimal', 'web.assets_frontend_lazy', 'web.assets_frontend', 'web.assets_web', 'point_of_sale.assets_prod':
		    bundle = env['ir.qweb']._get_asset_bundle(name)
		    bundle.js(), bundle.css()
		env['ir.qweb']._get_asset_bundle('web.assets_web_print', js=False).css()
		env.cr.commit()
	END
}

# Else Odoo builds them, with those of its JavaScript tests, before each run of tests with a browser.
build_scripts_for_tests() { # database
    run_in_shell "$1" "the tests' scripts could not be built" <<-'END'
		env['ir.qweb']._pregenerate_assets_bundles()
		env.cr.commit()
	END
}

# Else each class of tests makes one.
make_shop_for_tests() { # database
    run_in_shell "$1" "the tests' shop could not be made" <<-'END'
		from odoo.addons.opterp_kkt_tests.tests.common import KktSaleCommon
		KktSaleCommon.store(env)
		env.cr.commit()
	END
}

make_template() {
    prepare_base
    say "making the demo shop"
    copy "$base" "$template"
    odoo_once "$template" -i opterp_kkt --load-language=ru_RU
    load_demo_data "$template"
    build_scripts "$template"
}

update() {
    say "updating $1 to the changed addon"
    odoo_once "$1" -u opterp_kkt --load-language=ru_RU
}

prepare_template() {
    local wanted=$1 found
    found=$(version_of "$template")
    [ "$wanted" != "$found" ] || return 0
    make_template
    set_version "$template" "$wanted"
}

# The same shop with more in it.
prepare_template_with() { # database, version, modules, what to say of it
    [ "$2" != "$(version_of "$1")" ] || return 0
    say "making the same shop with $4"
    copy "$template" "$1"
    odoo_once "$1" -i "$3"
    set_version "$1" "$2"
}

prepare_demo() {
    local wanted=$1 found
    found=$(version_of "$demo")
    if [ -z "$found" ]; then
        copy "$template" "$demo"
        say "the demo shop is ready"
    elif [ "$found" != "$wanted" ]; then
        update "$demo"
    fi
    set_version "$demo" "$wanted"
    query "UPDATE kkt_ofd SET url = 'http://127.0.0.1:$KKT_OFD_PORT' WHERE url LIKE 'http://127.0.0.1:%'" "$demo"
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

# --- databases for Odoo's tests ------------------------------------------------------------------------------

tested_version() {
    { addon_version && find addons/opterp_kkt_tests/{__init__.py,__manifest__.py,models} -name '*.py' -print0 |
        LC_ALL=C sort -z | xargs -0 sha256sum; } | sha256sum | cut -c1-16
}

# Lanes of `make test` want the same one: the first makes it.
prepare_tested() { # database, modules beside ours
    local wanted
    exec 7>.run/tested.lock
    flock 7
    prepare_base
    wanted="$(tested_version) $(cat addons/opterp_kkt_tests/tests/{common,stored_shop}.py | sha256sum | cut -c1-16) $(version_of "$base")"
    if [ "$wanted" != "$(version_of "$1")" ]; then
        say "installing the addons, to copy databases for their tests from${2:+ (beside $2)}"
        copy "$base" "$1"
        odoo_once "$1" -i "opterp_kkt_tests${2:+,$2}"
        make_shop_for_tests "$1"
        [ -n "$2" ] || build_scripts_for_tests "$1"
        set_version "$1" "$wanted"
    fi
    exec 7>&-
}

case "${1:-} $#" in
    'template 1')
        version=$(addon_version)
        prepare_template "$version"
        prepare_template_with "$failing" "$(tested_version)" opterp_kkt_tests "failpoints"
        prepare_template_with "$with_flows" "$version" pos_loyalty,pos_sale "sales orders and gift cards"
        ;;
    'demo 1')
        version=$(addon_version)
        prepare_template "$version"
        prepare_demo "$version"
        ;;
    'fresh 2')
        prepare_base
        copy "$base" "$2"
        ;;
    'tested 2' | 'tested 3')
        tested=opterp_kkt_tested${3:+_$(tr -c 'a-z\n' _ <<<"$3")}
        prepare_tested "$tested" "${3:-}"
        copy "$tested" "$2"
        ;;
    *) fail "usage: database.sh template | demo | fresh NAME | tested NAME [MODULES]" ;;
esac
