"""psycopg 3: every type as result and parameter in both formats, pipelines, cursors, COPY, errors, cancel, DDL between."""

import datetime
import decimal
import os
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import psycopg
from psycopg import sql
from scenarios import ENDLESS, ERRORS, SETUP, TYPES, check, literals, quoted


def failure(e: Exception) -> str:
    """The class a program would catch, and what the server said."""
    if not isinstance(e, psycopg.Error):
        return f"{type(e).__name__} {e}"
    d = e.diag
    return f"{type(e).__name__} {e.sqlstate} {d.message_primary or e} | {d.message_detail} | {d.message_hint} | {d.statement_position}"


def scenario(name, ask):
    check(name, ask, failure)


def one(conn, statement, parameters=None, binary=False, prepare=None):
    return conn.cursor(binary=binary).execute(statement, parameters, prepare=prepare).fetchone()[0]


def results(conn):
    for name, ty, text in literals():
        for binary in (False, True):
            kind = "binary" if binary else "text"
            scenario(f"result {kind} {name}", lambda: one(conn, f"SELECT {quoted(text)}::{ty}", binary=binary))
    for ty in TYPES:
        scenario(f"null {ty}", lambda: (one(conn, f"SELECT NULL::{ty}"), one(conn, f"SELECT NULL::{ty}", binary=True)))


def parameters(conn):
    """What the driver made of a result goes back as a parameter, as text and as binary."""
    for name, ty, text in literals():
        try:
            value = conn.execute(f"SELECT {quoted(text)}::{ty}").fetchone()[0]
        except psycopg.Error:
            continue
        if ty in ("json", "jsonb"):
            value = psycopg.types.json.Jsonb(value) if ty == "jsonb" else psycopg.types.json.Json(value)
        elif ty.startswith("json"):
            wrap = psycopg.types.json.Jsonb if ty.startswith("jsonb") else psycopg.types.json.Json
            value = [None if v is None else wrap(v) for v in value]
        for mark, kind in (("%t", "text"), ("%b", "binary")):
            scenario(f"parameter {kind} {name}", lambda: one(conn, f"SELECT {mark}::{ty}::text", (value,)))
    for ty in TYPES:
        scenario(f"parameter null {ty}", lambda: one(conn, f"SELECT %s::{ty} IS NULL", (None,)))


def bare_parameters(conn):
    """Without a cast: the server finds out what is meant."""
    cases = [
        ("int", "SELECT %s + 1", 41), ("large int", "SELECT %s + 1", 2**40), ("str", "SELECT %s || 'x'", "a"),
        ("decimal", "SELECT %s * 2", decimal.Decimal("1.10")), ("float", "SELECT %s / 2", 3.0),
        ("bool", "SELECT NOT %s", True), ("date", "SELECT %s + 1", datetime.date(2024, 2, 28)),
        ("timedelta", "SELECT %s * 2", datetime.timedelta(days=1, seconds=5)),
        ("timestamp", "SELECT date_trunc('hour', %s)", datetime.datetime(2024, 1, 2, 3, 4)),
        ("list", "SELECT 2 = ANY(%s)", [1, 2]), ("bytes", "SELECT length(%s)", b"\0\1"),
        ("in select", "SELECT %s", "alone"), ("none", "SELECT %s", None),
    ]
    for name, statement, value in cases:
        scenario(f"bare {name}", lambda: one(conn, statement, (value,)))
        binary = statement.replace("%s", "%b")
        scenario(f"bare binary {name}", lambda: one(conn, binary, (value,), binary=True))


def sizes(conn):
    large = "中文 and more " * 80_000
    scenario("large text", lambda: one(conn, "SELECT %s::text", (large,)) == large)
    scenario("large text binary", lambda: one(conn, "SELECT %b::text", (large,), binary=True) == large)
    data = bytes(range(256)) * 4096
    scenario("large bytea", lambda: one(conn, "SELECT %b::bytea", (data,), binary=True) == data)
    scenario("large bytea text", lambda: one(conn, "SELECT %t::bytea", (data,)) == data)
    scenario("large array", lambda: len(one(conn, "SELECT %b::int[]", (list(range(100_000)),), binary=True)))
    for count in (100, 2000):
        marks = ", ".join(["%s::int"] * count)
        scenario(f"{count} parameters", lambda: sum(one(conn, f"SELECT ARRAY[{marks}]", list(range(count)))))
    # An unoptimised server takes seconds for so many.
    most = 65535 if os.environ.get("SIGHTLINE_TEST_SIZE") == "soak" else 10_000
    marks = ", ".join(["(%s::int)"] * most)
    scenario("the most parameters", lambda: one(conn, f"SELECT count(*) FROM (VALUES {marks}) AS v(a)", list(range(most))))
    marks = ", ".join(["(%s::int)"] * 65536)
    scenario("65536 parameters", lambda: one(conn, f"SELECT count(*) FROM (VALUES {marks}) AS v(a)", list(range(65536))))
    scenario("and on", lambda: one(conn, "SELECT 1"))


def descriptions(conn):
    def columns(statement):
        cur = conn.execute(statement)
        return [(c.name, c.type_code, c.display_size, c.internal_size, c.precision, c.scale) for c in cur.description]

    for ty in TYPES:
        scenario(f"description {ty}", lambda: columns(f"SELECT NULL::{ty} AS x, NULL::{ty}[] AS y"))
    scenario("description table", lambda: columns("SELECT * FROM kinds"))
    scenario("description expressions", lambda: columns("SELECT 1, 'x', 1.5, now(), NULL, a + 1, c * 2, g[1] FROM kinds"))
    table = conn.execute("SELECT a, b, a + 1 FROM kinds").pgresult
    scenario("table columns", lambda: [(table.ftable(i) > 0, table.ftablecol(i)) for i in range(3)])
    for name in ("client_encoding", "DateStyle", "TimeZone", "standard_conforming_strings", "integer_datetimes",
                 "IntervalStyle", "is_superuser", "server_encoding", "session_authorization", "application_name"):
        scenario(f"parameter status {name}", lambda: conn.info.parameter_status(name))
    conn.execute("SET application_name = 'changed'")
    conn.execute("SET TimeZone = 'Asia/Shanghai'")
    scenario("parameter status changed", lambda: (conn.info.parameter_status("application_name"), str(conn.info.timezone)))
    scenario("in that zone", lambda: one(conn, "SELECT '2024-01-01 00:00+00'::timestamptz"))
    scenario("in that zone binary", lambda: one(conn, "SELECT '2024-01-01 00:00+00'::timestamptz", binary=True))
    conn.execute("RESET TimeZone")
    scenario("encoding", lambda: conn.info.encoding)


def errors(conn):
    for statement in ERRORS:
        scenario(f"error simple {statement}", lambda: conn.execute(statement).statusmessage)
        scenario(f"error extended {statement}", lambda: conn.execute(statement + " ", (), prepare=True).statusmessage)
    notices = []
    conn.add_notice_handler(lambda d: notices.append((d.severity, d.sqlstate, d.message_primary)))
    conn.execute("DROP TABLE IF EXISTS nosuch")
    scenario("notice", lambda: notices)
    for value in ("x", "99999999999", ""):
        scenario(f"bad parameter {value!r}", lambda: one(conn, "SELECT %s::int", (value,)))
    scenario("nul in text", lambda: one(conn, "SELECT %s::text", ("a\0b",)))
    scenario("too few", lambda: conn.execute("SELECT %s, %s", (1,)))


def transactions(conn):
    conn.execute("CREATE TABLE tx (a integer)")
    status = lambda: conn.info.transaction_status.name

    def failing():
        said = [status()]
        conn.execute("BEGIN")
        said.append(status())
        conn.execute("INSERT INTO tx VALUES (1)")
        for statement in ("SELECT 1 / 0", "SELECT 1", "COMMIT"):
            try:
                said.append(conn.execute(statement).statusmessage)
            except psycopg.Error as e:
                said.append(failure(e))
            said.append(status())
        return said, conn.execute("SELECT count(*) FROM tx").fetchone()

    scenario("failed block", failing)

    def savepoints():
        with conn.transaction():
            conn.execute("INSERT INTO tx VALUES (1)")
            try:
                with conn.transaction():
                    conn.execute("INSERT INTO tx VALUES (2)")
                    conn.execute("SELECT 1 / 0")
            except psycopg.errors.DivisionByZero:
                pass
            with conn.transaction("named"):
                conn.execute("INSERT INTO tx VALUES (3)")
        return conn.execute("SELECT array_agg(a ORDER BY a) FROM tx").fetchone()

    scenario("savepoints", savepoints)
    for level in ("READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"):
        scenario(f"level {level}", lambda: (
            conn.execute(f"BEGIN ISOLATION LEVEL {level}").statusmessage,
            one(conn, "SHOW transaction_isolation"), conn.execute("ROLLBACK").statusmessage))
    scenario("read only", lambda: (conn.execute("BEGIN READ ONLY"), conn.execute("INSERT INTO tx VALUES (9)")))
    conn.execute("ROLLBACK")
    scenario("commit outside", lambda: conn.execute("COMMIT").statusmessage)
    scenario("begin twice", lambda: [conn.execute(s).statusmessage for s in ("BEGIN", "BEGIN", "ROLLBACK")])
    scenario("tags", lambda: [conn.execute(s).statusmessage for s in (
        "CREATE TABLE tags (a integer)", "INSERT INTO tags SELECT generate_series(1, 3)", "SELECT * FROM tags", "SET search_path = public",
        "SHOW search_path", "RESET search_path", "DROP TABLE tags", "SELECT 1 LIMIT 0", "VALUES (1), (2)", "BEGIN", "SAVEPOINT s", "RELEASE s", "COMMIT", "DISCARD ALL")])


def pipelines(conn):
    conn.execute("CREATE TABLE pipe (a integer)")

    def clean():
        with conn.pipeline():
            inserts = [conn.execute("INSERT INTO pipe VALUES (%s)", (n,)) for n in range(50)]
            total = conn.execute("SELECT sum(a), count(*) FROM pipe")
        return total.fetchone(), sum(c.rowcount for c in inserts)

    scenario("pipeline", clean)

    def broken():
        said = []
        try:
            with conn.pipeline():
                for statement in ("INSERT INTO pipe VALUES (1000)", "SELECT 1 / 0", "INSERT INTO pipe VALUES (1001)"):
                    conn.execute(statement)
        except psycopg.Error as e:
            said.append(failure(e))
        said.append(conn.execute("SELECT count(*) FROM pipe WHERE a >= 1000").fetchone())
        return said

    scenario("pipeline with an error", broken)

    def many():
        with conn.cursor() as cur:
            cur.executemany("INSERT INTO pipe VALUES (%s)", [(n,) for n in range(200)], returning=False)
            return cur.rowcount

    scenario("executemany", many)

    def in_block():
        with conn.transaction(), conn.pipeline():
            a = conn.execute("SELECT %s::int", (1,))
            b = conn.execute("SELECT %s::text", ("x",), binary=True)
            return a.fetchone(), b.fetchone()

    scenario("pipeline in a block", in_block)


def cursors(conn):
    def named():
        with conn.transaction(), conn.cursor("c") as cur:
            cur.itersize = 7
            cur.execute("SELECT i, 'row ' || i FROM generate_series(1, 50) AS g(i)")
            first = cur.fetchone(), cur.fetchmany(3)
            return first, len(cur.fetchall())

    scenario("named cursor", named)
    scenario("named cursor binary", lambda: _binary_cursor(conn))
    scenario("named cursor scroll", lambda: _scrolling(conn))
    scenario("named cursor hold", lambda: _holding(conn))
    scenario("stream", lambda: sum(r[0] for r in conn.cursor().stream("SELECT generate_series(1, 10000)")))
    scenario("client cursor", lambda: psycopg.ClientCursor(conn).execute("SELECT %s, %s", (1, "a'b")).fetchone())
    scenario("several results", lambda: _several(conn))
    scenario("rownumber", lambda: conn.execute("SELECT generate_series(1, 3)").rowcount)


def _binary_cursor(conn):
    with conn.transaction(), conn.cursor("b", binary=True) as cur:
        cur.execute("SELECT i, i::float8 FROM generate_series(1, 5) AS g(i)")
        return cur.fetchall()


def _scrolling(conn):
    with conn.transaction(), conn.cursor("s", scrollable=True) as cur:
        cur.execute("SELECT generate_series(1, 10)")
        rows = [cur.fetchone()]
        cur.scroll(4)
        rows.append(cur.fetchone())
        cur.scroll(0, mode="absolute")
        rows.append(cur.fetchone())
        return rows


def _holding(conn):
    with conn.cursor("h", withhold=True) as cur:
        with conn.transaction():
            cur.execute("SELECT generate_series(1, 5)")
        return cur.fetchall()


def _several(conn):
    cur = conn.execute("SELECT 1; SELECT 'a', 2; INSERT INTO pipe VALUES (7)")
    said = [cur.fetchall()]
    while cur.nextset():
        said.append(cur.fetchall() if cur.description else cur.statusmessage)
    return said


def copies(conn):
    conn.execute("CREATE TABLE cp (id integer, name text, at timestamp, n numeric(10,2), ok boolean)")
    at = datetime.datetime(2024, 1, 1, 12)
    rows = [(n, f"näme\t{n}\\中\n", at if n % 2 else None, decimal.Decimal(n) / 4, n % 3 == 0) for n in range(1000)]
    rows.append((None, "", None, None, None))

    conn.execute("CREATE TABLE cb (id integer, name text, at timestamp, n numeric(10,2), ok boolean)")

    def into(table, kind):
        with conn.cursor() as cur:
            with cur.copy(f"COPY {table} FROM STDIN {kind}") as copy:
                if "BINARY" in kind:
                    copy.set_types(["int4", "text", "timestamp", "numeric", "bool"])
                for row in rows:
                    copy.write_row(row)
            return cur.rowcount

    def out(kind):
        with conn.cursor() as cur, cur.copy(f"COPY (SELECT * FROM cp ORDER BY id, at LIMIT 40) TO STDOUT {kind}") as copy:
            return b"".join(bytes(piece) for piece in copy)

    count = lambda table: conn.execute(f"SELECT count(*), sum(id), sum(n), min(name), max(at) FROM {table}").fetchone()
    scenario("copy in", lambda: (into("cp", ""), count("cp")))
    scenario("copy in binary", lambda: (into("cb", "(FORMAT BINARY)"), count("cb")))
    for kind in ("", "(FORMAT csv)", "(FORMAT csv, HEADER)", "(FORMAT BINARY)", "(DELIMITER '|', NULL 'nil')",
                 "(FORMAT csv, FORCE_QUOTE *)", "(FORMAT csv, QUOTE '''', ESCAPE '\\')"):
        scenario(f"copy out {kind}", lambda: out(kind))

    def typed_rows():
        with conn.cursor() as cur, cur.copy("COPY (SELECT id, name, n FROM cp WHERE id < 3 ORDER BY 1, 2) TO STDOUT (FORMAT BINARY)") as copy:
            copy.set_types(["int4", "text", "numeric"])
            return list(copy.rows())

    scenario("copy rows binary", typed_rows)

    def text_in(statement, text):
        with conn.cursor() as cur:
            with cur.copy(statement) as copy:
                copy.write(text)
            return cur.rowcount

    for text in ("1\tx\n", "x\tx\t\\N\t1\tt\n", "1\tx\t\\N\t1\tt\textra\n", "1\ta\\tb\t2024-01-01\t1.005\tf", "1\tx\t\\N\t1e9\tt\n", "\\.\n1\tafter", "1\tx\tyesterday-ish\t1\tt\n"):
        def attempt():
            try:
                return text_in("COPY cp FROM STDIN", text)
            except psycopg.Error as e:
                return failure(e), e.diag.context
        scenario(f"copy text {text!r}", attempt)
    for text in ('5,"a, ""b""\nc",,1,true\n', '5,"open,,,\n', "5,a\n", "5,,,,\n"):
        def attempt():
            try:
                return text_in("COPY cp FROM STDIN (FORMAT csv)", text)
            except psycopg.Error as e:
                return failure(e), e.diag.context
        scenario(f"copy csv {text!r}", attempt)

    def given_up():
        with conn.cursor() as cur:
            try:
                with cur.copy("COPY cp FROM STDIN") as copy:
                    copy.write_row(rows[0])
                    raise ZeroDivisionError("given up")
            except ZeroDivisionError:
                return conn.info.transaction_status.name

    scenario("copy given up", given_up)


def prepared(conn):
    scenario("prepared many times", lambda: [one(conn, "SELECT %s::int * 2", (n,), prepare=True) for n in range(12)])
    conn.execute("CREATE TABLE shifting (a integer)")
    conn.execute("INSERT INTO shifting VALUES (1)")
    read = lambda: conn.execute("SELECT * FROM shifting", prepare=True).fetchall()
    scenario("prepared before", lambda: [read() for _ in range(3)])
    conn.execute("ALTER TABLE shifting ADD COLUMN b text")
    scenario("prepared after a column more", read)
    conn.execute("DROP TABLE shifting")
    scenario("prepared after drop", read)
    conn.execute("CREATE TABLE shifting (b text)")
    scenario("prepared after another", read)
    scenario("sql prepare", lambda: [conn.execute(s).statusmessage for s in ("PREPARE p (int) AS SELECT $1 + 1", "EXECUTE p (1)", "DEALLOCATE p")])
    scenario("listed", lambda: conn.execute("SELECT count(*) >= 0 FROM pg_prepared_statements").fetchone())


def stopping(conn):
    def cancelled():
        threading.Timer(0.3, conn.cancel).start()
        started = time.monotonic()
        try:
            conn.execute(ENDLESS)
        except psycopg.errors.QueryCanceled as e:
            return failure(e), time.monotonic() - started < 10
        return "not cancelled"

    scenario("cancel", cancelled)
    scenario("cancel safe", lambda: _cancel_safe(conn))
    scenario("after cancel", lambda: one(conn, "SELECT 1"))
    conn.execute("SET statement_timeout = '200ms'")
    scenario("statement timeout", lambda: conn.execute(ENDLESS))
    scenario("statement timeout in a block", lambda: _timeout_in_block(conn))
    conn.execute("SET statement_timeout = 0")
    scenario("after timeout", lambda: one(conn, "SELECT 1"))
    scenario("cancel of nothing", lambda: (conn.cancel(), time.sleep(0.2), one(conn, "SELECT 2"))[2])


def _cancel_safe(conn):
    threading.Timer(0.3, conn.cancel_safe).start()
    try:
        conn.execute(ENDLESS)
    except psycopg.errors.QueryCanceled:
        return "cancelled"


def _timeout_in_block(conn):
    with conn.transaction():
        conn.execute(ENDLESS)


def connecting(_):
    for options in ("dbname=nosuch", "user=nosuch", "options='-c statement_timeout=1234'", "options='-c nosuch=1'",
                    "application_name=probe", "client_encoding=LATIN1", "client_encoding=nosuch", "options='-c TimeZone=Asia/Tokyo'"):
        def attempt():
            with psycopg.connect(options, autocommit=True) as other:
                return [one(other, f"SHOW {s}") for s in ("statement_timeout", "application_name", "client_encoding", "TimeZone")]
        check(f"connect {options}", attempt, lambda e: str(e).split("FATAL:")[-1].strip())

    def latin():
        with psycopg.connect("client_encoding=LATIN1", autocommit=True) as other:
            return one(other, "SELECT 'naïve' || %s", ("é",)), one(other, "SELECT length(%s::text)", ("é",))
    scenario("latin1 text", latin)


PARTS = [results, parameters, bare_parameters, sizes, descriptions, errors, transactions, pipelines, cursors, copies, prepared, stopping, connecting]


def main():
    with psycopg.connect(autocommit=True) as conn:
        for statement in SETUP:
            conn.execute(statement)
        for part in PARTS:
            if not sys.argv[1:] or part.__name__ in sys.argv[1:]:
                part(conn)
                if conn.info.transaction_status.name != "IDLE":
                    conn.execute("ROLLBACK")


if __name__ == "__main__":
    main()
