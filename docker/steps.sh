# What every script here says, and how: one line per step with the seconds since the start; one line when it fails.
# shellcheck shell=bash

# Set by whoever began, so that the scripts that it runs count from the same moment.
export KKT_STARTED=${KKT_STARTED:-$(date +%s)}

say() { printf '[%3d s] %s\n' $(($(date +%s) - KKT_STARTED)) "$*"; }

fail() {
    printf '[%3d s] STOPPED: %s\n' $(($(date +%s) - KKT_STARTED)) "$*" >&2
    exit 1
}
