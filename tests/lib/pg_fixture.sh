#!/bin/bash
# pg_fixture.sh start|stop|status: the one PostgreSQL cluster that a run of ctest shares.
#
# Data and socket are in a private folder in memory, or below /tmp where there's little of it (the build folder may
# be closed to the server's user, and the path of a socket ends at 107 bytes); where it is stands in
# $PHASEGATE_BUILD/pg:
#   dir       the folder        conninfo  how to reach it: "host=... user=postgres"
#   users     process ids of the ctest runs that use it; the last one to leave stops the server
# As root the server runs as postgres, or as nobody where there is no such user.
set -euo pipefail

state=${PHASEGATE_BUILD:?set it to the build folder}/pg
mkdir -p "$state"

bin=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1)
if [ -z "$bin" ] || [ ! -x "$bin/initdb" ]; then
    bin=$(dirname "$(command -v initdb || true)")
fi
if [ ! -x "$bin/initdb" ]; then
    echo "pg_fixture: no initdb: apt-get install postgresql postgresql-contrib" >&2
    exit 1
fi

as_server() {
    if [ "$(id -u)" -eq 0 ]; then
        (cd / && runuser -u "$(id -un postgres 2>/dev/null || echo nobody)" -- "$@")
    else
        "$@"
    fi
}

alive() { # is there a server in the folder that answers?
    [ -s "$state/dir" ] && [ -d "$(cat "$state/dir")/data" ] &&
        as_server "$bin/pg_ctl" -D "$(cat "$state/dir")/data" status >/dev/null 2>&1
}

# Drop the ids of runs that are gone, and the one given.
leave() {
    local pid kept=""
    [ -f "$state/users" ] || return 0
    while read -r pid; do
        if [ -n "$pid" ] && [ "$pid" != "${1:-}" ] && kill -0 "$pid" 2>/dev/null; then
            kept+="$pid"$'\n'
        fi
    done <"$state/users"
    printf '%s' "$kept" >"$state/users"
}

destroy() {
    local dir=""
    [ -s "$state/dir" ] && dir=$(cat "$state/dir")
    case "$dir" in
    /tmp/phasegate-pg.* | /dev/shm/phasegate-pg.*)
        if alive; then
            as_server "$bin/pg_ctl" -D "$dir/data" -m immediate -w stop >/dev/null
        fi
        rm -rf -- "$dir"
        ;;
    esac
    rm -f "$state/dir" "$state/conninfo" "$state/users"
}

create() {
    local dir free
    # Tests make and drop hundreds of databases: on a disk that's most of their time.
    free=$(df --output=avail -B 1M /dev/shm 2>/dev/null | tail -n 1 || true)
    if [ -w /dev/shm ] && [ "${free:-0}" -ge 4096 ]; then
        dir=$(mktemp -d /dev/shm/phasegate-pg.XXXXXX)
    else
        dir=$(mktemp -d /tmp/phasegate-pg.XXXXXX)
    fi
    echo "$dir" >"$state/dir"
    if [ "$(id -u)" -eq 0 ]; then
        chown "$(id -un postgres 2>/dev/null || echo nobody)" "$dir"
    fi
    as_server "$bin/initdb" --no-sync -A trust -U postgres -E UTF8 --locale=C.UTF-8 -D "$dir/data" >/dev/null
    # What all tests together run is more than it holds: who asks what ran has a server of its own.
    as_server tee -a "$dir/data/postgresql.conf" >/dev/null <<CONF
listen_addresses = ''
unix_socket_directories = '$dir'
port = 5432
max_connections = 200
max_prepared_transactions = 20
shared_preload_libraries = 'pg_stat_statements'
pg_stat_statements.track = none
fsync = off
full_page_writes = off
max_wal_size = 512MB
synchronous_commit = off
logging_collector = off
log_line_prefix = '%m [%p] %a %d '
timezone = 'UTC'
CONF
    if ! as_server "$bin/pg_ctl" -D "$dir/data" -l "$dir/log" -w -t 60 start >/dev/null </dev/null; then
        cat "$dir/log" >&2
        return 1
    fi
    echo "host=$dir port=5432 user=postgres" >"$state/conninfo"
}

# Whoever starts us is the run of ctest; by hand it is the shell.
run=$PPID
exec 9>"$state/lock"
flock 9
case ${1:-} in
start)
    leave
    if ! alive || [ ! -s "$state/conninfo" ] || [ ! -s "$state/users" ]; then
        destroy
        # The server must not inherit the lock.
        create 9>&-
    fi
    echo "$run" >>"$state/users"
    cat "$state/conninfo"
    ;;
stop)
    leave "$run"
    if [ ! -s "$state/users" ]; then
        destroy 9>&-
    fi
    ;;
status)
    alive && cat "$state/conninfo"
    ;;
*)
    echo "usage: PHASEGATE_BUILD=build/dev tests/lib/pg_fixture.sh start|stop|status" >&2
    exit 2
    ;;
esac
