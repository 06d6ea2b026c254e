#!/usr/bin/env bash
# Stock psql through what people do with it. The server is that of PGHOST, PGPORT, PGUSER, PGDATABASE.
set -uo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failures=0

# expect NAME WANTED GOT
expect() {
    if [[ $2 != "$3" ]]; then
        printf 'FAILED %s\n  wanted: %s\n  got:    %s\n' "$1" "$2" "$3"
        failures=$((failures + 1))
    fi
}

# contains NAME PART TEXT
contains() {
    if [[ $3 != *"$2"* ]]; then
        printf 'FAILED %s\n  wanted a part: %s\n  got: %s\n' "$1" "$2" "$3"
        failures=$((failures + 1))
    fi
}

# Values without decoration; errors end the script psql runs.
values() { psql -XAtq -v ON_ERROR_STOP=1 "$@" 2>&1; }
shown() { psql -X -v ON_ERROR_STOP=1 "$@" 2>&1; }

# Connect.
expect 'select 1' 1 "$(values -c 'SELECT 1')"
values -c 'CREATE DATABASE psql_check' >"$work/log" || cat "$work/log"
export PGDATABASE=psql_check
expect 'current_database' psql_check "$(values -c 'SELECT current_database()')"
contains '\conninfo' 'psql_check' "$(shown -c '\conninfo')"
contains '\l lists the tenant' psql_check "$(shown -c '\l')"
expect '\c to another tenant and back' $'postgres\npsql_check' \
    "$(values <<<$'\\set QUIET 1\n\\c postgres\nSELECT \'postgres\';\n\\c psql_check\nSELECT current_database();')"

# Define and query.
values <<'SQL' >"$work/log" || cat "$work/log"
CREATE TABLE flights (id bigint NOT NULL, origin varchar(3), delay integer DEFAULT 0, at timestamp, price numeric(8,2));
INSERT INTO flights VALUES (1, 'OSL', 5, '2024-01-01 10:00', 99.50), (2, 'BGO', NULL, '2024-01-02 11:30', 12), (3, '上海', -3, NULL, NULL);
CREATE VIEW late AS SELECT id, origin FROM flights WHERE delay > 0;
CREATE SCHEMA other;
COMMENT ON TABLE flights IS 'a comment';
SQL
expect 'unaligned' $'1|OSL|5|2024-01-01 10:00:00|99.50\n2|BGO||2024-01-02 11:30:00|12.00\n3|上海|-3||' "$(values -c 'SELECT * FROM flights ORDER BY id')"
contains 'aligned' '(3 rows)' "$(shown -c 'SELECT * FROM flights')"
contains '\x' '-[ RECORD 1 ]' "$(shown -x -c 'SELECT * FROM flights ORDER BY id LIMIT 1')"
expect 'command tags' $'BEGIN\nINSERT 0 2\nROLLBACK' \
    "$(psql -X -c 'BEGIN' -c "INSERT INTO flights (id) VALUES (8), (9)" -c 'ROLLBACK' 2>&1)"
expect 'csv' $'id,origin\n1,OSL' "$(psql -X --csv -c 'SELECT * FROM late' 2>&1)"
expect '\gset and variables' '3 OSL' "$(values <<<$'SELECT count(*) AS n FROM flights \\gset\n\\set code OSL\nSELECT :n || \' \' || origin FROM flights WHERE origin = :\'code\';')"
contains '\timing' 'Time: ' "$(shown -c '\timing' -c 'SELECT 1')"
expect 'prepared' 7 "$(values -c 'PREPARE p (integer) AS SELECT $1 + 2' -c 'EXECUTE p (5)')"
contains '\gdesc' 'timestamp without time zone' "$(shown <<<'SELECT at, price FROM flights \gdesc')"

# Look around.
contains '\d' 'flights' "$(shown -c '\d')"
contains '\d shows views' 'late' "$(shown -c '\d')"
table=$(shown -c '\d flights')
contains '\d flights' 'Table "public.flights"' "$table"
contains '\d flights: types' 'character varying(3)' "$table"
contains '\d flights: not null' 'not null' "$table"
contains '\d+ flights' 'a comment' "$(shown -c '\dt+ flights')"
contains '\dt' 'flights' "$(shown -c '\dt')"
contains '\dt pattern' 'flights' "$(shown -c '\dt fl*')"
contains '\dn' 'other' "$(shown -c '\dn')"
contains '\dv' 'late' "$(shown -c '\dv')"
contains '\d late' 'View "public.late"' "$(shown -c '\d late')"
contains '\du' "$PGUSER" "$(shown -c '\du')"
contains '\d nosuch' 'Did not find any relation named "nosuch".' "$(shown -c '\d nosuch' || true)"

# COPY.
expect 'COPY out' $'1,OSL,5\n2,BGO,' "$(values -c "COPY (SELECT id, origin, delay FROM flights WHERE id < 3 ORDER BY id) TO STDOUT CSV")"
values -c '\copy flights TO '"$work/flights.tsv"
expect '\copy to a file' 3 "$(wc -l <"$work/flights.tsv")"
expect '\copy from a file' 'COPY 3' "$(psql -X -c '\copy flights FROM '"$work/flights.tsv" 2>&1)"
seq 1000 100999 | sed 's/$/,XYZ,1/' >"$work/many.csv"
expect 'COPY FROM STDIN' 'COPY 100000' "$(psql -X -c 'COPY flights (id, origin, delay) FROM STDIN CSV' <"$work/many.csv" 2>&1)"
expect 'rows after COPY' '100006|5099950000' "$(values -c "SELECT count(*), sum(id) FILTER (WHERE origin = 'XYZ') FROM flights")"
contains 'a broken line' 'invalid input syntax for type bigint: "x"' "$(printf '7\nx\n' | psql -X -c 'COPY flights (id) FROM STDIN' 2>&1 || true)"
expect 'after a broken line' 100006 "$(values -c 'SELECT count(*) FROM flights')"

# Errors.
contains 'error' 'ERROR:  relation "nosuch" does not exist' "$(shown -c 'SELECT * FROM nosuch' || true)"
contains 'error position' $'LINE 1: SELECT * FROM nosuch\n                      ^' "$(shown -c 'SELECT * FROM nosuch' || true)"
contains 'verbose' 'ERROR:  22012: division by zero' "$(shown -v VERBOSITY=verbose -c 'SELECT 1/0' || true)"
expect 'ON_ERROR_STOP' 3 "$(printf 'SELECT 1/0;\nSELECT 1;\n' | psql -X -v ON_ERROR_STOP=1 >"$work/log" 2>&1 || echo $?)"
expect 'single transaction' 100006 "$(printf 'INSERT INTO flights (id) VALUES (1);\nSELECT 1/0;\n' | psql -X -1 -v ON_ERROR_STOP=1 >"$work/log" 2>&1 || values -c 'SELECT count(*) FROM flights')"
contains 'unknown database' 'database "nosuch" does not exist' "$(psql -X -d nosuch -c 'SELECT 1' 2>&1 || true)"

# A large result and an interrupt.
expect 'a million rows' 1000000 "$(values -c 'SELECT i, i * 2 FROM generate_series(1, 1000000) AS g(i)' | wc -l)"
timeout --signal=INT 2 psql -X -c 'SELECT count(*) FROM generate_series(1, 300000) a(i), generate_series(1, 300000) b(i)' >"$work/log" 2>&1 || true
contains 'Ctrl-C' 'canceling statement due to user request' "$(cat "$work/log")"

PGDATABASE=postgres values -c 'DROP DATABASE psql_check' >"$work/log" || cat "$work/log"
((failures == 0))
