"""Bytes on disk of the same rows, hits of web pages, events of a shop and TPC-H's lineitem: Sightline's whole data directory
after its rows were flushed, DuckDB's database file after a checkpoint, and Parquet with snappy. One set after the other, so
that no more than one of them is there three times."""

import events
import events_data
import tpch
import web
import web_data
from common import CACHE, HERE, SCALE, bytes_on_disk, load, pieces
from engines import Peer, Sightline, csv, datafusion_rows, duckdb_rows, verdict
from made import generated

MIB = 1 << 20


def lineitem():
    """Its Parquet file and what creates the table; the generator would compress otherwise, so DataFusion writes it anew."""
    source = tpch.generate("parquet", "lineitem") / "lineitem.parquet"
    target = CACHE / "disk" / f"lineitem-{SCALE:g}.parquet"
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        writer = Peer("datafusion", lambda: datafusion_rows({"lineitem": source}))
        writer.rows(f"COPY lineitem TO '{target}' STORED AS PARQUET OPTIONS ('format.compression' 'snappy')")
        writer.stop()
    schema = (HERE / "tpch/schema.sql").read_text()
    return target, schema[schema.index("CREATE TABLE lineitem"):]


def ours(table, create, pieces, options):
    """Bytes of the whole directory once the server has ended, and parts and their bytes."""
    engine = Sightline(FLUSH_BYTES="4KiB")
    try:
        engine.execute(create)
        engine.load(table, pieces, options)
        engine.server.flushed()
        parts = engine.rows("SELECT count(*), sum(bytes) FROM sys.parts")[0]
        engine.server.halt()  # what it keeps ready for writing is given back
        return bytes_on_disk(engine.server.data), *parts
    finally:
        engine.stop()


def duckdb(table, parquet):
    file = CACHE / "disk.duckdb"
    try:
        Peer("duckdb", lambda: duckdb_rows({table: parquet}, file)).stop()
        return bytes_on_disk(file)
    finally:
        file.unlink(missing_ok=True)
        file.with_suffix(".duckdb.wal").unlink(missing_ok=True)


def measure(table, parquet, create, pieces, options="FORMAT csv"):
    whole, parts, in_parts = ours(table, create, pieces, options)
    sizes = [whole, duckdb(table, parquet), bytes_on_disk(parquet)]
    print_line(table, sizes, f"; {parts} parts of {int(in_parts) / MIB:.1f} MiB")
    return sizes


def print_line(what, sizes, more=""):
    ours, duck, parquet = sizes
    print(f"{what}: sightline {ours / MIB:.1f} MiB, duckdb {duck / MIB:.1f}, parquet {parquet / MIB:.1f}; "
          f"to duckdb {ours / duck:.2f}, to parquet {ours / parquet:.2f}{more}", flush=True)


def main():
    print(f"disk: scale {SCALE:g}; {load()}", flush=True)
    sums = []
    for table, file, rows, module, create in [("hits", web.FILE, web.ROWS, "web_data.py", web_data.CREATE),
                                              ("events", events.FILE, events.ROWS, "events_data.py", events_data.CREATE)]:
        sums.append(measure(table, generated(file, module), create, csv(file, 0, rows)))
    file, create = lineitem()
    texts = tpch.generate("csv", "lineitem") / "lineitem.csv"
    sums.append(measure("lineitem", file, create, pieces(texts), "FORMAT csv, HEADER true"))
    total = [sum(column) for column in zip(*sums)]
    print_line("total", total, f"; {load()}")
    verdict("of step 3: total to DuckDB", total[0] / total[1], 0.9)


if __name__ == "__main__":
    main()
