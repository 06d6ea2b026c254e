#!/usr/bin/env bash
# Runs one benchmark: `./dev bench NAME` builds the release binary and calls this. Without a name it lists them.
# SIGHTLINE_BINARY is the binary, SIGHTLINE_BENCH_SCALE (1) the size: 0.01 for a quick try.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

cache=${SIGHTLINE_CACHE:-${HOME:?}/.cache/sightline}
venv=$cache/bench-venv
packages=(duckdb datafusion 'psycopg[binary]' tpchgen-cli pyarrow numpy)

case ${1:-} in
tpch | web | events | ingest | disk | fresh | connect) ;;
'')
    echo 'tpch    TPC-H: 22 queries beside DataFusion on Parquet and DuckDB; all answers are compared'
    echo 'web     hits of web pages: 43 queries beside the same two; all answers are compared'
    echo 'events  events of a shop: 12 queries beside the same two; all answers are compared'
    echo 'ingest  COPY in csv and durable INSERTs of 100 rows and of one, beside PostgreSQL 15'
    echo 'disk    bytes of hits, events and lineitem on disk, beside DuckDB and Parquet'
    echo 'connect connections beside PostgreSQL 15: memory of each, connects a second, results as a stream, cancel'
    echo 'fresh   sum over rows inserted one by one, before any flush, beside the same rows loaded by one COPY'
    exit
    ;;
*)
    echo "bench: there is no benchmark \"$1\": tpch, web, events, ingest, disk, fresh, connect" >&2
    exit 2
    ;;
esac

# The list is part of the mark, so that a new package is installed into a venv that is already there.
ready=$venv/ready-$(cksum <<<"${packages[*]}" | cut -d ' ' -f 1)
if [[ ! -e $ready ]]; then
    echo "bench: installing ${packages[*]} into $venv" >&2
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check "${packages[@]}"
    touch "$ready"
fi

# The peers are in process: encryption would be measured on one side only.
export PGSSLMODE=disable
export SIGHTLINE_BINARY=${SIGHTLINE_BINARY:-$cache/target/release/sightline} SIGHTLINE_CACHE=$cache
PATH=$venv/bin:$PATH exec "$venv/bin/python" "$1.py"
