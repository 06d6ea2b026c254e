"""psycopg 2: every type, arrays, errors, named cursors, COPY, cancel. It has text format and the simple protocol only."""

import datetime
import decimal
import io
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import psycopg2
import psycopg2.extras
from scenarios import ENDLESS, ERRORS, SETUP, TYPES, check, literals, quoted


def failure(e):
    """The class a program would catch, and what the server said."""
    if not isinstance(e, psycopg2.Error) or not e.pgcode:
        return f"{type(e).__name__} {str(e).splitlines()[:1]}"
    d = e.diag
    return f"{type(e).__name__} {e.pgcode} {d.message_primary} | {d.message_detail} | {d.message_hint} | {d.statement_position}"


def scenario(name, ask):
    check(name, ask, failure)


def one(conn, statement, parameters=None):
    with conn.cursor() as cur:
        cur.execute(statement, parameters)
        return cur.fetchone()[0]


def run(conn, statement, parameters=None):
    with conn.cursor() as cur:
        cur.execute(statement, parameters)
        return cur.statusmessage


def results(conn):
    for name, ty, text in literals():
        scenario(f"result {name}", lambda: one(conn, f"SELECT {quoted(text)}::{ty}"))
    for ty in TYPES:
        scenario(f"null {ty}", lambda: one(conn, f"SELECT NULL::{ty}"))


def parameters(conn):
    for name, ty, text in literals():
        try:
            value = one(conn, f"SELECT {quoted(text)}::{ty}")
        except (psycopg2.Error, ValueError):
            continue
        if ty in ("json", "jsonb"):
            value = psycopg2.extras.Json(value)
        elif ty.startswith("json"):
            continue
        scenario(f"parameter {name}", lambda: one(conn, f"SELECT CAST(%s AS {ty})::text", (value,)))
    for name, value in (
        ("large int", 2**40), ("decimal", decimal.Decimal("1.10")), ("float nan", float("nan")), ("float", 1e300),
        ("timedelta", datetime.timedelta(days=-1, seconds=5)), ("bytes", b"\0'\\x"), ("date", datetime.date(1, 1, 1)),
        ("tuple", ("a", "b'")), ("empty list", []), ("time", datetime.time(1, 2, 3, 4)),
        ("aware", datetime.datetime(2024, 1, 1, tzinfo=datetime.timezone(datetime.timedelta(hours=8)))),
    ):
        scenario(f"bare {name}", lambda: one(conn, "SELECT 1 WHERE 'a' IN %s" if name == "tuple" else "SELECT %s", (value,)))
    large = "中文 and more " * 80_000
    scenario("large text", lambda: one(conn, "SELECT %s", (large,)) == large)
    data = bytes(range(256)) * 4096
    scenario("large bytea", lambda: bytes(one(conn, "SELECT %s", (psycopg2.Binary(data),))) == data)
    scenario("many values", lambda: one(conn, "SELECT count(*) FROM (VALUES " + ", ".join(["(%s)"] * 3000) + ") AS v(a)", list(range(3000))))


def descriptions(conn):
    def columns(statement):
        with conn.cursor() as cur:
            cur.execute(statement)
            return [tuple(c)[:6] + (c.table_column,) for c in cur.description]

    for ty in TYPES:
        scenario(f"description {ty}", lambda: columns(f"SELECT NULL::{ty} AS x, NULL::{ty}[] AS y"))
    scenario("description table", lambda: columns("SELECT * FROM kinds"))


def errors(conn):
    for statement in ERRORS:
        scenario(f"error {statement}", lambda: run(conn, statement))
    del conn.notices[:]
    run(conn, "DROP TABLE IF EXISTS nosuch")
    scenario("notice", lambda: conn.notices)


def transactions(conn):
    run(conn, "CREATE TABLE tx (a integer)")
    conn.autocommit = False

    def failing():
        said = []
        for statement in ("INSERT INTO tx VALUES (1)", "SELECT 1 / 0", "SELECT 1"):
            try:
                said.append(run(conn, statement))
            except psycopg2.Error as e:
                said.append(failure(e))
            said.append(conn.get_transaction_status())
        conn.rollback()
        return said, one(conn, "SELECT count(*) FROM tx")

    scenario("failed block", failing)

    def savepoints():
        run(conn, "INSERT INTO tx VALUES (1)")
        run(conn, "SAVEPOINT a")
        try:
            run(conn, "SELECT nosuch")
        except psycopg2.errors.UndefinedColumn:
            run(conn, "ROLLBACK TO SAVEPOINT a")
        run(conn, "INSERT INTO tx VALUES (2)")
        conn.commit()
        return one(conn, "SELECT array_agg(a ORDER BY a) FROM tx")

    scenario("savepoints", savepoints)
    conn.rollback()
    for level in ("READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"):
        def at():
            conn.set_session(isolation_level=level, readonly=True)
            return one(conn, "SHOW transaction_isolation"), one(conn, "SHOW transaction_read_only")
        scenario(f"level {level}", at)
        conn.rollback()
    conn.set_session(isolation_level="READ COMMITTED", readonly=False)
    conn.autocommit = True


def cursors(conn):
    conn.autocommit = False

    def named(**options):
        with conn.cursor("c", **options) as cur:
            cur.itersize = 7
            cur.execute("SELECT i, 'row ' || i FROM generate_series(1, 50) AS g(i)")
            return cur.fetchone(), cur.fetchmany(3), sum(r[0] for r in cur)

    scenario("named cursor", named)
    conn.rollback()

    def scrolling():
        with conn.cursor("s", scrollable=True) as cur:
            cur.execute("SELECT generate_series(1, 10)")
            rows = [cur.fetchone()]
            cur.scroll(4)
            rows.append(cur.fetchone())
            cur.scroll(-3)
            rows.append(cur.fetchone())
            cur.scroll(0, mode="absolute")
            return rows, cur.fetchall()

    scenario("named cursor scroll", scrolling)
    conn.rollback()

    def holding():
        with conn.cursor("h", withhold=True) as cur:
            cur.execute("SELECT generate_series(1, 5)")
            conn.commit()
            return cur.fetchall()

    scenario("named cursor hold", holding)
    conn.rollback()

    def dicts():
        with conn.cursor(cursor_factory=psycopg2.extras.RealDictCursor) as cur:
            cur.execute("SELECT 1 AS a, 'x' AS b")
            return cur.fetchall()

    scenario("dict cursor", dicts)
    conn.rollback()
    conn.autocommit = True

    def values():
        with conn.cursor() as cur:
            psycopg2.extras.execute_values(cur, "INSERT INTO kinds (a, b) VALUES %s", [(n, f"n{n}") for n in range(250)], page_size=100)
            cur.execute("SELECT count(*), sum(a), max(b) FROM kinds")
            return cur.fetchone()

    scenario("execute_values", values)


def copies(conn):
    run(conn, "CREATE TABLE cp (id integer, name text)")

    def into(statement, text):
        with conn.cursor() as cur:
            cur.copy_expert(statement, io.StringIO(text))
            return cur.rowcount

    def out(statement):
        with conn.cursor() as cur:
            target = io.StringIO()
            cur.copy_expert(statement, target)
            return target.getvalue()

    scenario("copy text in", lambda: into("COPY cp FROM STDIN", "1\tnaïve\\n中\n2\t\\N\n"))
    scenario("copy csv in", lambda: into("COPY cp FROM STDIN CSV HEADER", 'id,name\n3,"a, ""b"""\n4,\n'))
    scenario("copy text out", lambda: out("COPY (SELECT * FROM cp ORDER BY id) TO STDOUT"))
    scenario("copy csv out", lambda: out("COPY (SELECT * FROM cp ORDER BY id) TO STDOUT CSV HEADER"))
    scenario("copy wrong in", lambda: into("COPY cp FROM STDIN", "1\tx\n2\n"))
    scenario("copy table out", lambda: len(out("COPY cp TO STDOUT")))

    def copy_from():
        with conn.cursor() as cur:
            cur.copy_from(io.StringIO("5|x\n6|nil\n"), "cp", sep="|", null="nil", columns=("id", "name"))
            cur.execute("SELECT * FROM cp WHERE id >= 5 ORDER BY id")
            return cur.fetchall()

    scenario("copy_from", copy_from)


def stopping(conn):
    def cancelled():
        threading.Timer(0.3, conn.cancel).start()
        try:
            run(conn, ENDLESS)
        except psycopg2.errors.QueryCanceled as e:
            return failure(e)

    scenario("cancel", cancelled)
    run(conn, "SET statement_timeout = 200")
    scenario("statement timeout", lambda: run(conn, ENDLESS))
    run(conn, "RESET statement_timeout")
    scenario("after", lambda: one(conn, "SELECT 1"))


PARTS = [results, parameters, descriptions, errors, transactions, cursors, copies, stopping]


def main():
    conn = psycopg2.connect("")
    conn.autocommit = True
    for statement in SETUP:
        run(conn, statement)
    for part in PARTS:
        if not sys.argv[1:] or part.__name__ in sys.argv[1:]:
            part(conn)
    conn.close()


if __name__ == "__main__":
    main()
