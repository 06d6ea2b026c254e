"""E-commerce events, 50 million rows, and 12 questions about them: Sightline over the wire beside DataFusion on the same rows
as plain Parquet and DuckDB's own table, both in process. All answers are compared with DuckDB's."""

import os

import answers
import engines
import events_data
from common import CACHE, HERE, MEMORY_GIB, SCALE, THREADS, load
from made import generated

ROWS = int(50_000_000 * SCALE)
FILE = CACHE / "events" / f"events-{ROWS}.parquet"


def main():
    print(f"events: {ROWS} rows, {THREADS} threads, {MEMORY_GIB} GiB each, {os.cpu_count()} cores; {load()}", flush=True)
    generated(FILE, "events_data.py")
    database = CACHE / "events" / "events.duckdb"
    peers = engines.peers({"events": FILE}, database)
    try:
        ours = engines.Sightline()
        ours.execute(events_data.CREATE)
        ours.load_parquet("events", FILE)
        engines.run([ours, *peers], answers.read(HERE / "events/queries.sql", {"last": events_data.LAST}))
    finally:
        database.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
