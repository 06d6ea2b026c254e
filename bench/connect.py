"""Connections: memory of each, connects a second, results as a stream, and how soon a cancel is heard; beside PostgreSQL 15.

Both listen on loopback, trust, and speak without TLS. The client is a reader of bytes (`wire.py`), so that neither waits
for it. Sides alternate; the best of some rounds counts."""

import math
import re
import statistics
import subprocess
import time
from pathlib import Path

from common import CACHE, SCALE, Server, load, pgbench
from postgres import Postgres
from wire import Connection, binary, cancel, simple

CONNECTIONS = max(50, int(500 * min(SCALE, 1)))
ROWS = int(2_000_000 * SCALE)
ROUNDS = 3
CLIENTS = 16
SECONDS = max(1, round(5 * min(SCALE, 1)))
CANCELS = 15

COLUMNS = {
    "i1": ("bigint", "i"), "i2": ("integer", "i % 100000"), "i3": ("bigint", "i * 1000003"), "i4": ("integer", "-i"),
    "f1": ("double precision", "i / 7.0::float8"), "f2": ("double precision", "sqrt(i::float8)"), "f3": ("double precision", "i * 1e10::float8"),
    "n1": ("numeric(12,2)", "(i % 1000000) / 100.0"), "n2": ("numeric(18,4)", "i * 1.2345"),
    "t1": ("timestamptz", "'2024-01-01 00:00:00+00'::timestamptz + i * interval '1.000123 second'"), "t2": ("date", "'2000-01-01'::date + (i % 10000)::int"),
    "s1": ("text", "'a name with number ' || i"), "s2": ("text", "md5(i::text)"), "b1": ("boolean", "i % 3 = 0"),
}
STREAMS = {
    "integers": ["i1", "i2", "i3", "i4"], "floats": ["f1", "f2", "f3"], "numerics": ["n1", "n2"], "times": ["t1", "t2"],
    "texts": ["s1", "s2"], "mixed": ["i1", "f1", "n1", "t1", "s1", "b1"],
}
FORMS = {
    "SELECT text": lambda q: simple(q),
    "SELECT binary": lambda q: binary(q),
    "COPY text": lambda q: simple(f"COPY ({q}) TO STDOUT"),
    "COPY csv": lambda q: simple(f"COPY ({q}) TO STDOUT (FORMAT csv)"),
    "COPY binary": lambda q: simple(f"COPY ({q}) TO STDOUT (FORMAT binary)"),
}
# What a session of a dashboard asks.
USES = [
    "SELECT 1",
    "SELECT count(*), sum(i2) FROM wide WHERE i1 BETWEEN 1000 AND 2000",
    "SELECT b1, max(f1), min(t1) FROM wide WHERE i1 < 5000 GROUP BY b1",
    "SELECT s1 FROM wide WHERE i1 = 77 ORDER BY s1 LIMIT 5",
]
LONG = {
    "join": "SELECT sum(a.i * b.i) FROM generate_series(1, 300000) AS a(i), generate_series(1, 300000) AS b(i)",
    "table": "SELECT count(*) FROM wide AS a JOIN wide AS b ON a.i2 % 10 = b.i2 % 10 WHERE a.f1 + b.f1 <> 3",
    "sort": "SELECT s2, row_number() OVER (ORDER BY s2 || s1 || a.i1) FROM wide AS a, generate_series(1, 50) AS g ORDER BY 1 LIMIT 1",
}


class Ours(Server):
    def pids(self):
        return [self.process.pid]


def fill(postgres, ours):
    """The same rows in both: PostgreSQL computes them, ours takes them by COPY."""
    columns = ", ".join(f"{name} {ty}" for name, (ty, _) in COLUMNS.items())
    values = ", ".join(expr for _, expr in COLUMNS.values())
    with postgres.connect() as there, ours.connect() as here:
        there.execute(f"CREATE TABLE wide ({columns})")
        here.execute(f"CREATE TABLE wide ({columns})")
        there.execute(f"INSERT INTO wide SELECT {values} FROM generate_series(1, {ROWS}::bigint) AS g(i)")
        there.execute("CREATE INDEX ON wide (i1)")
        there.execute("VACUUM ANALYZE wide")
        with there.cursor().copy("COPY wide TO STDOUT") as source, here.cursor().copy("COPY wide FROM STDIN") as target:
            for piece in source:
                target.write(piece)


def pss_kib(server):
    """The server's memory, what processes share counted once."""
    total = 0
    for pid in server.pids():
        try:
            total += int(re.search(r"^Pss:\s+(\d+)", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.M)[1])
        except (FileNotFoundError, ProcessLookupError):
            pass  # a worker that has ended since it was listed
    return total


def settled(server):
    """The memory once nothing is given back any more: an allocator takes its time."""
    last = pss_kib(server)
    while True:
        time.sleep(2)
        now = pss_kib(server)
        if last - now < 256:
            return now
        last = now


def memory(server):
    """KiB a connection: idle, and after some queries, with all that the server keeps of them."""
    warm = [Connection(server.host, server.port) for _ in range(20)]
    for connection in warm:
        connection.close()
    before = settled(server)
    connections = [Connection(server.host, server.port) for _ in range(CONNECTIONS)]
    idle = settled(server)
    for connection in connections:
        for sql in USES:
            connection.ask(sql)
    used = settled(server)
    for connection in connections:
        connection.close()
    time.sleep(1)
    return (idle - before) / CONNECTIONS, (used - before) / CONNECTIONS


def connects(server):
    """Connect, SELECT 1, close: how many a second."""
    script = CACHE / "select1.sql"
    script.write_text("SELECT 1;\n")
    command = [pgbench(), "-C", "-n", "-f", str(script), "-c", str(CLIENTS), "-j", "2", "-T", str(SECONDS), "-h", server.host]
    said = subprocess.run([*command, "-p", str(server.port), "-U", "sightline", "sightline"], check=True, capture_output=True, text=True).stdout
    return float(re.search(r"tps = ([\d.]+)", said)[1])


def stream(connection, request):
    """Seconds, rows and bytes of one result."""
    start = time.perf_counter()
    rows, size = connection.drain(request)
    return time.perf_counter() - start, rows, size


def cancelled(server, sql):
    """Milliseconds from the request to the error."""
    took = []
    connection = Connection(server.host, server.port)
    for _ in range(CANCELS):
        connection.socket.sendall(simple(sql))
        time.sleep(0.25)
        start = time.perf_counter()
        cancel(server.host, server.port, connection.key)
        answer = connection.until_ready()
        took.append((time.perf_counter() - start) * 1000)
        assert b"57014" in answer, answer[-200:]
    connection.close()
    return took


def verdict(what, ratio, goal, at_least):
    met = ratio >= goal if at_least else ratio <= goal
    print(f"goal {what}: {'at least' if at_least else 'at most'} {goal:g} times; it is {ratio:.2f}: {'met' if met else 'MISSED'}", flush=True)


def streams(postgres, ours):
    """All streams in all forms; the rates' ratios."""
    there, here = Connection(postgres.host, postgres.port), Connection(ours.host, ours.port)
    ratios = {}
    for form, request in FORMS.items():
        theirs_all = ours_all = 0
        for name, columns in STREAMS.items():
            asked = request(f"SELECT {', '.join(columns)} FROM wide")
            best = [math.inf, math.inf]
            try:
                for number in range(ROUNDS + 1):
                    (a, rows_a, size_a), (b, rows_b, size_b) = stream(there, asked), stream(here, asked)
                    assert rows_a == rows_b == ROWS, (form, name, rows_a, rows_b)
                    # Our RowDescription has other numbers in it, of the same length.
                    assert size_a == size_b, (form, name, size_a, size_b)
                    if number:
                        best = [min(best[0], a), min(best[1], b)]
            except RuntimeError as refused:
                print(f"{form:14} {name:9} refused: {refused}", flush=True)
                here.close()
                here = Connection(ours.host, ours.port)
                continue
            theirs_all, ours_all = theirs_all + best[0], ours_all + best[1]
            rate = lambda seconds: f"{ROWS / seconds / 1e6:5.2f} M rows/s {size_a / seconds / 1e6:5.0f} MB/s"
            print(f"{form:14} {name:9} sightline {rate(best[1])}   postgresql {rate(best[0])}   ratio {best[0] / best[1]:.2f}", flush=True)
        if ours_all:
            ratios[form] = theirs_all / ours_all
            print(f"{form:14} together  ratio {ratios[form]:.2f}; {load()}", flush=True)
    return ratios


def main():
    print(f"connect: {CONNECTIONS} connections, {ROWS} rows; loopback, trust and no TLS on both; {load()}", flush=True)
    with Postgres() as postgres, Ours() as ours:
        fill(postgres, ours)
        rounds = [(memory(postgres), memory(ours)) for _ in range(2)]
        # Their least and our most: memory once taken serves the second round, so that it seems to need none.
        (idle_pg, used_pg), (idle, used) = (tuple(map(choose, zip(*side))) for choose, side in zip((min, max), zip(*rounds)))
        print(f"memory a connection, idle: sightline {idle:.0f} KiB, postgresql {idle_pg:.0f} KiB, ratio {idle / idle_pg:.3f}")
        print(f"memory a connection, used: sightline {used:.0f} KiB, postgresql {used_pg:.0f} KiB, ratio {used / used_pg:.3f}; {load()}", flush=True)
        rates = [(connects(postgres), connects(ours)) for _ in range(ROUNDS)]
        theirs, mine = (max(side) for side in zip(*rates))
        print(f"connects: sightline {mine:.0f} /s, postgresql {theirs:.0f} /s, ratio {mine / theirs:.2f}; {load()}", flush=True)
        latencies = {}
        for name, sql in LONG.items():
            theirs_ms, ours_ms = statistics.median(cancelled(postgres, sql)), statistics.median(cancelled(ours, sql))
            latencies[name] = ours_ms / theirs_ms
            print(f"cancel of a {name}: sightline {ours_ms:.2f} ms, postgresql {theirs_ms:.2f} ms, ratio {ours_ms / theirs_ms:.2f}", flush=True)
        ratios = streams(postgres, ours)
    verdict("memory, idle", idle / idle_pg, 0.15, False)
    verdict("memory, used", used / used_pg, 0.15, False)
    verdict("connects a second", mine / theirs, 3.0, True)
    verdict("cancel latency, the worst", max(latencies.values()), 2.0, False)
    for form, ratio in ratios.items():
        verdict(f"rate of {form}", ratio, 1.0, True)


if __name__ == "__main__":
    main()
