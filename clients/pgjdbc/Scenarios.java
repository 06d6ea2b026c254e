import java.io.ByteArrayOutputStream;
import java.io.StringReader;
import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Array;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.ResultSetMetaData;
import java.sql.SQLException;
import java.sql.Savepoint;
import java.sql.Statement;
import java.sql.Types;
import java.time.LocalDate;
import java.time.LocalDateTime;
import java.time.LocalTime;
import java.time.OffsetDateTime;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.TimeZone;
import java.util.UUID;
import org.postgresql.PGConnection;
import org.postgresql.copy.CopyManager;
import org.postgresql.util.PGobject;
import org.postgresql.util.PSQLException;
import org.postgresql.util.ServerErrorMessage;

/** pgjdbc: types as text and (after five runs) binary, parameters, fetch sizes, batches, metadata, COPY, errors, cancel. */
public final class Scenarios {
    private static final String ENDLESS =
        "SELECT sum(a.i * b.i) FROM generate_series(1, 300000) AS a(i), generate_series(1, 300000) AS b(i)";

    interface Ask {
        Object run() throws Exception;
    }

    private static String failure(Throwable e) {
        if (!(e instanceof SQLException s)) {
            return "error: " + e;
        }
        ServerErrorMessage m = e instanceof PSQLException p ? p.getServerErrorMessage() : null;
        String said = m == null ? e.getMessage() : m.getMessage() + " | " + m.getDetail() + " | " + m.getHint() + " | " + m.getPosition();
        return "error: " + e.getClass().getSimpleName() + " " + s.getSQLState() + " " + said;
    }

    private static String shown(Object value) throws Exception {
        if (value instanceof byte[] bytes) {
            StringBuilder hex = new StringBuilder("0x");
            for (byte b : bytes.length > 50 ? Arrays.copyOf(bytes, 50) : bytes) {
                hex.append(String.format("%02x", b));
            }
            return hex + " of " + bytes.length;
        }
        if (value instanceof Array array) {
            return shown(array.getArray()) + " of " + array.getBaseTypeName();
        }
        if (value instanceof Object[] items) {
            List<String> all = new ArrayList<>();
            for (Object item : items) {
                all.add(shown(item));
            }
            return all.toString();
        }
        if (value instanceof List<?> list) {
            return shown(list.toArray());
        }
        String text = String.valueOf(value);
        return text.length() > 400 ? text.length() + " characters, hash " + text.hashCode() : text;
    }

    private static void scenario(String name, Ask ask) {
        String value;
        try {
            value = shown(ask.run());
        } catch (Throwable e) {
            value = failure(e);
        }
        System.out.println((name.replace(": ", ":") + ": " + value).replace("\n", "\\n"));
    }

    /** The value with its class. */
    private static Object typed(Object value) throws Exception {
        return value == null ? "null" : value.getClass().getSimpleName() + " " + shown(value);
    }

    private static List<Object> one(Connection c, String sql, Object... parameters) throws Exception {
        try (PreparedStatement s = c.prepareStatement(sql)) {
            for (int i = 0; i < parameters.length; i++) {
                s.setObject(i + 1, parameters[i]);
            }
            try (ResultSet r = s.executeQuery()) {
                return row(r);
            }
        }
    }

    private static List<Object> row(ResultSet r) throws Exception {
        List<Object> values = new ArrayList<>();
        if (r.next()) {
            for (int i = 1; i <= r.getMetaData().getColumnCount(); i++) {
                values.add(typed(r.getObject(i)));
            }
        }
        return values;
    }

    private static List<Object> rows(Connection c, String sql) throws Exception {
        try (Statement s = c.createStatement(); ResultSet r = s.executeQuery(sql)) {
            List<Object> all = new ArrayList<>();
            for (List<Object> row = row(r); !row.isEmpty(); row = row(r)) {
                all.add(row);
            }
            return all;
        }
    }

    private static void run(Connection c, String sql) throws SQLException {
        try (Statement s = c.createStatement()) {
            s.execute(sql);
        }
    }

    private static String quoted(String text) {
        return "'" + text.replace("'", "''") + "'";
    }

    private static String arrayOf(List<String> items) {
        List<String> parts = new ArrayList<>();
        for (String i : items) {
            parts.add('"' + i.replace("\\", "\\\\").replace("\"", "\\\"") + '"');
        }
        parts.add(Math.min(1, parts.size()), "NULL");
        return "{" + String.join(",", parts) + "}";
    }

    private static void results(Connection c, Map<String, List<String>> types) {
        types.forEach((ty, texts) -> {
            List<String[]> cases = new ArrayList<>();
            texts.forEach(t -> cases.add(new String[] {ty, t}));
            cases.add(new String[] {ty + "[]", "{}"});
            List<String> finite = texts.stream().filter(t -> !t.contains("BC") && !t.toLowerCase().contains("infinity") && !t.equals("NaN")).toList();
            cases.add(new String[] {ty + "[]", arrayOf(finite)});
            for (String[] each : cases) {
                String sql = "SELECT " + quoted(each[1]) + "::" + each[0];
                String name = each[0] + " " + (each[1].length() > 60 ? "all" : each[1]);
                scenario("result text " + name, () -> rows(c, sql));
                scenario("result binary " + name, () -> {
                    try (PreparedStatement s = c.prepareStatement(sql)) {
                        s.unwrap(org.postgresql.PGStatement.class).setPrepareThreshold(-1);
                        try (ResultSet r = s.executeQuery()) {
                            return row(r);
                        }
                    }
                });
                scenario("as string " + name, () -> {
                    try (Statement s = c.createStatement(); ResultSet r = s.executeQuery(sql)) {
                        r.next();
                        return r.getString(1);
                    }
                });
                scenario("parameter " + name, () -> {
                    Object value;
                    try (Statement s = c.createStatement(); ResultSet r = s.executeQuery(sql)) {
                        r.next();
                        value = r.getObject(1);
                    }
                    return one(c, "SELECT CAST(? AS " + each[0] + ")::text", value);
                });
                scenario("text parameter " + name, () -> one(c, "SELECT CAST(?::text AS " + each[0] + ")::text", each[1]));
            }
            scenario("null " + ty, () -> {
                try (PreparedStatement s = c.prepareStatement("SELECT CAST(? AS " + ty + ") IS NULL, CAST(NULL AS " + ty + ")")) {
                    s.setNull(1, Types.NULL);
                    try (ResultSet r = s.executeQuery()) {
                        return row(r);
                    }
                }
            });
            scenario("description " + ty, () -> {
                try (Statement s = c.createStatement(); ResultSet r = s.executeQuery("SELECT NULL::" + ty + " AS x, NULL::" + ty + "[] AS y")) {
                    return columns(r.getMetaData());
                }
            });
        });
    }

    private static List<Object> columns(ResultSetMetaData m) throws SQLException {
        List<Object> all = new ArrayList<>();
        for (int i = 1; i <= m.getColumnCount(); i++) {
            all.add(m.getColumnLabel(i) + " " + m.getColumnTypeName(i) + " " + m.getColumnType(i) + " " + m.getPrecision(i) + " " + m.getScale(i)
                + " " + m.getColumnDisplaySize(i) + " " + m.getColumnClassName(i) + " " + m.isSigned(i));
        }
        return all;
    }

    private static void parameters(Connection c) throws Exception {
        scenario("set int", () -> one(c, "SELECT ? + 1", 41));
        scenario("set long", () -> one(c, "SELECT ? + 1", 1L << 40));
        scenario("set string", () -> one(c, "SELECT ? || 'x'", "a"));
        scenario("set decimal", () -> one(c, "SELECT ?::numeric(10,3)", new BigDecimal("1.10")));
        scenario("set double", () -> one(c, "SELECT ? / 2", 3.0));
        scenario("set float", () -> one(c, "SELECT ?", 1.5f));
        scenario("set bool", () -> one(c, "SELECT NOT ?", true));
        scenario("set date", () -> one(c, "SELECT ?::date, ?::date + 1", LocalDate.of(2024, 2, 28), LocalDate.of(2024, 2, 28)));
        scenario("set time", () -> one(c, "SELECT ?::time", LocalTime.of(1, 2, 3)));
        scenario("set timestamp", () -> one(c, "SELECT ?::timestamp", LocalDateTime.of(2024, 1, 2, 3, 4, 5, 678000)));
        scenario("set timestamptz", () -> one(c, "SELECT ?::timestamptz::text", OffsetDateTime.of(2024, 1, 2, 3, 4, 5, 0, ZoneOffset.ofHours(8))));
        scenario("set sql timestamp", () -> one(c, "SELECT ?::text", new java.sql.Timestamp(0)));
        scenario("set sql date", () -> one(c, "SELECT ?::text", new java.sql.Date(0)));
        scenario("set uuid", () -> one(c, "SELECT ?", UUID.fromString("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11")));
        scenario("set bytes", () -> one(c, "SELECT ?", (Object) new byte[] {0, 1, -1}));
        scenario("set array", () -> one(c, "SELECT ?::int[], 2 = ANY(?)", c.createArrayOf("int4", new Object[] {1, null, 3}), c.createArrayOf("int4", new Object[] {1, 2})));
        scenario("set text array", () -> one(c, "SELECT ?::text[]", c.createArrayOf("text", new Object[] {"a", "b,\"c", null})));
        scenario("set jsonb", () -> {
            PGobject o = new PGobject();
            o.setType("jsonb");
            o.setValue("{\"a\": [1, null]}");
            return one(c, "SELECT ?, ?::jsonb", o, o);
        });
        scenario("set interval", () -> one(c, "SELECT ?::text", new org.postgresql.util.PGInterval(1, 2, 3, 4, 5, 6.5)));
        scenario("set text to int", () -> one(c, "SELECT ? + 1", "41"));
        scenario("set for comparison", () -> one(c, "SELECT count(*) FROM kinds WHERE a = ? AND b = ? AND d < ?", 1, "x", OffsetDateTime.now(ZoneOffset.UTC)));
        scenario("insert of all", () -> {
            try (PreparedStatement s = c.prepareStatement("INSERT INTO kinds VALUES (?, ?, ?, ?, ?, ?, ?)")) {
                s.setInt(1, 7);
                s.setString(2, "中文😀");
                s.setBigDecimal(3, new BigDecimal("12.345"));
                s.setObject(4, OffsetDateTime.of(2024, 1, 1, 0, 0, 0, 0, ZoneOffset.UTC));
                s.setString(5, "varying");
                s.setString(6, "ab");
                s.setArray(7, c.createArrayOf("int4", new Object[] {1, 2}));
                return s.executeUpdate();
            }
        });
        scenario("read back", () -> rows(c, "SELECT * FROM kinds"));
        for (int n = 1; n <= 12; n++) {
            final int run = n;
            scenario("prepared run " + n, () -> one(c, "SELECT ?::int * 2, ?::text, ?::float8, ?::timestamp", run, "t" + run, run / 4.0, LocalDateTime.of(2024, 1, 1, 0, run)));
        }
        try (PreparedStatement s = c.prepareStatement("SELECT ?::int, ?::numeric, ?::bigint, ?::timestamptz, ?::date, ?::bool, ?::bytea")) {
            for (int n = 1; n <= 8; n++) {
                s.setInt(1, n);
                s.setBigDecimal(2, new BigDecimal("12345.67890"));
                s.setLong(3, Long.MIN_VALUE);
                s.setObject(4, OffsetDateTime.of(2024, 1, 1, 0, 0, 0, 0, ZoneOffset.UTC));
                s.setObject(5, LocalDate.of(2024, 1, n));
                s.setBoolean(6, n % 2 == 0);
                s.setBytes(7, new byte[] {(byte) n});
                scenario("same statement run " + n, () -> {
                    try (ResultSet r = s.executeQuery()) {
                        return row(r);
                    }
                });
            }
        }
        String large = "中文 and more ".repeat(80_000);
        scenario("large text", () -> {
            try (PreparedStatement s = c.prepareStatement("SELECT ?::text")) {
                s.setString(1, large);
                try (ResultSet r = s.executeQuery()) {
                    return r.next() && r.getString(1).equals(large);
                }
            }
        });
        for (int count : new int[] {2000, 65536}) {
            scenario(count + " parameters", () -> {
                String marks = String.join(", ", java.util.Collections.nCopies(count, "(?::int)"));
                try (PreparedStatement s = c.prepareStatement("SELECT count(*) FROM (VALUES " + marks + ") AS v(a)")) {
                    for (int i = 1; i <= count; i++) {
                        s.setInt(i, i);
                    }
                    try (ResultSet r = s.executeQuery()) {
                        return row(r);
                    }
                }
            });
        }
        scenario("parameter metadata", () -> {
            try (PreparedStatement s = c.prepareStatement("SELECT ? + 1, ? || 'x', ?::date, ? = ANY(g) FROM kinds LIMIT ?")) {
                List<Object> all = new ArrayList<>();
                for (int i = 1; i <= s.getParameterMetaData().getParameterCount(); i++) {
                    all.add(s.getParameterMetaData().getParameterTypeName(i));
                }
                all.addAll(columns(s.getMetaData()));
                return all;
            }
        });
    }

    private static void errors(Connection c, List<String> statements) {
        for (String sql : statements) {
            scenario("error simple " + sql, () -> {
                try (Statement s = c.createStatement()) {
                    return s.execute(sql);
                }
            });
            scenario("error prepared " + sql, () -> {
                try (PreparedStatement s = c.prepareStatement(sql)) {
                    return s.execute();
                }
            });
        }
        scenario("warning", () -> {
            try (Statement s = c.createStatement()) {
                s.execute("DROP TABLE IF EXISTS nosuch");
                return s.getWarnings().getMessage() + " " + s.getWarnings().getSQLState();
            }
        });
    }

    private static void transactions(Connection c) throws Exception {
        run(c, "CREATE TABLE tx (a integer)");
        c.setAutoCommit(false);
        scenario("failed block", () -> {
            run(c, "INSERT INTO tx VALUES (1)");
            List<Object> said = new ArrayList<>();
            for (String sql : List.of("SELECT 1 / 0", "SELECT 1")) {
                try {
                    run(c, sql);
                } catch (SQLException e) {
                    said.add(failure(e));
                }
            }
            c.rollback();
            return said;
        });
        scenario("savepoint", () -> {
            run(c, "INSERT INTO tx VALUES (2)");
            Savepoint s = c.setSavepoint("here");
            try {
                run(c, "SELECT nosuch");
            } catch (SQLException e) {
                c.rollback(s);
            }
            run(c, "INSERT INTO tx VALUES (3)");
            c.releaseSavepoint(s);
            c.commit();
            return rows(c, "SELECT a FROM tx ORDER BY a");
        });
        c.rollback();
        scenario("fetch size", () -> {
            try (Statement s = c.createStatement()) {
                s.setFetchSize(7);
                long sum = 0;
                try (ResultSet r = s.executeQuery("SELECT i, 'row ' || i FROM generate_series(1, 1000) AS g(i)")) {
                    while (r.next()) {
                        sum += r.getInt(1) + r.getString(2).length();
                    }
                }
                return sum;
            }
        });
        scenario("two at a time", () -> {
            try (Statement a = c.createStatement(); Statement b = c.createStatement()) {
                a.setFetchSize(2);
                b.setFetchSize(3);
                ResultSet x = a.executeQuery("SELECT generate_series(1, 9)");
                ResultSet y = b.executeQuery("SELECT generate_series(101, 109)");
                List<Object> seen = new ArrayList<>();
                while (x.next() && y.next()) {
                    seen.add(x.getInt(1) + y.getInt(1));
                }
                return seen;
            }
        });
        scenario("fetch size and an error", () -> {
            try (Statement s = c.createStatement()) {
                s.setFetchSize(2);
                List<Object> seen = new ArrayList<>();
                try (ResultSet r = s.executeQuery("SELECT 10 / (5 - i) FROM generate_series(1, 9) AS g(i)")) {
                    while (r.next()) {
                        seen.add(r.getInt(1));
                    }
                } catch (SQLException e) {
                    seen.add(failure(e));
                }
                return seen;
            }
        });
        c.rollback();
        scenario("max rows", () -> {
            try (Statement s = c.createStatement()) {
                s.setMaxRows(3);
                int n = 0;
                try (ResultSet r = s.executeQuery("SELECT generate_series(1, 1000)")) {
                    while (r.next()) {
                        n++;
                    }
                }
                return n;
            }
        });
        c.rollback();
        scenario("scrolling", () -> {
            try (Statement s = c.createStatement(ResultSet.TYPE_SCROLL_INSENSITIVE, ResultSet.CONCUR_READ_ONLY);
                ResultSet r = s.executeQuery("SELECT generate_series(1, 10)")) {
                r.last();
                int last = r.getInt(1);
                r.absolute(3);
                return last * 100 + r.getInt(1);
            }
        });
        c.commit();
        for (int level : new int[] {Connection.TRANSACTION_READ_COMMITTED, Connection.TRANSACTION_REPEATABLE_READ, Connection.TRANSACTION_SERIALIZABLE}) {
            scenario("level " + level, () -> {
                c.setTransactionIsolation(level);
                Object shown = one(c, "SHOW transaction_isolation");
                c.rollback();
                return c.getTransactionIsolation() + " " + shown;
            });
        }
        c.rollback();
        c.setTransactionIsolation(Connection.TRANSACTION_READ_COMMITTED);
        scenario("read only", () -> {
            c.setReadOnly(true);
            try {
                run(c, "INSERT INTO tx VALUES (9)");
                return "taken";
            } finally {
                c.rollback();
                c.setReadOnly(false);
            }
        });
        c.setAutoCommit(true);
        scenario("batch", () -> {
            try (PreparedStatement s = c.prepareStatement("INSERT INTO tx VALUES (?)")) {
                for (int n = 0; n < 300; n++) {
                    s.setInt(1, n);
                    s.addBatch();
                }
                return Arrays.stream(s.executeBatch()).sum();
            }
        });
        scenario("broken batch", () -> {
            try (Statement s = c.createStatement()) {
                s.addBatch("INSERT INTO tx VALUES (1000)");
                s.addBatch("INSERT INTO tx VALUES (1 / 0)");
                s.addBatch("INSERT INTO tx VALUES (1001)");
                return s.executeBatch().length;
            }
        });
        scenario("after the batch", () -> rows(c, "SELECT count(*), count(*) FILTER (WHERE a >= 1000) FROM tx"));
        scenario("several", () -> {
            try (Statement s = c.createStatement()) {
                List<Object> said = new ArrayList<>();
                boolean rows = s.execute("SELECT 1; INSERT INTO tx VALUES (5); SELECT 'x'");
                while (rows || s.getUpdateCount() >= 0) {
                    said.add(rows ? row(s.getResultSet()) : s.getUpdateCount());
                    rows = s.getMoreResults();
                }
                return said;
            }
        });
    }

    private static void copies(Connection c) throws Exception {
        run(c, "CREATE TABLE cp (id integer, name text)");
        CopyManager copy = c.unwrap(PGConnection.class).getCopyAPI();
        scenario("copy in", () -> copy.copyIn("COPY cp FROM STDIN", new StringReader("1\tnaïve\n2\t\\N\n")));
        scenario("copy csv in", () -> copy.copyIn("COPY cp FROM STDIN CSV", new StringReader("3,\"a, b\"\n")));
        scenario("copy wrong", () -> copy.copyIn("COPY cp FROM STDIN", new StringReader("x\ty\n")));
        for (String format : List.of("text", "csv", "binary")) {
            scenario("copy out " + format, () -> {
                ByteArrayOutputStream out = new ByteArrayOutputStream();
                long n = copy.copyOut("COPY (SELECT * FROM cp ORDER BY id) TO STDOUT (FORMAT " + format + ")", out);
                return n + " " + out.toString(StandardCharsets.ISO_8859_1);
            });
        }
        scenario("copy of what fails", () -> copy.copyOut("COPY (SELECT 1 / 0) TO STDOUT", new ByteArrayOutputStream()));
    }

    private static void prepared(Connection c) throws Exception {
        run(c, "CREATE TABLE shifting (a integer)");
        run(c, "INSERT INTO shifting VALUES (1)");
        try (PreparedStatement s = c.prepareStatement("SELECT * FROM shifting")) {
            Ask read = () -> {
                try (ResultSet r = s.executeQuery()) {
                    return row(r);
                }
            };
            for (int n = 1; n <= 7; n++) {
                scenario("prepared " + n, read);
            }
            run(c, "ALTER TABLE shifting ADD COLUMN b text");
            scenario("prepared after a column more", read);
            scenario("and again", read);
            run(c, "DROP TABLE shifting");
            scenario("prepared after drop", read);
        }
    }

    private static void metadata(Connection c, String database) {
        scenario("product", () -> c.getMetaData().getDatabaseProductName() + " " + c.getMetaData().getDatabaseMajorVersion());
        scenario("catalog", () -> c.getCatalog().equals(database) + " " + c.getSchema());
        scenario("tables", () -> {
            try (ResultSet r = c.getMetaData().getTables(null, "public", "%", new String[] {"TABLE"})) {
                List<Object> all = new ArrayList<>();
                while (r.next()) {
                    all.add(r.getString("TABLE_SCHEM") + "." + r.getString("TABLE_NAME") + " " + r.getString("TABLE_TYPE"));
                }
                return all;
            }
        });
        scenario("columns", () -> {
            try (ResultSet r = c.getMetaData().getColumns(null, "public", "kinds", "%")) {
                List<Object> all = new ArrayList<>();
                while (r.next()) {
                    all.add(r.getString("COLUMN_NAME") + " " + r.getInt("DATA_TYPE") + " " + r.getString("TYPE_NAME") + " " + r.getInt("COLUMN_SIZE") + " "
                        + r.getInt("DECIMAL_DIGITS") + " " + r.getString("IS_NULLABLE") + " " + r.getInt("ORDINAL_POSITION"));
                }
                return all;
            }
        });
        scenario("schemas", () -> {
            try (ResultSet r = c.getMetaData().getSchemas()) {
                List<Object> all = new ArrayList<>();
                while (r.next()) {
                    all.add(r.getString(1));
                }
                return all.contains("public") && all.contains("pg_catalog");
            }
        });
        scenario("primary keys", () -> {
            try (ResultSet r = c.getMetaData().getPrimaryKeys(null, "public", "kinds")) {
                return r.next();
            }
        });
    }

    private static void stopping(Connection c) throws Exception {
        scenario("cancel", () -> {
            try (Statement s = c.createStatement()) {
                new Thread(() -> {
                    try {
                        Thread.sleep(300);
                        s.cancel();
                    } catch (Exception e) {
                        System.out.println("cancelling: " + e);
                    }
                }).start();
                s.executeQuery(ENDLESS);
                return "not cancelled";
            }
        });
        scenario("query timeout", () -> {
            try (Statement s = c.createStatement()) {
                s.setQueryTimeout(1);
                s.executeQuery(ENDLESS);
                return "not cancelled";
            }
        });
        run(c, "SET statement_timeout = 200");
        scenario("statement timeout", () -> rows(c, ENDLESS));
        run(c, "RESET statement_timeout");
        scenario("after", () -> rows(c, "SELECT 1"));
        scenario("valid", () -> c.isValid(2));
        scenario("unknown database", () -> DriverManager.getConnection("jdbc:postgresql://127.0.0.1:" + System.getenv("PGPORT") + "/nosuch?user=sightline"));
    }

    /** The table of `values.json`: one key a line, so that no parser is needed. */
    private static Map<String, List<String>> table(String key) throws Exception {
        Path folder = Path.of(System.getenv("SIGHTLINE_CLIENTS"));
        Map<String, List<String>> found = new LinkedHashMap<>();
        String section = "";
        for (String line : Files.readAllLines(folder.resolve("values.json"))) {
            String text = line.strip();
            if (text.endsWith("{") || text.endsWith("[")) {
                section = text.split("\"").length > 1 ? text.split("\"")[1] : "";
            } else if (section.equals(key) && text.startsWith("\"")) {
                List<String> strings = strings(text);
                found.put(strings.get(0), strings.subList(1, strings.size()));
            }
        }
        return found;
    }

    /** The JSON strings of a line. */
    private static List<String> strings(String line) {
        List<String> all = new ArrayList<>();
        StringBuilder text = null;
        for (int i = 0; i < line.length(); i++) {
            char ch = line.charAt(i);
            if (text == null) {
                text = ch == '"' ? new StringBuilder() : null;
            } else if (ch == '"') {
                all.add(text.toString());
                text = null;
            } else if (ch == '\\') {
                char next = line.charAt(++i);
                text.append(next == 'n' ? '\n' : next == 't' ? '\t' : next);
            } else {
                text.append(ch);
            }
        }
        return all;
    }

    public static void main(String[] arguments) throws Exception {
        TimeZone.setDefault(TimeZone.getTimeZone("UTC"));
        System.setOut(new java.io.PrintStream(new java.io.FileOutputStream(java.io.FileDescriptor.out), true, "UTF-8"));
        String database = System.getenv("PGDATABASE");
        Properties p = new Properties();
        p.setProperty("user", System.getenv("PGUSER"));
        p.setProperty("sslmode", "disable");
        try (Connection c = DriverManager.getConnection("jdbc:postgresql://127.0.0.1:" + System.getenv("PGPORT") + "/" + database, p)) {
            run(c, "CREATE TABLE kinds (a integer, b text, c numeric(8,2), d timestamptz, e varchar(20), f char(3), g integer[])");
            run(c, "CREATE TABLE strict (a integer NOT NULL CHECK (a > 0))");
            run(c, "CREATE TABLE short (a varchar(3))");
            results(c, table("types"));
            parameters(c);
            errors(c, table("errors").keySet().stream().filter(s -> !s.startsWith("COPY")).toList());
            transactions(c);
            copies(c);
            prepared(c);
            metadata(c, database);
            stopping(c);
        }
    }
}
