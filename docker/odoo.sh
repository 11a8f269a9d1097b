#!/usr/bin/env bash
# Finds Odoo 19 and prints the folder that contains its package `odoo`; tells what it does on stderr.
# In this order: $ODOO_HOME, an Odoo that python3 can import, Debian's package odoo-19 unpacked into the user's cache
# (never installed), taken from Debian unstable on the mirror that this machine's apt already uses.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/steps.sh"

cache=${XDG_CACHE_HOME:-$HOME/.cache}/opterp-kkt
dist=usr/lib/python3/dist-packages
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
# The package links to files of these packages: fonts, and libraries of the browser's code. Two of them
# no longer hold those files in unstable.
companions=(fonts-montserrat fonts-ocr-b fonts-roboto-unhinted libjs-jquery libjs-jquery-form libjs-underscore)
older_companions=(fonts-font-awesome fonts-inconsolata)
older_release=bookworm

is_odoo_19() { grep -qs '^version_info = (19,' "$1/odoo/release.py"; }

from_environment() {
    is_odoo_19 "$ODOO_HOME" || fail "ODOO_HOME=$ODOO_HOME has no package odoo of version 19: set it to the folder that contains odoo/release.py"
    readlink -f "$ODOO_HOME"
}

installed() {
    local home
    home=$(cd / && PYTHONPATH='' python3 -c 'import odoo.release as r, pathlib; print(pathlib.Path(r.__file__).parents[1])' 2>/dev/null) &&
        is_odoo_19 "$home" && echo "$home"
}

newest_unpacked() { printf '%s\n' "$cache"/odoo-19_*/ | sort -V | tail -1; }

complete() { [ -e "$1/complete" ]; }

# --- Debian's package ----------------------------------------------------------------------------------------

no_package() { fail "$1: set ODOO_HOME to a folder that contains Odoo 19's package odoo, or use Docker (docker/compose.yaml)"; }

# The mirrors of Debian itself among this machine's apt sources, as apt understands them.
mirrors() {
    # shellcheck disable=SC2016 # apt fills these in
    apt-get indextargets --format '$(REPO_URI) $(CODENAME)' 'Created-By: Packages' |
        awk '$1 ~ /^(https?|ftp|file|copy|mirror)/ && !/security/ && !seen[$1]++ {print $1}'
}

# apt with a state of its own in $work: this machine's apt sees nothing of it. A mirror that lags behind will do:
# signatures are still checked.
private_apt() {
    "$1" -qq -o Dir::State="$work" -o Dir::State::lists="$work/lists" -o Dir::State::status="$work/status" \
        -o Dir::Cache="$work" -o Dir::Etc::sourcelist="$work/sources.list" -o Dir::Etc::sourceparts=- \
        -o Dir::Etc::preferencesparts=- -o Dir::Etc::preferences=- -o APT::Sandbox::User="$(id -un)" \
        -o Acquire::Check-Valid-Until=false -o Acquire::Languages=none -o Acquire::PDiffs=false "${@:2}" >>"$work/log" 2>&1
}

open_release() { # mirror, release
    echo "deb [signed-by=$keyring] $1 $2 main" >"$work/sources.list"
    private_apt apt-get update
}

# Sets $mirror to the first that answers for unstable.
open_unstable() {
    for mirror in $(mirrors); do
        open_release "$mirror" unstable && return
    done
    tail -3 "$work/log" >&2
    no_package "no mirror of Debian in this machine's apt configuration answers for unstable"
}

download() { (cd "$work" && private_apt apt-get download "$@"); }

download_companions() {
    if download "${companions[@]}" && open_release "$mirror" "$older_release"; then
        download "${older_companions[@]}" || tail -3 "$work/log" >&2
    fi
}

# Debian leaves out a compiled library (it blurs the background of video calls) that the browser's code is still
# packed with, which makes every page that includes it report an error.
replace_left_out() {
    local library=$1/$dist/odoo/addons/mail/static/lib/selfie_segmentation/selfie_segmentation.js
    [ -e "$library" ] || echo '/* not part of the package */' | install -D -m 644 /dev/stdin "$library"
}

unpack_into() {
    local deb dangling
    for deb in "$work"/*.deb; do dpkg-deb -x "$deb" "$1"; done
    dangling=$(find "$1/$dist" -xtype l -printf '%f ')
    [ -z "$dangling" ] || say "warning: some of Odoo's fonts and libraries are missing: $dangling" >&2
    replace_left_out "$1"
    touch "$1/complete"
}

unpack_new() {
    local version
    download odoo-19 || { tail -3 "$work/log" >&2; no_package "apt could not download odoo-19"; }
    download_companions
    version=$(dpkg-deb -f "$work"/odoo-19_*.deb Version)
    unpack_into "$work/tree"
    mv -T "$work/tree" "$cache/odoo-19_$version"
    say "Odoo 19 ($version) unpacked into $cache" >&2
}

# A tree unpacked without the packages that it links to: only adds files, somebody may be using it.
complete_tree() {
    download_companions
    unpack_into "$1"
    say "Odoo's fonts and libraries added to $1" >&2
}

from_debian() {
    local tree
    tree=$(newest_unpacked)
    complete "$tree" || fetch "$tree"
    tree=$(newest_unpacked)
    echo "${tree%/}/$dist"
}

fetch() {
    command -v apt-get dpkg-deb >/dev/null || no_package "this system has no Debian packages"
    [ -e "$keyring" ] || no_package "there is no $keyring, so Debian's packages can't be checked"
    mkdir -p "$cache"
    exec 8>"$cache/lock"
    flock 8
    ! complete "$(newest_unpacked)" || return 0
    work=$(mktemp -d "$cache/fetch.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    mkdir -p "$work/lists/partial" "$work/archives/partial"
    touch "$work/status"
    say "asking this machine's Debian mirror for Odoo 19 and its fonts" >&2
    open_unstable
    if is_odoo_19 "$1/$dist"; then complete_tree "${1%/}"; else unpack_new; fi
}

if [ -n "${ODOO_HOME:-}" ]; then from_environment; else installed || from_debian; fi
