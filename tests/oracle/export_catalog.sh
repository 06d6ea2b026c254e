#!/bin/bash
# Writes sql/src/catalog/pg_catalog/*.tsv from a fresh PostgreSQL 15: what its catalogs look like (columns, types, OIDs)
# and the rows that describe built-in types and functions; and sql/src/analysis/*.tsv, what the analysis of statements
# knows of functions, operators and casts. Needs Debian's postgresql-15; run as root or as postgres.
# Run it only to follow a new minor release: the files are checked in and nothing reads PostgreSQL at build time.
set -euo pipefail
here=$(cd "$(dirname "$0")/../.." && pwd)
out=$here/sql/src/catalog/pg_catalog
bin=/usr/lib/postgresql/15/bin
dir=$(mktemp -d)
as() { if [ "$(id -u)" = 0 ]; then su postgres -s /bin/bash -c "$*"; else bash -c "$*"; fi; }
[ "$(id -u)" = 0 ] && chown postgres "$dir"
trap 'as "$bin/pg_ctl -D $dir/data -m immediate stop" >/dev/null 2>&1 || true; rm -rf "$dir"' EXIT
as "$bin/initdb -D $dir/data -E UTF8 --locale=C.UTF-8 -A trust -U postgres" >/dev/null
as "$bin/pg_ctl -D $dir/data -o '-h \"\" -k $dir -p 5999' -l $dir/log -w start" >/dev/null
query() { psql -X -q -A -t -F $'\t' -h "$dir" -p 5999 -U postgres -v ON_ERROR_STOP=1 -c "$1"; }

# oid, schema, name, kind, columns as name:type with "!" where NOT NULL. Domains stand as their base types.
query "
SELECT c.oid, n.nspname, c.relname, c.relkind,
  (SELECT string_agg(a.attname || ':' || coalesce(b.typname, t.typname) || CASE WHEN a.attnotnull THEN '!' ELSE '' END, ' ' ORDER BY a.attnum)
   FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid LEFT JOIN pg_type b ON b.oid = t.typbasetype
   WHERE a.attrelid = c.oid AND a.attnum > 0)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname IN ('pg_catalog', 'information_schema') AND c.relkind IN ('r', 'v')
ORDER BY n.nspname DESC, c.relname COLLATE \"C\"" > "$out/relations.tsv"

# The built-in scalar, array, range and pseudo types, without the row types of relations.
query "
SELECT oid, typname, typlen, typbyval, typtype, typcategory, typispreferred, typdelim, typsubscript::oid, typelem, typarray,
  typinput::oid, typoutput::oid, typreceive::oid, typsend::oid, typmodin::oid, typmodout::oid, typanalyze::oid, typalign, typstorage, typcollation
FROM pg_type WHERE oid < 10000 AND typrelid = 0 AND typtype IN ('b', 'p', 'r', 'm')
  AND NOT EXISTS (SELECT FROM pg_type e WHERE e.oid = pg_type.typelem AND e.typrelid <> 0 AND e.typarray = pg_type.oid)
ORDER BY oid" > "$out/types.tsv"

# Built-in functions over types that we have, and the input and output functions of all types.
query "
WITH own(oid) AS (SELECT unnest('{16,17,18,19,20,21,23,24,25,26,114,700,701,1042,1043,1082,1083,1114,1184,1186,1700,2205,2206,2249,2275,2276,2277,2278,2281,2283,2776,2950,3802,4089,4096,5077,5078,5079,5080}'::oid[])),
 ok(oid) AS (SELECT oid FROM own UNION SELECT typarray FROM pg_type JOIN own USING (oid) WHERE typarray <> 0)
SELECT oid, proname, prokind, provolatile, proparallel, proisstrict, proretset, prorettype, pronargs, pronargdefaults, provariadic,
  coalesce(nullif(proargtypes::text, ''), '-'), coalesce(array_to_string(proargnames, ' '), '-'), prosrc
FROM pg_proc
WHERE pronamespace = 11 AND (
  (prorettype IN (SELECT oid FROM ok) AND prorettype <> 2281 AND NOT 2281 = ANY (proargtypes)
    AND NOT EXISTS (SELECT FROM unnest(proargtypes) t WHERE t NOT IN (SELECT oid FROM ok))
    AND proargmodes IS NULL AND prolang <> 14)
  OR oid IN (SELECT unnest(ARRAY[typinput::oid, typoutput::oid, typreceive::oid, typsend::oid]) FROM pg_type))
ORDER BY oid" > "$out/functions.tsv"

analysis=$here/sql/src/analysis

# A line a name: kind, whether it returns a set, result (0: several columns), defaults, type of further arguments, arguments.
query "
SELECT proname || E'\t' || string_agg(concat(prokind, CASE WHEN proretset THEN 's' ELSE '-' END,
    CASE WHEN proargmodes::text ~ '[ot]' THEN 0 ELSE prorettype END, ',', pronargdefaults, ',', provariadic, ',',
    coalesce(nullif(proargtypes::text, ''), '-')), E'\t' ORDER BY pronargs, proargtypes::text)
FROM pg_proc
WHERE pronamespace = 11 AND prokind <> 'p' AND prorettype NOT IN (2279, 3838, 325, 269, 3115, 3310)
  AND NOT proargtypes::oid[] && '{2281,2275,325,269,3310}'::oid[]
GROUP BY proname ORDER BY proname COLLATE \"C\"" > "$analysis/functions.tsv"

# A line a name: left (0: in front of its operand), right, result.
query "
SELECT oprname || E'\t' || string_agg(concat(oprleft, ',', oprright, ',', oprresult), E'\t' ORDER BY oprleft, oprright)
FROM pg_operator WHERE oprkind IN ('b', 'l') GROUP BY oprname ORDER BY oprname COLLATE \"C\"" > "$analysis/operators.tsv"

# A line a source: target, context (i, a, e), method (f, b, i).
query "
SELECT concat(castsource, E'\t', string_agg(concat(casttarget, castcontext, castmethod), E'\t' ORDER BY casttarget))
FROM pg_cast GROUP BY castsource ORDER BY castsource" > "$analysis/casts.tsv"

wc "$out"/*.tsv "$analysis"/*.tsv
