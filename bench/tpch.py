"""TPC-H: Sightline over the wire beside DataFusion on the same rows as plain Parquet and DuckDB's own table, both in
process. Engines alternate query by query; one warm-up and the best of three count, in three rounds; the median round
counts. All answers are compared with DuckDB's."""

import math
import multiprocessing
import os
import statistics
import subprocess
import sys
from decimal import Decimal

from common import CACHE, HERE, MEMORY_GIB, SCALE, THREADS, Server, best, copy_in, load, peak_rss_mib, pieces

TABLES = ["region", "nation", "supplier", "customer", "part", "partsupp", "orders", "lineitem"]
ROUNDS = 3


def queries():
    """Number and text of the 22 queries."""
    texts = {n: (HERE / f"tpch/q{n:02}.sql").read_text() for n in range(1, 23)}
    return {n: text.replace("{fraction}", f"{0.0001 / SCALE:.10f}") for n, text in texts.items()}


def generate(form):
    """The files of one format, made once."""
    folder = CACHE / f"tpch-{SCALE:g}" / form
    if not (folder / "ready").exists():
        folder.mkdir(parents=True, exist_ok=True)
        command = ["tpchgen-cli", form, "-s", f"{SCALE:g}", f"--output-dir={folder}"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        (folder / "ready").touch()
    return folder


class Sightline:
    name = "sightline"

    def __init__(self):
        self.server = Server()
        self.connection = self.server.connect()
        self.pid = self.server.process.pid
        self.load(generate("csv"))

    def load(self, folder):
        with self.connection.cursor() as cursor:
            for statement in (HERE / "tpch/schema.sql").read_text().split(";\n"):
                if statement.strip():
                    cursor.execute(statement)
        took = 0
        for table in TABLES:
            took += copy_in(self.connection, f"COPY {table} FROM STDIN (FORMAT csv, HEADER true)", pieces(folder / f"{table}.csv"))
        size = sum((folder / f"{t}.csv").stat().st_size for t in TABLES)
        print(f"sightline: COPY of {size / 1e6:.0f} MB in {took:.1f} s, {size / 1e6 / took:.0f} MB/s; {load()}", flush=True)

    def rows(self, sql):
        with self.connection.cursor() as cursor:
            return cursor.execute(sql).fetchall()

    def best(self, sql):
        return best(lambda: self.rows(sql))

    def stop(self):
        self.connection.close()
        self.server.stop()


def datafusion_rows():
    """Answers queries by DataFusion over Parquet."""
    import datafusion

    config = datafusion.SessionConfig().with_target_partitions(THREADS)
    runtime = datafusion.RuntimeEnvBuilder().with_fair_spill_pool(MEMORY_GIB << 30)
    context = datafusion.SessionContext(config, runtime)
    folder = generate("parquet")
    for table in TABLES:
        context.register_parquet(table, str(folder / f"{table}.parquet"))

    def rows(sql):
        batches = context.sql(sql).collect()
        return [tuple(row.values()) for batch in batches for row in batch.to_pylist()]

    return rows


def duckdb_rows():
    """Answers queries by DuckDB over a table of its own."""
    import duckdb

    connection = duckdb.connect(config={"threads": THREADS, "memory_limit": f"{MEMORY_GIB}GB"})
    folder = generate("parquet")
    for table in TABLES:
        connection.execute(f"CREATE TABLE {table} AS SELECT * FROM '{folder / table}.parquet'")
    return lambda sql: connection.execute(sql).fetchall()


class Peer:
    """An engine in a process of its own, so that its memory can be told from ours."""

    def __init__(self, name, make):
        self.name = name
        self.pipe, theirs = multiprocessing.Pipe()
        self.process = multiprocessing.Process(target=Peer.serve, args=(theirs, make), daemon=True)
        self.process.start()
        self.pid = self.process.pid
        self.answer()

    @staticmethod
    def serve(pipe, make):
        try:
            rows = make()
            pipe.send(None)
        except Exception as error:
            pipe.send(error)
            return
        while True:
            call, sql = pipe.recv()
            try:
                pipe.send(rows(sql) if call == "rows" else best(lambda: rows(sql)))
            except Exception as error:
                pipe.send(error)

    def call(self, call, sql):
        self.pipe.send((call, sql))
        return self.answer()

    def answer(self):
        answer = self.pipe.recv()
        if isinstance(answer, Exception):
            raise answer
        return answer

    def rows(self, sql):
        return self.call("rows", sql)

    def best(self, sql):
        return self.call("best", sql)

    def stop(self):
        self.process.terminate()


def is_number(value):
    return isinstance(value, (int, float, Decimal)) and not isinstance(value, bool)


def equal(ours, theirs):
    """Whether two answers are equal; averages and quotients have other scales in each engine."""
    if len(ours) != len(theirs):
        return False
    key = lambda row: [round(float(v), 1) if is_number(v) else str(v) for v in row]
    order = lambda row: ([str(v) for v in key(row) if isinstance(v, str)], [v for v in key(row) if not isinstance(v, str)])
    for a, b in zip(sorted(ours, key=order), sorted(theirs, key=order)):
        for x, y in zip(a, b):
            if is_number(x) and is_number(y):
                if not math.isclose(float(x), float(y), rel_tol=1e-4, abs_tol=1e-6):
                    return False
            elif str(x) != str(y):
                return False
    return True


def check(engines, texts):
    """Compares answers with the last engine's; answers the queries that differ, by engine."""
    *others, oracle = engines
    wrong = {e.name: [] for e in others}
    for number, sql in texts.items():
        wanted = oracle.rows(sql)
        for engine in others:
            try:
                right = equal(engine.rows(sql), wanted)
            except Exception as error:
                print(f"q{number} {engine.name}: {error}", file=sys.stderr)
                right = False
            if not right:
                wrong[engine.name].append(number)
    return wrong


def measure(engines, texts):
    """By round, by engine, by query: seconds."""
    rounds = []
    for number in range(ROUNDS):
        times = {e.name: {} for e in engines}
        for query, sql in texts.items():
            turn = (number + query) % len(engines)
            for engine in engines[turn:] + engines[:turn]:
                times[engine.name][query] = engine.best(sql)
        totals = ", ".join(f"{name} {sum(t.values()):.3f} s" for name, t in times.items())
        print(f"round {number + 1}: {totals}; {load()}", flush=True)
        rounds.append(times)
    return rounds


def report(engines, rounds):
    names = [e.name for e in engines]
    print(f"\n{'ms':>6}" + "".join(f"{name:>12}" for name in names) + f"{'/datafusion':>13}{'/duckdb':>9}")
    for query in rounds[0][names[0]]:
        values = {n: statistics.median(r[n][query] for r in rounds) * 1000 for n in names}
        ratios = f"{values['sightline'] / values['datafusion']:13.2f}{values['sightline'] / values['duckdb']:9.2f}"
        print(f"{'q' + str(query):>6}" + "".join(f"{values[n]:12.1f}" for n in names) + ratios)
    by_round = lambda peer: statistics.median(sum(r["sightline"].values()) / sum(r[peer].values()) for r in rounds)
    totals = {n: statistics.median(sum(r[n].values()) for r in rounds) for n in names}
    print(f"{'total':>6}" + "".join(f"{totals[n] * 1000:12.1f}" for n in names)
          + f"{by_round('datafusion'):13.2f}{by_round('duckdb'):9.2f}")
    print("peak RSS: " + ", ".join(f"{e.name} {peak_rss_mib(e.pid)} MiB" for e in engines))
    print(f"goal of step 1: total at most 1.2 times DataFusion on Parquet; it is {by_round('datafusion'):.2f}")


def main():
    texts = queries()
    print(f"TPC-H scale {SCALE:g}, {THREADS} threads, {MEMORY_GIB} GiB each, {os.cpu_count()} cores; {load()}", flush=True)
    engines = [Sightline(), Peer("datafusion", datafusion_rows), Peer("duckdb", duckdb_rows)]
    try:
        wrong = check(engines, texts)
        for name, numbers in wrong.items():
            right = len(texts) - len(numbers)
            print(f"{name}: {right} of {len(texts)} answers equal DuckDB's" + (f", wrong: {numbers}" if numbers else ""))
        if wrong["sightline"]:
            raise SystemExit("bench: wrong answers have no speed")
        report(engines, measure(engines, texts))
    finally:
        for engine in engines:
            engine.stop()


if __name__ == "__main__":
    main()
