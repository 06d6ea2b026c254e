"""Fresh rows: one million one-row INSERTs by 64 clients, then `sum` over the table before any flush, beside the same rows
loaded by one COPY."""

import statistics
import subprocess
import time

from common import CACHE, SCALE, Server, best, copy_in, load, peak_rss_mib, pgbench

CLIENTS = 64
ROUNDS = 3
COLUMNS = "id bigint, sensor integer, value double precision, at timestamptz, note text"
INSERT = r"""\set id random(1, 1000000000)
\set sensor random(1, 1000)
\set value random(0, 1000000)
INSERT INTO fresh VALUES (:id, :sensor, :value / 16.0, '2026-01-01 00:00:00+00', 'a short note');
"""


def insert(server, rows):
    """Inserts the rows one by one; answers the seconds."""
    script = CACHE / "insert.sql"
    script.write_text(INSERT)
    command = [pgbench(), "-n", "-M", "prepared", "-c", str(CLIENTS), "-j", "2", "-t", str(rows // CLIENTS), "-f", script]
    command += ["-h", server.host, "-p", str(server.port), "-U", "sightline", "sightline"]
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def main():
    rows = int(1_000_000 * SCALE) // CLIENTS * CLIENTS
    print(f"fresh: {rows} rows, {CLIENTS} clients; {load()}", flush=True)
    # No flush in between: the inserted rows shall be hot when they are summed.
    with Server(FLUSH_BYTES="2GiB", HOT_BYTES_MAX="2GiB") as server, server.connect() as connection:
        cursor = connection.cursor()
        cursor.execute(f"CREATE TABLE fresh ({COLUMNS})")
        cursor.execute(f"CREATE TABLE copied ({COLUMNS})")
        took = insert(server, rows)
        print(f"inserted one by one: {rows / took:.0f} rows/s; {load()}", flush=True)
        with cursor.copy("COPY fresh TO STDOUT") as copy:
            text = [bytes(piece) for piece in copy]
        took = copy_in(connection, "COPY copied FROM STDIN", text)
        print(f"copied: {rows / took:.0f} rows/s", flush=True)
        ask = lambda table: cursor.execute(f"SELECT count(*), count(value), sum(value) FROM {table}").fetchone()
        assert ask("fresh") == ask("copied") and ask("fresh")[0] == rows, (ask("fresh"), ask("copied"))
        total = lambda table: cursor.execute(f"SELECT sum(value) FROM {table}").fetchone()
        ratios = []
        for number in range(ROUNDS):
            fresh, copied = best(lambda: total("fresh"), 5), best(lambda: total("copied"), 5)
            ratios.append(fresh / copied)
            print(f"round {number + 1}: sum over fresh {fresh * 1000:.2f} ms, over copied {copied * 1000:.2f} ms; {load()}")
        print(f"peak RSS: {peak_rss_mib(server.process.pid)} MiB")
        print(f"goal of step 1: at most 2.0 times; it is {statistics.median(ratios):.2f}")


if __name__ == "__main__":
    main()
