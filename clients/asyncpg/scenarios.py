"""asyncpg: binary format only, statements prepared by default, portals as cursors, binary COPY, introspection of types."""

import asyncio
import datetime
import decimal
import io
import sys
from pathlib import Path

# Not its own folder, whose name would hide the driver.
sys.path = [p for p in sys.path if Path(p or ".").resolve() != Path(__file__).resolve().parent]
sys.path.append(str(Path(__file__).resolve().parent.parent))

import asyncpg
from scenarios import ENDLESS, ERRORS, SETUP, TYPES, literals, quoted, say, shown


def failure(e):
    """The class a program would catch, and what the server said."""
    if not isinstance(e, asyncpg.PostgresError):
        return f"{type(e).__name__} {e}"
    return f"{type(e).__name__} {e.sqlstate} {e.args[0].splitlines()[0]} | {e.detail} | {e.hint} | {e.position}"


async def scenario(name, asking):
    try:
        value = shown(await asking)
    except Exception as e:
        value = "error: " + failure(e)
    say(name, value)


async def results(conn):
    for name, ty, text in literals():
        await scenario(f"result {name}", conn.fetchval(f"SELECT {quoted(text)}::{ty}"))
    for ty in TYPES:
        await scenario(f"null {ty}", conn.fetchval(f"SELECT NULL::{ty}"))


async def parameters(conn):
    for name, ty, text in literals():
        try:
            value = await conn.fetchval(f"SELECT {quoted(text)}::{ty}")
        except Exception:
            continue
        await scenario(f"parameter {name}", conn.fetchval(f"SELECT $1::{ty}::text", value))
        await scenario(f"there and back {name}", conn.fetchval(f"SELECT $1::{ty}", value))
    for ty in TYPES:
        await scenario(f"parameter null {ty}", conn.fetchval(f"SELECT $1::{ty} IS NULL", None))
    for name, statement, value in (
        ("int", "SELECT $1 + 1", 41), ("text", "SELECT $1 || 'x'", "a"), ("any", "SELECT 2 = ANY($1)", [1, 2]),
        ("alone", "SELECT $1", "x"), ("limit", "SELECT generate_series(1, 5) LIMIT $1", 2), ("compare", "SELECT i FROM generate_series(1, 9) AS g(i) WHERE i > $1 AND i < $1 + 2", 4),
        ("date", "SELECT $1 + 1 = DATE '2024-01-02'", datetime.date(2024, 1, 1)), ("interval", "SELECT now() - $1 < now()", datetime.timedelta(1)),
        ("numeric", "SELECT $1 * 1.5", decimal.Decimal("2.5")), ("case", "SELECT CASE WHEN $1 THEN 'a' ELSE 'b' END", True),
        ("coalesce", "SELECT coalesce($1, 5)", None), ("in", "SELECT 3 IN ($1, 4)", 3), ("between", "SELECT 5 BETWEEN $1 AND 9", 1), ("like", "SELECT 'abc' LIKE $1", "a%"),
        ("insert", "INSERT INTO kinds (a) VALUES ($1) ", 77), ("wrong type", "SELECT $1::int", "x"), ("too large", "SELECT $1::int", 2**40),
    ):
        await scenario(f"found out {name}", conn.fetchval(statement, value))
    large = "中文 and more " * 80_000
    await scenario("large text", equal(conn, "SELECT $1::text", large))
    await scenario("large bytea", equal(conn, "SELECT $1::bytea", bytes(range(256)) * 4096))
    await scenario("large array", equal(conn, "SELECT $1::int[]", list(range(100_000))))
    for count in (1000, 32768):
        marks = ", ".join(f"(${n + 1}::int)" for n in range(count))
        await scenario(f"{count} parameters", conn.fetchval(f"SELECT count(*) FROM (VALUES {marks}) AS v(a)", *range(count)))


async def equal(conn, statement, value):
    return await conn.fetchval(statement, value) == value


async def descriptions(conn):
    for ty in TYPES:
        async def attributes():
            statement = await conn.prepare(f"SELECT NULL::{ty} AS x, NULL::{ty}[] AS y, $1::{ty}")
            return [(a.name, tuple(a.type)) for a in statement.get_attributes()], [tuple(p) for p in statement.get_parameters()]
        await scenario(f"description {ty}", attributes())
    async def status():
        s = conn.get_settings()
        return s.client_encoding, s.TimeZone, s.server_encoding, s.standard_conforming_strings, conn.get_server_version()[0]
    await scenario("settings", status())
    for statement in ("SELECT $1", "SELECT $1 + $2", "SELECT $1 + 1, $2 || 'x'", "INSERT INTO kinds VALUES ($1, $2, $3, $4, $5, $6, $7)",
                      "SELECT * FROM kinds WHERE a = $1 AND b = $2 AND c > $3 AND d < $4", "SELECT $1::int, $1 + 1", "SELECT coalesce($1, 1)", "SELECT ARRAY[$1, 2]",
                      "SELECT 1 LIMIT $1 OFFSET $2", "SELECT $2::text", "SELECT length($1), abs($2::int)", "SELECT $1 IS NULL", "SELECT now() - $1", "SELECT $1 = ANY(g) FROM kinds"):
        async def types():
            s = await conn.prepare(statement)
            return [p.name for p in s.get_parameters()], [(a.name, a.type.name) for a in s.get_attributes()]
        await scenario(f"types of {statement}", types())


async def errors(conn):
    for statement in ERRORS:
        await scenario(f"error simple {statement}", conn.execute(statement))
        await scenario(f"error prepared {statement}", conn.fetch(statement))
    notices = []
    conn.add_log_listener(lambda _, m: notices.append((m.severity, m.sqlstate, m.message)))
    await conn.execute("DROP TABLE IF EXISTS nosuch")
    await asyncio.sleep(0.05)
    say("notice", shown(notices))


async def transactions(conn):
    await conn.execute("CREATE TABLE tx (a integer)")

    async def nested():
        async with conn.transaction():
            await conn.execute("INSERT INTO tx VALUES (1)")
            try:
                async with conn.transaction():
                    await conn.execute("INSERT INTO tx VALUES (2)")
                    await conn.execute("SELECT 1 / 0")
            except asyncpg.DivisionByZeroError:
                pass
            async with conn.transaction():
                await conn.execute("INSERT INTO tx VALUES (3)")
        return await conn.fetchval("SELECT array_agg(a ORDER BY a) FROM tx"), conn.is_in_transaction()

    await scenario("nested", nested())

    async def failed():
        said = []
        tx = conn.transaction(isolation="serializable", readonly=True)
        await tx.start()
        for statement in ("SELECT 1 / 0", "SELECT 1"):
            try:
                await conn.fetch(statement)
            except asyncpg.PostgresError as e:
                said.append(failure(e))
        await tx.rollback()
        return said

    await scenario("failed block", failed())
    await scenario("executemany", conn.executemany("INSERT INTO tx VALUES ($1)", [(n,) for n in range(500)]))
    async def broken():
        try:
            await conn.executemany("INSERT INTO tx VALUES (10 / $1::int)", [(1,), (0,), (2,)])
        except asyncpg.PostgresError as e:
            return failure(e), await conn.fetchval("SELECT count(*) FROM tx")
    await scenario("executemany broken", broken())
    for statement in ("CREATE TABLE tags (a integer)", "INSERT INTO tags VALUES (1), (2)", "SELECT * FROM tags", "DROP TABLE tags", "SET search_path = public", "SELECT 1; SELECT 2"):
        await scenario(f"tag {statement}", conn.execute(statement))


async def cursors(conn):
    async def iterated():
        async with conn.transaction():
            return sum([r[0] async for r in conn.cursor("SELECT generate_series(1, 1000)", prefetch=50)])

    async def moved():
        async with conn.transaction():
            cursor = await conn.cursor("SELECT i, i::text FROM generate_series(1, 20) AS g(i)")
            first = await cursor.fetchrow()
            some = await cursor.fetch(3)
            return first, some, await cursor.forward(5), await cursor.fetch(2)

    async def interleaved():
        async with conn.transaction():
            a, b = await conn.cursor("SELECT generate_series(1, 9)"), await conn.cursor("SELECT generate_series(101, 109)")
            return [(await a.fetchrow(), await b.fetchrow()) for _ in range(3)]

    async def with_parameters():
        async with conn.transaction():
            return [tuple(r) async for r in conn.cursor("SELECT i + $1 FROM generate_series(1, $2) AS g(i)", 100, 5, prefetch=2)]

    async def after():
        async with conn.transaction():
            cursor = await conn.cursor("SELECT generate_series(1, 20)")
            await cursor.fetch(1)
        return await cursor.fetch(1)

    for name, asking in (("iterated", iterated), ("moved", moved), ("interleaved", interleaved), ("with parameters", with_parameters), ("after the transaction", after)):
        await scenario(f"cursor {name}", asking())


async def copies(conn):
    await conn.execute("CREATE TABLE cp (id integer, name text, at timestamptz, n numeric(10,2), a integer[])")
    at = datetime.datetime(2024, 1, 1, tzinfo=datetime.timezone.utc)
    rows = [(n, f"näme {n}", at if n % 2 else None, decimal.Decimal(n) / 4, [n, None]) for n in range(1000)]
    await scenario("copy records", conn.copy_records_to_table("cp", records=rows))
    await scenario("copied", conn.fetch("SELECT count(*), sum(id), sum(n), max(at) FROM cp"))
    await scenario("copy text in", conn.copy_to_table("cp", source=io.BytesIO(b"5000\tx\t\\N\t1.5\t{1,2}\n"), columns=["id", "name", "at", "n", "a"]))
    await scenario("copy csv in", conn.copy_to_table("cp", source=io.BytesIO(b'5001,"a,b",,2.5,"{3}"\n'), format="csv"))

    async def out(**options):
        target = io.BytesIO()
        tag = await conn.copy_from_query("SELECT * FROM cp WHERE id >= 5000 ORDER BY id", output=target, **options)
        return tag, target.getvalue()

    for kind in ("text", "csv", "binary"):
        await scenario(f"copy out {kind}", out(format=kind))
    await scenario("copy out of parameter", conn.copy_from_query("SELECT $1::int", 5, output=io.BytesIO()))
    await scenario("copy wrong", conn.copy_to_table("cp", source=io.BytesIO(b"x\n")))


async def prepared(conn):
    await conn.execute("CREATE TABLE shifting (a integer)")
    await conn.execute("INSERT INTO shifting VALUES (1)")
    statement = await conn.prepare("SELECT * FROM shifting")
    await scenario("prepared", statement.fetch())
    await conn.execute("ALTER TABLE shifting ADD COLUMN b text")
    await scenario("prepared after a column more", statement.fetch())
    await scenario("asked again", conn.fetch("SELECT * FROM shifting"))
    await conn.execute("DROP TABLE shifting")
    await scenario("after drop", conn.fetch("SELECT * FROM shifting"))
    await scenario("many", asyncio.wait_for(many(conn), 30))

    async def reset():
        await conn.reset()
        return await conn.fetchval("SELECT 1")
    await scenario("reset", reset())


async def many(conn):
    return sum([await conn.fetchval(f"SELECT {n} + $1::int", n) for n in range(300)])


async def stopping(conn):
    await scenario("timeout of the client", conn.fetch(ENDLESS, timeout=0.3))
    await scenario("after it", conn.fetchval("SELECT 1"))
    task = asyncio.create_task(conn.fetch(ENDLESS))
    await asyncio.sleep(0.3)
    task.cancel()
    await scenario("cancelled", conn.fetchval("SELECT 2") if not await ended(task) else None)
    await conn.execute("SET statement_timeout = 200")
    await scenario("statement timeout", conn.fetch(ENDLESS))
    await conn.execute("RESET statement_timeout")

    async def pooled():
        async with asyncpg.create_pool(min_size=2, max_size=5) as pool:
            return sorted(await asyncio.gather(*(pool.fetchval("SELECT $1::int", n) for n in range(50))))
    await scenario("pool", pooled())


async def ended(task):
    try:
        await task
    except asyncio.CancelledError:
        return False
    return True


PARTS = [results, parameters, descriptions, errors, transactions, cursors, copies, prepared, stopping]


async def main():
    conn = await asyncpg.connect()
    # It asks the catalog for each type that it does not know, by a long query: for all of them at once.
    await conn.fetch("SELECT " + ", ".join(f"NULL::{ty}[]" for ty in TYPES))
    for statement in SETUP:
        await conn.execute(statement)
    for part in PARTS:
        if not sys.argv[1:] or part.__name__ in sys.argv[1:]:
            await part(conn)
    await conn.close()


if __name__ == "__main__":
    asyncio.run(main())
