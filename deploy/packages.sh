# packages.sh, to be sourced: installs what is missing on Debian 12, Debian 13 and Ubuntu 24.04.
#
#     need build        # compiler and libraries
#     need build test   # and what the suite runs
#
# apt is called only when something is missing, with sudo when we aren't root. Services that come with a
# package aren't started by its installation.

have() { command -v "$1" >/dev/null 2>&1 || [ -x "/usr/sbin/$1" ]; }
have_package() { [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }
have_server() { have initdb || compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null; }
as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif have sudo; then
        sudo "$@"
    else
        echo "phasegate: need to install packages: run as root or install sudo" >&2
        return 1
    fi
}

# Fill the array `missing`. A tool counts wherever it comes from, a library only as a package.
missing_build() {
    local package
    have gcc || missing+=(gcc)
    have cmake || missing+=(cmake)
    have ninja || missing+=(ninja-build)
    have pkg-config || missing+=(pkgconf)
    for package in libc6-dev libpq-dev libyaml-dev libcurl4-openssl-dev libssl-dev libpg-query-dev \
        libprotobuf-c-dev libjansson-dev libmicrohttpd-dev libxxhash-dev libzstd-dev libexpat1-dev libarchive-dev; do
        have_package $package || missing+=($package)
    done
}

missing_run() {
    have_server || missing+=(postgresql)
    have psql || missing+=(postgresql-client)
    have runuser || missing+=(util-linux)
    have curl || missing+=(curl)
}

missing_test() {
    missing_run
    have_package libcmocka-dev || missing+=(libcmocka-dev)
    have git || missing+=(git)
    have groff || missing+=(groff-base)
    have openssl || missing+=(openssl)
    have ps || missing+=(procps)
    have jq || missing+=(jq)
    have zsh || missing+=(zsh)
    have zstd || missing+=(zstd)
    have fish || missing+=(fish)
    have python3 || missing+=(python3)
    python3 -c 'import jsonschema' 2>/dev/null || missing+=(python3-jsonschema)
    python3 -c 'import yaml' 2>/dev/null || missing+=(python3-yaml)
    have node || missing+=(nodejs)
    have npm || missing+=(npm)
    have pgbouncer || missing+=(pgbouncer)
    have prometheus || missing+=(prometheus)
    have pgbackrest || missing+=(pgbackrest)
    [ -s /etc/ssl/certs/ca-certificates.crt ] || missing+=(ca-certificates)
    # 14 is what the format is written for; where the distribution has moved on, any later one.
    if ! have clang-format-14; then
        if have_candidate clang-format-14; then
            missing+=(clang-format-14)
        elif ! have clang-format; then
            missing+=(clang-format)
        fi
    fi
}

have_candidate() {
    local answer
    answer=$(LC_ALL=C apt-cache policy "$1" 2>/dev/null) || return 1
    [[ $answer == *Candidate:* && $answer != *"Candidate: (none)"* ]]
}

apt_install() {
    local policy=/usr/sbin/policy-rc.d mine="" status=0
    # The documented way to keep packages from starting their services; never over somebody's own file.
    if [ ! -e $policy ]; then
        printf '#!/bin/sh\nexit 101\n' | as_root tee $policy >/dev/null
        as_root chmod 755 $policy
        mine=yes
    fi
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends \
        -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=300 "$@" </dev/null || status=$?
    if [ -n "$mine" ]; then
        as_root rm -f $policy
    fi
    return $status
}

need() {
    local what missing=()
    for what in "$@"; do
        "missing_$what"
    done
    if [ ${#missing[@]} -eq 0 ]; then
        return 0
    fi
    if ! have apt-get; then
        echo "phasegate: missing: ${missing[*]} (names of Debian's packages; this system has no apt-get)" >&2
        return 1
    fi
    echo "phasegate: installing ${missing[*]}"
    as_root apt-get update -q -o DPkg::Lock::Timeout=300 </dev/null
    # Again: without its lists apt may not have known what it has.
    missing=()
    for what in "$@"; do
        "missing_$what"
    done
    apt_install "${missing[@]}"
}
