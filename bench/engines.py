"""Engines side by side: Sightline over the wire, DataFusion over Parquet and DuckDB with a table of its own, both in process.

Engines alternate query by query; one warm-up and the best of three count, in three rounds; of these the median."""

import io
import math
import multiprocessing
import os
import statistics
import sys

import answers
from common import MEMORY_GIB, THREADS, Server, best, copy_in, load, peak_rss_mib

ROUNDS = 3
# Added to each time before the geometric mean is taken: what nobody notices shall not weigh.
SHIFT_S = 0.010
CSV_ROWS = 16384
# With SIGHTLINE_BENCH_STATE=hot the newest rows are not flushed yet: what comes in small pieces stays in the hot tier, if
# that may grow.
HOT = os.environ.get("SIGHTLINE_BENCH_STATE") == "hot"
HOT_SHARE, HOT_ROWS = 0.1, 4096
HOT_SETTINGS = {"FLUSH_BYTES": "3GiB", "HOT_BYTES_MAX": "3GiB"} if HOT else {}


class Sightline:
    name = "sightline"

    def __init__(self, **settings):
        self.server = Server(**(HOT_SETTINGS | settings))
        self.connection = self.server.connect()
        self.pid = self.server.process.pid

    def execute(self, script):
        """Statements, each ended by a semicolon at the end of a line."""
        for statement in script.split(";\n"):
            if statement.strip():
                self.connection.execute(statement)

    def load(self, table, pieces, options="FORMAT csv"):
        """COPY of what the pieces hold; says how fast it was."""
        size = 0

        def counted():
            nonlocal size
            for piece in pieces:
                size += len(piece)
                yield piece

        took = copy_in(self.connection, f"COPY {table} FROM STDIN ({options})", counted())
        print(f"sightline: COPY {table}: {size / 1e6:.0f} MB in {took:.1f} s, {size / 1e6 / took:.0f} MB/s; {load()}", flush=True)

    def load_parquet(self, table, path):
        """The rows of a file, all of them flushed, or the last tenth hot."""
        import pyarrow.parquet

        rows = pyarrow.parquet.ParquetFile(path).metadata.num_rows
        cold = rows - int(rows * HOT_SHARE) if HOT else rows
        self.load(table, csv(path, 0, cold))
        for at in range(cold, rows, HOT_ROWS):
            copy_in(self.connection, f"COPY {table} FROM STDIN (FORMAT csv)", csv(path, at, min(at + HOT_ROWS, rows)))
        where = self.rows("SELECT tier, count(*), sum(rows), sum(bytes) FROM sys.parts GROUP BY tier ORDER BY tier")
        print("sightline: " + ", ".join(f"{tier}: {n} parts, {r} rows, {int(b) >> 20} MiB" for tier, n, r, b in where), flush=True)

    def rows(self, sql):
        with self.connection.cursor() as cursor:
            return cursor.execute(sql).fetchall()

    def best(self, sql):
        return best(lambda: self.rows(sql))

    def stop(self):
        self.connection.close()
        self.server.stop()


def csv(path, start, end):
    """Rows of a Parquet file as csv, in pieces: no file is written for them."""
    import pyarrow.csv
    import pyarrow.parquet

    options = pyarrow.csv.WriteOptions(include_header=False)
    file = pyarrow.parquet.ParquetFile(path)
    groups = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
    firsts = [sum(groups[:i]) for i in range(len(groups))]
    wanted = [i for i, first in enumerate(firsts) if first < end and first + groups[i] > start]
    at = firsts[wanted[0]] if wanted else 0
    for batch in file.iter_batches(CSV_ROWS, row_groups=wanted):
        rows = batch.slice(max(0, start - at), max(0, min(batch.num_rows, end - at) - max(0, start - at)))
        at += batch.num_rows
        if rows.num_rows:
            piece = io.BytesIO()
            pyarrow.csv.write_csv(rows, piece, options)
            yield piece.getbuffer()


def datafusion_rows(tables):
    """Answers queries by DataFusion over Parquet; `tables` are files by name."""
    import datafusion

    config = datafusion.SessionConfig().with_target_partitions(THREADS)
    runtime = datafusion.RuntimeEnvBuilder().with_fair_spill_pool(MEMORY_GIB << 30)
    context = datafusion.SessionContext(config, runtime)
    for name, path in tables.items():
        context.register_parquet(name, str(path))

    def rows(sql):
        batches = context.sql(sql).collect()
        return [tuple(column[i] for column in columns) for columns, n in map(lists, batches) for i in range(n)]

    return rows


def lists(batch):
    """The columns of a batch as lists: two of them may have one name."""
    return [column.to_pylist() for column in batch.columns], batch.num_rows


def duckdb_rows(tables, file=None):
    """Answers queries by DuckDB over tables of its own, in a database file if one is named."""
    import duckdb

    if file:
        file.unlink(missing_ok=True)
    connection = duckdb.connect(str(file or ":memory:"), config={"threads": THREADS, "memory_limit": f"{MEMORY_GIB}GB"})
    for name, path in tables.items():
        connection.execute(f"CREATE TABLE {name} AS SELECT * FROM '{path}'")
    if file:
        connection.execute("CHECKPOINT")
    return lambda sql, values=None: connection.execute(sql, values).fetchall()


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
            pipe.send(RuntimeError(str(error)))
            return
        while True:
            call, *arguments = pipe.recv()
            try:
                pipe.send(rows(*arguments) if call == "rows" else best(lambda: rows(*arguments)))
            except Exception as error:
                pipe.send(RuntimeError(str(error)))

    def call(self, *call):
        self.pipe.send(call)
        return self.answer()

    def answer(self):
        answer = self.pipe.recv()
        if isinstance(answer, Exception):
            raise answer
        return answer

    def rows(self, sql, values=None):
        return self.call("rows", sql, values) if values else self.call("rows", sql)

    def best(self, sql):
        return self.call("best", sql)

    def stop(self):
        self.process.terminate()
        self.process.join()


def peers(tables, file=None):
    """The two peers over the same files; they are started before pyarrow has threads here."""
    return [Peer("datafusion", lambda: datafusion_rows(tables)), Peer("duckdb", lambda: duckdb_rows(tables, file))]


def check(engines, queries):
    """Compares answers with those of the last engine, the oracle; stops if ours differ. Answers the queries that each
    engine has right."""
    *others, oracle = engines
    wrong = {e.name: [] for e in others}
    for number, query in queries.items():
        wanted = oracle.rows(query.text)
        for engine in others:
            try:
                right = answers.right(query, engine.rows(query.text), wanted, oracle)
            except Exception as error:
                print(f"q{number} {engine.name}: {error}", file=sys.stderr)
                right = False
            if not right:
                wrong[engine.name].append(number)
    for name, numbers in wrong.items():
        right = len(queries) - len(numbers)
        print(f"{name}: {right} of {len(queries)} answers equal DuckDB's" + (f", wrong: {numbers}" if numbers else ""), flush=True)
    if wrong["sightline"] and not os.environ.get("SIGHTLINE_BENCH_WRONG"):
        raise SystemExit("bench: wrong answers have no speed (SIGHTLINE_BENCH_WRONG=1 measures the others)")
    return {n: q for n, q in queries.items() if n not in wrong["sightline"]}


def measure(engines, queries):
    """By round, by engine, by query: seconds."""
    rounds = []
    for number in range(ROUNDS):
        times = {e.name: {} for e in engines}
        for query in queries.values():
            turn = (number + query.number) % len(engines)
            for engine in engines[turn:] + engines[:turn]:
                times[engine.name][query.number] = engine.best(query.text)
        totals = ", ".join(f"{name} {sum(t.values()):.3f} s" for name, t in times.items())
        print(f"round {number + 1}: {totals}; {load()}", flush=True)
        rounds.append(times)
    return rounds


def geomean(times):
    """Of seconds, shifted."""
    return math.exp(statistics.fmean(math.log(t + SHIFT_S) for t in times.values())) - SHIFT_S


def report(engines, rounds):
    """Prints all; answers the ratio of our total to each peer's, the median of the rounds."""
    names = [e.name for e in engines]
    line = lambda what, values, ratios: print(f"{what:>8}" + "".join(f"{values[n] * 1000:12.1f}" for n in names) + ratios)
    ratios = lambda ours, other: f"{ours / other['datafusion']:13.2f}{ours / other['duckdb']:9.2f}"
    print(f"\n{'ms':>8}" + "".join(f"{name:>12}" for name in names) + f"{'/datafusion':>13}{'/duckdb':>9}")
    for query in rounds[0][names[0]]:
        values = {n: statistics.median(r[n][query] for r in rounds) for n in names}
        line(f"q{query}", values, ratios(values["sightline"], values))
    verdicts = {}
    for what, one in [("total", lambda times: sum(times.values())), ("geomean", geomean)]:
        values = {n: statistics.median(one(r[n]) for r in rounds) for n in names}
        by_round = {n: statistics.median(one(r["sightline"]) / one(r[n]) for r in rounds) for n in names}
        line(what, values, f"{by_round['datafusion']:13.2f}{by_round['duckdb']:9.2f}")
        verdicts[what] = by_round
    print(f"{load()}; peak RSS: " + ", ".join(f"{e.name} {peak_rss_mib(e.pid)} MiB" for e in engines))
    return verdicts["total"]


def chosen(queries):
    """Those named by SIGHTLINE_BENCH_QUERIES=18,28, or all."""
    wanted = [int(n) for n in os.environ.get("SIGHTLINE_BENCH_QUERIES", "").split(",") if n]
    return {n: queries[n] for n in wanted} or queries


def explain(engine, queries):
    """What our plans do, to see where the time goes."""
    for number, query in queries.items():
        print(f"\nq{number}: {query.text}")
        for (line,) in engine.rows("EXPLAIN ANALYZE " + query.text):
            print("  " + line)


def run(engines, queries):
    """Checks, measures and reports; stops the engines in any case."""
    queries = chosen(queries)
    try:
        if os.environ.get("SIGHTLINE_BENCH_EXPLAIN"):
            explain(engines[0], queries)
        return report(engines, measure(engines, check(engines, queries)))
    finally:
        for engine in engines:
            engine.stop()


def verdict(what, ratio, goal, at_least=False):
    met = ratio >= goal if at_least else ratio <= goal
    print(f"limit {what}: {'at least' if at_least else 'at most'} {goal:g} times; it is {ratio:.2f}: {'met' if met else 'MISSED'}", flush=True)
