"""Rows coming in, beside a PostgreSQL 15 of its own that syncs each commit as we do: TPC-H's lineitem by psql's `\\copy` in csv,
and INSERTs of 100 rows by 16 clients and of one row by 64, by pgbench. The clients are the same programs on both sides.
Sides alternate; of three rounds the median ratio counts."""

import re
import statistics
import subprocess

import tpch
from common import CACHE, HERE, SCALE, THREADS, MEMORY_GIB, Server, load, peak_rss_mib, pgbench, seconds
from engines import verdict
from postgres import Postgres

ROUNDS = 3
SECONDS = max(2, round(8 * min(SCALE, 1)))
# PostgreSQL at its best that keeps its word: no checkpoint in the middle of a load.
SETTINGS = {"fsync": "on", "synchronous_commit": "on", "max_wal_size": "8GB", "wal_buffers": "64MB"}
ROW = "id bigint, sensor integer, value double precision, at timestamptz, note text"
RANDOM = r"""\set id random(1, 1000000000)
\set sensor random(1, 1000)
\set value random(0, 1000000) / 16.0
INSERT INTO small VALUES """
ONE = "(:id, :sensor, :value, '2026-01-01 00:00:00+00', 'a short note')"
# Values are plain, as drivers send them. A prepared statement of 100 such rows would have 300 parameters of pgbench's 255,
# so its rows have two each.
MANY = "(:id, :sensor, {0}.5, '2026-01-01 00:00:00+00', 'a short note')"
# Rows of a statement, clients, and how pgbench sends it.
INSERTS = [(100, 16, "simple"), (100, 16, "prepared"), (1, 64, "simple"), (1, 64, "prepared")]


def script(rows):
    path = CACHE / f"insert{rows}.sql"
    values = [ONE] if rows == 1 else [MANY.format(i) for i in range(rows)]
    path.write_text(RANDOM + ", ".join(values) + ";\n")
    return path


def address(server):
    return ["-h", server.host, "-p", str(server.port), "-U", "sightline"]


def copy(server, file):
    r"""Seconds of one \copy into an empty table, and of a count that sees all of it."""
    with server.connect() as connection:
        connection.execute("TRUNCATE lineitem")
        command = ["psql", "-X", "-q", *address(server), "-d", "sightline", "-c", f"\\copy lineitem FROM '{file}' (FORMAT csv, HEADER true)"]
        took = seconds(lambda: subprocess.run(command, check=True))
        count = connection.execute("SELECT count(*) FROM lineitem").fetchone()[0]
    return took, count


def insert(server, rows, clients, mode):
    """Rows a second; the table has as many rows as were acknowledged."""
    with server.connect() as connection:
        connection.execute("DROP TABLE IF EXISTS small")
        connection.execute(f"CREATE TABLE small ({ROW})")
        command = [pgbench(), "-n", "-M", mode, "-c", str(clients), "-j", "2", "-T", str(SECONDS), "-f", script(rows), *address(server), "sightline"]
        said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        done = int(re.search(r"actually processed: (\d+)", said)[1])
        count = connection.execute("SELECT count(*) FROM small").fetchone()[0]
        if count != done * rows:
            raise SystemExit(f"bench: {done} INSERTs of {rows} rows were acknowledged, {count} rows are there")
    return float(re.search(r"tps = ([\d.]+)", said)[1]) * rows


def both(sides, number, f):
    """The figures of both, ours first; sides alternate."""
    found = {}
    for side in sides if number % 2 == 0 else sides[::-1]:
        found[side] = f(side)
    return [found[side] for side in sides]


def copies(ours, postgres):
    """The rate of ours to PostgreSQL's."""
    file = tpch.generate("csv", "lineitem") / "lineitem.csv"
    size, ratios = file.stat().st_size, []
    for server in (ours, postgres):
        schema = (HERE / "tpch/schema.sql").read_text()
        with server.connect() as connection:
            connection.execute(schema[schema.index("CREATE TABLE lineitem"):])
        copy(server, file)
    for number in range(ROUNDS):
        (here, rows), (there, wanted) = both((ours, postgres), number, lambda server: copy(server, file))
        if rows != wanted:
            raise SystemExit(f"bench: {rows} rows were loaded, PostgreSQL has {wanted}")
        ratios.append(there / here)
        print(f"\\copy of {rows} rows, {size / 1e6:.0f} MB: sightline {rows / here / 1000:.0f} krows/s, {size / 1e6 / here:.0f} MB/s, "
              f"PostgreSQL {rows / there / 1000:.0f} krows/s, {size / 1e6 / there:.0f} MB/s; {load()}", flush=True)
    for server in (ours, postgres):
        with server.connect() as connection:
            connection.execute("DROP TABLE lineitem")
    return statistics.median(ratios)


def main():
    print(f"ingest: {THREADS} threads, {MEMORY_GIB} GiB, {SECONDS} s each; {load()}", flush=True)
    with Postgres(**SETTINGS) as postgres, Server() as ours:
        verdict(r"of step 3: \copy to PostgreSQL", copies(ours, postgres), 1.5, at_least=True)
        for rows, clients, mode in INSERTS:
            ratios = []
            for number in range(ROUNDS):
                here, there = both((ours, postgres), number, lambda server: insert(server, rows, clients, mode))
                ratios.append(here / there)
                print(f"INSERTs of {rows} rows, {mode}, {clients} clients: sightline {here / 1000:.1f} krows/s, PostgreSQL {there / 1000:.1f}; {load()}", flush=True)
            print(f"INSERTs of {rows} rows, {mode}: {statistics.median(ratios):.2f} times PostgreSQL", flush=True)
        print(f"peak RSS: sightline {peak_rss_mib(ours.process.pid)} MiB; {load()}")


if __name__ == "__main__":
    main()
