"""Hits of web pages, 5 million rows of 105 columns, and 43 questions about them: Sightline over the wire beside DataFusion on
the same rows as plain Parquet and DuckDB's own table, both in process. All answers are compared with DuckDB's."""

import os

import answers
import engines
import web_data
from common import CACHE, HERE, MEMORY_GIB, SCALE, THREADS, load
from made import generated

ROWS = int(5_000_000 * SCALE)
FILE = CACHE / "web" / f"hits-{ROWS}.parquet"


def queries():
    sums = ", ".join(["sum(resolution_width)"] + [f"sum(resolution_width + {i})" for i in range(1, 90)])
    return answers.read(HERE / "web/queries.sql", web_data.facts(ROWS) | {"sums": sums})


def main():
    print(f"web: {ROWS} rows, {THREADS} threads, {MEMORY_GIB} GiB each, {os.cpu_count()} cores; {load()}", flush=True)
    generated(FILE, "web_data.py")
    database = CACHE / "web" / "hits.duckdb"
    peers = engines.peers({"hits": FILE}, database)
    try:
        ours = engines.Sightline()
        ours.execute(web_data.CREATE)
        ours.load_parquet("hits", FILE)
        ratios = engines.run([ours, *peers], queries())
        engines.verdict("of step 3: total to DataFusion on Parquet", ratios["datafusion"], 1.0)
    finally:
        database.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
