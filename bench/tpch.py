"""TPC-H: Sightline over the wire beside DataFusion on the same rows as plain Parquet and DuckDB's own table, both in
process. All answers are compared with DuckDB's."""

import os
import subprocess

import engines
from answers import Query
from common import CACHE, HERE, MEMORY_GIB, SCALE, THREADS, load, pieces

TABLES = ["region", "nation", "supplier", "customer", "part", "partsupp", "orders", "lineitem"]


def queries():
    """The 22 queries by number."""
    text = lambda n: (HERE / f"tpch/q{n:02}.sql").read_text().replace("{fraction}", f"{0.0001 / SCALE:.10f}")
    return {n: Query(n, text(n)) for n in range(1, 23)}


def generate(form, *tables):
    """The files of one format, made once; of all tables unless some are named."""
    folder = CACHE / f"tpch-{SCALE:g}" / form
    marks = [folder / f"{t}.ready" for t in tables] or [folder / "ready"]
    if not (folder / "ready").exists() and not all(mark.exists() for mark in marks):
        folder.mkdir(parents=True, exist_ok=True)
        command = ["tpchgen-cli", form, "-s", f"{SCALE:g}", f"--output-dir={folder}"]
        command += [f"--tables={','.join(tables)}"] if tables else []
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        for mark in marks:
            mark.touch()
    return folder


def main():
    print(f"TPC-H scale {SCALE:g}, {THREADS} threads, {MEMORY_GIB} GiB each, {os.cpu_count()} cores; {load()}", flush=True)
    files, texts = generate("parquet"), generate("csv")
    peers = engines.peers({table: files / f"{table}.parquet" for table in TABLES})
    ours = engines.Sightline()
    ours.execute((HERE / "tpch/schema.sql").read_text())
    for table in TABLES:
        ours.load(table, pieces(texts / f"{table}.csv"), "FORMAT csv, HEADER true")
    ratios = engines.run([ours, *peers], queries())
    engines.verdict("of step 3: total to DataFusion on Parquet", ratios["datafusion"], 1.05)


if __name__ == "__main__":
    main()
