"""psycopg 3 through connect, query, parameters, COPY, errors, pipelines, big results, 1,000 idle connections.

The server is that of PGHOST, PGPORT, PGUSER, PGDATABASE.
"""

import datetime
import decimal
import threading
import time
import uuid

import psycopg
from psycopg import errors, sql


def values(conn: psycopg.Connection) -> None:
    conn.execute(
        "CREATE TABLE v (id integer, b boolean, n numeric(10,2), f float8, t text, d date, ts timestamp, "
        "tz timestamptz, u uuid, y bytea, j jsonb, a integer[], s text[])"
    )
    utc = datetime.timezone.utc
    row = (
        1, True, decimal.Decimal("12.50"), 1.25, "naïve 中文 'quoted'", datetime.date(2024, 2, 29),
        datetime.datetime(2024, 1, 2, 3, 4, 5, 678901), datetime.datetime(2024, 1, 2, 3, 4, 5, tzinfo=utc),
        uuid.UUID(int=7), b"\x00\xff", psycopg.types.json.Jsonb({"k": [1, None]}), [1, 2], ["a", "b c"],
    )
    marks = ", ".join(["%s"] * len(row))
    conn.execute(f"INSERT INTO v VALUES ({marks})", row)
    conn.execute(f"INSERT INTO v VALUES ({marks})", (2,) + (None,) * (len(row) - 1))
    for binary in (False, True):
        found = conn.cursor(binary=binary).execute("SELECT * FROM v WHERE id = %s", (1,)).fetchone()
        assert found is not None
        wanted = row[:10] + ({"k": [1, None]},) + row[11:]
        assert found == wanted, (binary, found, wanted)
        nulls = conn.cursor(binary=binary).execute("SELECT * FROM v WHERE id = 2").fetchone()
        assert nulls == (2,) + (None,) * (len(row) - 1), nulls


def queries(conn: psycopg.Connection) -> None:
    cur = conn.execute("SELECT i AS number, 'x' || i AS label FROM generate_series(1, 3) AS g(i) ORDER BY i")
    assert [c.name for c in cur.description or []] == ["number", "label"]
    assert cur.fetchall() == [(1, "x1"), (2, "x2"), (3, "x3")]
    # After five runs psycopg prepares the statement under a name of its own.
    for n in range(12):
        assert conn.execute("SELECT %s::int + 1", (n,)).fetchone() == (n + 1,)
    found = conn.execute("SELECT i FROM generate_series(1, 5) AS g(i) WHERE i = ANY(%s) ORDER BY i", ([2, 4, 9],))
    assert found.fetchall() == [(2,), (4,)]
    name = sql.Identifier("odd name")
    conn.execute(sql.SQL("CREATE TABLE {} (a integer)").format(name))
    cur = conn.cursor()
    cur.executemany(sql.SQL("INSERT INTO {} VALUES (%s)").format(name), [(n,) for n in range(100)])
    assert cur.rowcount == 100, cur.rowcount
    assert conn.execute(sql.SQL("SELECT sum(a) FROM {}").format(name)).fetchone() == (4950,)


def transactions(conn: psycopg.Connection) -> None:
    conn.execute("CREATE TABLE tx (a integer)")
    with conn.transaction():
        conn.execute("INSERT INTO tx VALUES (1)")
    try:
        with conn.transaction():
            conn.execute("INSERT INTO tx VALUES (2)")
            raise KeyError("roll back")
    except KeyError:
        pass
    assert conn.execute("SELECT array_agg(a) FROM tx").fetchone() == ([1],)
    assert conn.info.transaction_status == psycopg.pq.TransactionStatus.IDLE


def copies(conn: psycopg.Connection) -> None:
    conn.execute("CREATE TABLE c (id integer, name text, at timestamp)")
    at = datetime.datetime(2024, 1, 1, 12)
    with conn.cursor() as cur:
        with cur.copy("COPY c FROM STDIN") as copy:
            for n in range(10_000):
                copy.write_row((n, f"name\t{n}\n中", at if n % 2 else None))
        assert cur.rowcount == 10_000, cur.rowcount
        with cur.copy("COPY (SELECT * FROM c WHERE id < 3 ORDER BY id) TO STDOUT") as copy:
            copy.set_types(["int4", "text", "timestamp"])
            assert list(copy.rows()) == [(0, "name\t0\n中", None), (1, "name\t1\n中", at), (2, "name\t2\n中", None)]
        with cur.copy("COPY c (id, name) FROM STDIN (FORMAT csv)") as copy:
            copy.write('20000,"a, b"\n20001,\n')
        assert cur.execute("SELECT name FROM c WHERE id = 20000").fetchone() == ("a, b",)
        try:
            with cur.copy("COPY c FROM STDIN") as copy:
                copy.write_row(("not a number", "x", None))
        except errors.InvalidTextRepresentation as e:
            assert "line 1" in (e.diag.context or ""), e.diag.context
        else:
            raise AssertionError("a broken line was taken")
        try:
            with cur.copy("COPY c FROM STDIN") as copy:
                copy.write_row((1, "x", None))
                raise ZeroDivisionError
        except ZeroDivisionError:
            pass
        assert cur.execute("SELECT count(*) FROM c").fetchone() == (10_002,)


def failures(conn: psycopg.Connection) -> None:
    for statement, wanted in [
        ("SELECT * FROM nosuch", errors.UndefinedTable),
        ("SELECT nosuch FROM v", errors.UndefinedColumn),
        ("SELEC 1", errors.SyntaxError),
        ("SELECT 1 / 0", errors.DivisionByZero),
        ("SELECT 'x'::integer", errors.InvalidTextRepresentation),
        ("SELECT nosuch(1)", errors.UndefinedFunction),
        ("SELECT 2147483647 + 1", errors.NumericValueOutOfRange),
        ("CREATE TABLE v (a integer)", errors.DuplicateTable),
    ]:
        try:
            conn.execute(statement)
        except wanted as e:
            assert e.diag.severity == "ERROR" and e.diag.message_primary, statement
        else:
            raise AssertionError(f"{statement} succeeds")
    try:
        psycopg.connect(dbname="nosuch")
    except psycopg.OperationalError as e:
        assert 'database "nosuch" does not exist' in str(e), e
    else:
        raise AssertionError("an unknown database was taken")


def pipelines(conn: psycopg.Connection) -> None:
    conn.execute("CREATE TABLE p (a integer)")
    with conn.pipeline():
        cursors = [conn.execute("INSERT INTO p VALUES (%s)", (n,)) for n in range(50)]
        answer = conn.execute("SELECT sum(a) FROM p")
        assert answer.fetchone() == (1225,)
    assert all(c.rowcount == 1 for c in cursors)


def cancelling(conn: psycopg.Connection) -> None:
    threading.Timer(0.5, conn.cancel).start()
    started = time.monotonic()
    try:
        conn.execute("SELECT sum(a.i * b.i) FROM generate_series(1, 300000) AS a(i), generate_series(1, 300000) AS b(i)")
    except errors.QueryCanceled:
        assert time.monotonic() - started < 10
    else:
        raise AssertionError("not cancelled")
    conn.execute("SET statement_timeout = '200ms'")
    try:
        conn.execute("SELECT sum(a.i * b.i) FROM generate_series(1, 300000) AS a(i), generate_series(1, 300000) AS b(i)")
    except errors.QueryCanceled as e:
        assert "statement timeout" in str(e), e
    else:
        raise AssertionError("no timeout")
    conn.execute("SET statement_timeout = 0")


def large_results(conn: psycopg.Connection) -> None:
    total = 0
    for (n,) in conn.cursor().stream("SELECT i FROM generate_series(1, 300000) AS g(i)"):
        total += n
    assert total == 300_000 * 300_001 // 2, total
    rows = conn.execute("SELECT i, repeat('x', 100) FROM generate_series(1, 200000) AS g(i)").fetchall()
    assert len(rows) == 200_000


def idle_connections() -> None:
    idle = [psycopg.connect(autocommit=True) for _ in range(1000)]
    assert all(c.execute("SELECT 1").fetchone() == (1,) for c in idle[::50])
    for c in idle:
        c.close()


def main() -> None:
    with psycopg.connect(autocommit=True) as admin:
        assert admin.info.server_version // 10000 == 15, admin.info.server_version
        admin.execute("CREATE DATABASE psycopg_check")
    with psycopg.connect(dbname="psycopg_check", autocommit=True) as conn:
        for part in (values, queries, transactions, copies, failures, pipelines, cancelling, large_results):
            part(conn)
            print("ok", part.__name__)
    idle_connections()
    print("ok idle_connections")


if __name__ == "__main__":
    main()
