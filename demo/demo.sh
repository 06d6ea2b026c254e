#!/usr/bin/env bash
# Shows the main thing: three million real rows go in, questions come back, and a kill -9 loses nothing that was
# acknowledged. `./dev demo` builds the binary and calls this; it needs psql and nothing else.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

sightline=${SIGHTLINE_BINARY:?run ./dev demo}
work=${SIGHTLINE_CACHE:-${HOME:?}/.cache/sightline}/demo
data=$work/data
rows_total=3000000
rows_piece=50000
server=''

say() { if [[ -t 1 ]]; then printf '\n\033[1m== %s\033[0m\n' "$*"; else printf '\n== %s\n' "$*"; fi; }
die() {
    printf 'demo: %s\n' "$*" >&2
    exit 1
}
seconds() { awk -v from="$1" -v to="$EPOCHREALTIME" 'BEGIN {printf "%.1f s", to - from}'; }
# 1234567 as 1,234,567
grouped() { sed -E ':a; s/^([0-9]+)([0-9]{3})/\1,\2/; ta' <<<"$1"; }

# psql as it comes, without the reader's own settings.
unset "${!PG@}"
export PGCLIENTENCODING=UTF8 LC_ALL=C.UTF-8
sql() { psql -X -q -P pager=off -v ON_ERROR_STOP=1 -h "$host" -p "$port" -U sightline -d "${database:-demo}" "$@"; }
ask() { sql -At -c "$1"; }

# start PG_ADDRESS HTTP_ADDRESS: starts a server on the demo's directory and waits until it says that it is ready.
start() {
    : >"$work/ready"
    "$sightline" serve --data-dir "$data" --pg-listen "$1" --http-listen "$2" >"$work/ready" 2>>"$work/server.log" &
    server=$!
    until grep -q ready "$work/ready"; do
        kill -0 "$server" 2>/dev/null || {
            tail -n 20 "$work/server.log" >&2
            die "the server did not start"
        }
        sleep 0.05
    done
    pg_address=$(sed -E 's|.*postgres://[^@]*@([^/]+)/.*|\1|' "$work/ready")
    http_address=$(sed -E 's|.* http://||' "$work/ready")
    host=${pg_address%:*} port=${pg_address##*:}
    cat "$work/ready"
}

stop() {
    [[ -n $server ]] || return 0
    kill -TERM "$server" 2>/dev/null || true
    wait "$server" 2>/dev/null || true
    server=''
}

# Whether somebody listens on a port of this machine.
taken() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# address PORT: that port here, or a free one if it is taken.
address() {
    if taken "$1"; then
        printf 'port %s is taken, so the demo takes a free one\n' "$1" >&2
        echo 127.0.0.1:0
    else
        echo "127.0.0.1:$1"
    fi
}

prepare() {
    rm -rf "${work:?}"
    mkdir -p "$work/pieces"
    say "a server on a fresh directory, $data"
    start "$(address 5433)" "$(address 8080)"
    say "tenant demo"
    database=sightline sql -c 'CREATE TENANT demo'
    sql -f schema.sql
    sql -c '\d flights'
}

load() {
    say "airports, and $(grouped $rows_total) flights by one COPY"
    local from=$EPOCHREALTIME
    "$sightline" parquet-to-csv data/flights-3m.parquet | split -l $rows_piece -d -a 3 - "$work/pieces/flights."
    printf 'Parquet made into %s CSV files of %s rows in %s\n' \
        "$(find "$work/pieces" -type f | wc -l)" "$(grouped $rows_piece)" "$(seconds "$from")"
    from=$EPOCHREALTIME
    sql -c '\copy airports FROM data/airports.csv (FORMAT csv, HEADER)'
    printf '%s airports in %s\n' "$(ask 'SELECT count(*) FROM airports')" "$(seconds "$from")"
    from=$EPOCHREALTIME
    cat "$work"/pieces/* | sql -c '\copy flights FROM pstdin (FORMAT csv)'
    printf '%s flights in %s, durable and in one transaction\n' \
        "$(grouped "$(ask 'SELECT count(*) FROM flights')")" "$(seconds "$from")"
}

questions() {
    say "questions, by stock $(psql --version)"
    sql -f queries.sql
}

# Loads piece by piece, each a transaction, and notes each when psql says that it is acknowledged.
load_with_ledger() {
    local piece
    for piece in "$work"/pieces/*; do
        sql -c "\copy flights_again FROM '$piece' (FORMAT csv)" 2>>"$work/psql.log" || break
        echo "${piece##*/} $rows_piece" >>"$work/ledger"
    done
}

acknowledged() { wc -l <"$work/ledger"; }

crash() {
    local kill_after=$((8 + RANDOM % 24)) loader
    say "the same rows again, in transactions of $(grouped $rows_piece), each noted in a ledger when acknowledged"
    sql -c 'CREATE TABLE flights_again AS SELECT * FROM flights WITH NO DATA'
    : >"$work/ledger"
    load_with_ledger &
    loader=$!
    while (($(acknowledged) < kill_after)); do
        kill -0 "$loader" 2>/dev/null || die "the load ended before the kill: $(cat "$work/psql.log")"
        [[ ! -t 1 ]] || printf '\racknowledged %s rows' "$(grouped $(($(acknowledged) * rows_piece)))"
        sleep 0.05
    done
    sleep "0.$((RANDOM % 15 + 10))"
    kill -KILL "$server"
    wait "$server" 2>/dev/null || true
    wait "$loader"
    [[ ! -t 1 ]] || printf '\r'
    printf 'kill -9 in the middle of it; psql saw: %s\n' "$(head -n 1 "$work/psql.log")"
}

compare() {
    local from=$EPOCHREALTIME ledger count before
    say "the same directory again"
    start "$pg_address" "$http_address"
    printf 'back in %s\n' "$(seconds "$from")"
    ledger=$(($(acknowledged) * rows_piece))
    count=$(ask 'SELECT count(*) FROM flights_again')
    before=$(ask 'SELECT count(*) FROM flights')
    say "ledger and server, side by side"
    printf '%-44s %12s\n' "acknowledged by the ledger, $(acknowledged) transactions" "$(grouped "$ledger")" \
        'count(*) of flights_again after the kill' "$(grouped "$count")" \
        'count(*) of flights, loaded before' "$(grouped "$before")"
    if ((before != rows_total)); then die "rows of flights were lost or doubled"; fi
    case $((count - ledger)) in
    0) echo 'Equal: nothing that was acknowledged is lost, nothing is doubled, nothing is half there.' ;;
    "$rows_piece") echo "Exactly one transaction more: it was durable when the kill came, only its acknowledgement was still on its way.
Nothing that was acknowledged is lost, nothing is doubled, nothing is half there." ;;
    *) die "ledger and server do not agree: rows were lost or doubled" ;;
    esac
}

farewell() {
    say "connect"
    cat <<TEXT
psql postgres://sightline@$pg_address/demo
curl http://$http_address/metrics
data $data
log  $work/server.log
TEXT
    if [[ -t 0 ]]; then
        printf '\nThe server stays up until Ctrl-C.\n'
        trap 'printf "\nstopping\n"; stop; exit 0' INT TERM
        wait "$server"
    else
        printf '\nNot on a terminal, so the server stops now. To have it again:\n%s serve --data-dir %s\n' "$sightline" "$data"
    fi
}

trap stop EXIT
prepare
load
questions
crash
compare
printf '\nThe demo took %s s.\n' "$SECONDS"
farewell
