#!/usr/bin/env bash
# Everything that a fresh Debian or Ubuntu needs: system packages, Odoo 19, and a Python environment in .run/venv
# with both of their requirements and the command `odoo`. Asks nothing; a second run only looks whether all is there.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/env.sh"
. "$KKT_HOME/docker/steps.sh"

run=$KKT_HOME/.run
venv=$run/venv
log=$run/log
PATH=${PATH#"$venv/bin:"} # an environment is never made from itself

have() { command -v "$1" >/dev/null; }

# --- system packages -----------------------------------------------------------------------------------------

# Debian's own first: it has every wheel, which a newer one of the user's may not.
find_python() {
    local candidate
    for candidate in ${PYTHON:-} /usr/bin/python3 python3 python3.13 python3.12 python3.11; do
        "$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$candidate" && return
    done
    return 1
}

have_postgres() { have initdb || compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null; }
have_chromium() { have chromium || have google-chrome || have chromium-browser || have google-chrome-stable; }
have_cyrillic_font() { compgen -G '/usr/share/fonts/*/dejavu*/DejaVuSans.ttf' >/dev/null; }

# Ubuntu has Chromium as a snap only: there the browser tests are left out unless somebody installed one.
may_have_chromium() { ! grep -qs '^ID=ubuntu' /etc/os-release; }

missing_packages() {
    find_python >/dev/null || echo python3-venv
    have_postgres || echo postgresql
    have redis-server || echo redis-server
    have faketime || echo faketime
    have_chromium || ! may_have_chromium || echo chromium
    have_cyrillic_font || echo fonts-dejavu-core
    [ -e /etc/ssl/certs/ca-certificates.crt ] || echo ca-certificates
}

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi; }

may_install() { have apt-get && as_root true 2>/dev/null; }

# The packages bring services of their own, but only their programs are wanted: nothing that wasn't there before is
# started, enabled or given a database.
hold_services() {
    local policy=/usr/sbin/policy-rc.d no_cluster=/etc/postgresql-common/createcluster.d/opterp-kkt.conf
    held=("$no_cluster")
    trap 'as_root rm -f "${held[@]}"' EXIT
    echo 'create_main_cluster = false' | as_root install -D -m 644 /dev/stdin "$no_cluster"
    [ ! -e "$policy" ] || return 0
    held+=("$policy")
    printf '#!/bin/sh\nexit 101\n' | as_root install -m 755 /dev/stdin "$policy"
}

apt_install() {
    local apt=(as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300)
    "${apt[@]}" update
    "${apt[@]}" install -y --no-install-recommends "$@"
}

disable_redis() { ! have systemctl || as_root systemctl disable redis-server; }

install_packages() {
    local missing
    mapfile -t missing < <(missing_packages)
    [ ${#missing[@]} -gt 0 ] || return 0
    may_install || fail "missing here: run  apt-get install --no-install-recommends ${missing[*]}  as root, then this again"
    say "asking apt for ${missing[*]}"
    hold_services
    if ! apt_install "${missing[@]}" >"$log/apt.log" 2>&1; then
        grep '^E:' "$log/apt.log" >&2 || true
        fail "apt could not install ${missing[*]}: see .run/log/apt.log"
    fi
    [[ " ${missing[*]} " != *" redis-server "* ]] || disable_redis >>"$log/apt.log" 2>&1
    as_root rm -f "${held[@]}"
    say "system packages installed"
}

# --- Python environment --------------------------------------------------------------------------------------

requirements=("$KKT_HOME/requirements.txt" "$KKT_HOME/docker/odoo-requirements.txt")

# What the environment was made of and where: any change makes it anew.
fingerprint() {
    "$1" --version
    cat "${requirements[@]}"
    echo "$venv" "$2"
}

# The environment's python, pytest and `odoo` all see Odoo through one line in a .pth file.
link_odoo() {
    local site
    site=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
    echo "$1" >"$site/odoo.pth"
    printf '#!%s\nimport odoo.cli\n\nodoo.cli.main()\n' "$venv/bin/python" >"$venv/bin/odoo"
    chmod +x "$venv/bin/odoo"
}

install_requirements() {
    "$venv/bin/python" -m pip install --no-input --disable-pip-version-check --use-pep517 \
        "${requirements[@]/#/--requirement=}" >"$log/pip.log" 2>&1 && return
    grep '^ERROR' "$log/pip.log" >&2 || true
    fail "pip could not install the Python packages: see .run/log/pip.log"
}

make_venv() { # Odoo's home
    local python wanted
    python=$(find_python) || fail "no Python 3.11 or later with venv: set PYTHON=/path/to/one"
    wanted=$(fingerprint "$python" "$1" | sha256sum)
    [ "$wanted" != "$(cat "$venv/fingerprint" 2>/dev/null)" ] || return 0
    say "installing Python packages into .run/venv"
    grep -qs " $venv\$" "$venv/pyvenv.cfg" || rm -rf "$venv"
    "$python" -m venv "$venv"
    install_requirements
    link_odoo "$1"
    echo "$wanted" >"$venv/fingerprint"
    say "Python packages installed"
}

main() {
    local odoo_home
    mkdir -p "$log"
    exec 7>"$run/setup.lock"
    flock 7
    install_packages
    odoo_home=$("$KKT_HOME/docker/odoo.sh")
    make_venv "$odoo_home"
    have_chromium || say "no Chromium or Chrome here: tests that need a browser are skipped"
}

main
