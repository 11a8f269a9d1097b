# The environment of this checkout, for people and scripts:  . docker/env.sh
# Two checkouts run side by side when each sets its own KKT_*_PORT variables first.
# shellcheck shell=bash

KKT_HOME=$(cd "$(dirname "${BASH_SOURCE[0]:-$0}")/.." && pwd -P)
export KKT_HOME
export KKT_PG_PORT=${KKT_PG_PORT:-5469}
export KKT_REDIS_PORT=${KKT_REDIS_PORT:-6469}
export KKT_HTTP_PORT=${KKT_HTTP_PORT:-8469}
export KKT_GEVENT_PORT=${KKT_GEVENT_PORT:-8472}
export KKT_OFD_PORT=${KKT_OFD_PORT:-8479}

# Odoo, psql and psycopg2 all read these; Odoo prefers them to its configuration file.
export PGHOST=127.0.0.1 PGPORT=$KKT_PG_PORT PGUSER=odoo
unset PGPASSWORD PGDATABASE PGSERVICE PGSSLMODE
export ODOO_RC=$KKT_HOME/odoo.conf
export ODOO_ADDONS_PATH=$KKT_HOME/addons ODOO_DATA_DIR=$KKT_HOME/.run/data
export ODOO_HTTP_PORT=$KKT_HTTP_PORT ODOO_GEVENT_PORT=$KKT_GEVENT_PORT
export ODOO_KKT_REDIS_URL=redis://127.0.0.1:$KKT_REDIS_PORT/0
# Odoo is two thousand files: translated by its first start, not by each.
unset PYTHONDONTWRITEBYTECODE

case :$PATH: in
    *":$KKT_HOME/.run/venv/bin:"*) ;;
    *) export PATH=$KKT_HOME/.run/venv/bin:$PATH ;;
esac
