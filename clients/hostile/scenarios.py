"""No driver: bytes that a client should not send, and what the server answers to them, message by message.

Each scenario has a connection of its own. Its line tells the messages that came back, whether the connection then still
answers `SELECT 1`, and how it ended.
"""

import base64
import hashlib
import hmac
import os
import socket
import struct
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from scenarios import TYPES, say

HOST, PORT = os.environ["PGHOST"], int(os.environ["PGPORT"])
USER, DATABASE = os.environ["PGUSER"], os.environ["PGDATABASE"]
PATIENCE = 5


def message(kind: bytes, body: bytes = b"") -> bytes:
    return kind + struct.pack("!I", len(body) + 4) + body


def packet(body: bytes) -> bytes:
    return struct.pack("!I", len(body) + 4) + body


def startup(version=196608, tail=b"\0", **parameters) -> bytes:
    body = struct.pack("!I", version)
    for name, value in parameters.items():
        body += name.encode() + b"\0" + (value if isinstance(value, bytes) else value.encode()) + b"\0"
    return packet(body + tail)


def query(sql) -> bytes:
    return message(b"Q", (sql if isinstance(sql, bytes) else sql.encode()) + b"\0")


def parse(sql, name=b"", oids=()) -> bytes:
    return message(b"P", name + b"\0" + sql.encode() + b"\0" + struct.pack("!H", len(oids)) + b"".join(struct.pack("!I", o) for o in oids))


def bind(values=(), formats=(), results=(), portal=b"", statement=b"") -> bytes:
    body = portal + b"\0" + statement + b"\0" + struct.pack("!H", len(formats)) + b"".join(struct.pack("!h", f) for f in formats)
    body += struct.pack("!H", len(values))
    for value in values:
        body += struct.pack("!i", -1) if value is None else struct.pack("!i", len(value)) + value
    return message(b"B", body + struct.pack("!H", len(results)) + b"".join(struct.pack("!h", r) for r in results))


def describe(kind=b"P", name=b"") -> bytes:
    return message(b"D", kind + name + b"\0")


def execute(portal=b"", rows=0) -> bytes:
    return message(b"E", portal + b"\0" + struct.pack("!i", rows))


SYNC = message(b"S")
ONE = query("SELECT 1")


class Wire:
    """A connection whose every message is told in a word."""

    def __init__(self):
        self.socket = socket.create_connection((HOST, PORT), PATIENCE)
        self.buffer = b""

    def send(self, data):
        try:
            self.socket.sendall(data)
        except OSError:
            pass

    def read(self):
        """The next message; none at the end."""
        while len(self.buffer) < 5 or len(self.buffer) < 1 + struct.unpack("!I", self.buffer[1:5])[0]:
            try:
                piece = self.socket.recv(65536)
            except ConnectionError:
                return None
            if not piece:
                return None
            self.buffer += piece
        end = 1 + struct.unpack("!I", self.buffer[1:5])[0]
        kind, body = self.buffer[:1], self.buffer[5:end]
        self.buffer = self.buffer[end:]
        return kind, body

    def leave(self):
        """No more is sent."""
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def until(self, kinds):
        """Words of all messages up to one of these kinds, or to the end."""
        words = []
        while True:
            try:
                found = self.read()
            except TimeoutError:
                return [*words, "silence"]
            if found is None:
                return [*words, "closed"]
            kind, body = found
            # Settings and the key are compared elsewhere.
            if kind not in b"SK":
                words.append(word(kind, body))
            if kind in kinds:
                return words

    def login(self):
        self.send(startup(user=USER, database=DATABASE))
        words = self.until(b"ZE")
        if not words[-1].startswith("ready"):
            raise SystemExit(f"no login: {words}")
        return self


def fields(body):
    return {f[:1].decode(): f[1:].decode(errors="replace") for f in body.split(b"\0") if f}


def word(kind, body):
    """A message as a word."""
    if kind in b"EN":
        f = fields(body)
        extra = "".join(f" {k}={f[k]}" for k in "DHPW" if k in f)
        return f"{f['S']} {f['C']} {f['M']}{extra}"
    if kind == b"Z":
        return f"ready {body.decode()}"
    if kind == b"C":
        return body[:-1].decode()
    if kind == b"D":
        return "row " + body[2:42].hex()
    if kind == b"R":
        return f"auth {struct.unpack('!I', body[:4])[0]}"
    if kind == b"T":
        return f"columns {struct.unpack('!H', body[:2])[0]}"
    return {b"1": "parsed", b"2": "bound", b"3": "closed it", b"I": "empty", b"n": "no data", b"s": "suspended", b"t": "parameters",
            b"G": "copy in", b"H": "copy out", b"d": "data", b"c": "copy done", b"v": "version"}.get(kind, repr(kind))


def tell(name, *pieces, ready=1, then=True):
    """After login: sends the pieces, and asks whether it goes on."""
    wire = Wire().login()
    wire.send(b"".join(pieces))
    words = []
    for _ in range(ready):
        words += wire.until(b"Z")
        if words[-1] in ("closed", "silence"):
            break
    if then and words[-1] != "closed":
        wire.send(ONE)
        words += ["then", *wire.until(b"Z")]
    wire.socket.close()
    say(name, " | ".join(words))


def before(name, data, half=False):
    """Before login: sends bytes, and nothing more with `half`."""
    wire = Wire()
    wire.send(data)
    if half:
        wire.leave()
    say(name, " | ".join(wire.until(b"Z")))
    wire.socket.close()


def startups():
    login = {"user": USER, "database": DATABASE}
    before("startup plain", startup(**login))
    for length in (0, 3, 4, 7, 10001, 1 << 30, 0xFFFFFFFF):
        before(f"startup of length {length}", struct.pack("!I", length) + b"\0\3\0\0user\0x\0\0", half=True)
    for major, minor in ((0, 0), (1, 0), (2, 0), (3, 1), (3, 99), (4, 0), (9999, 9999)):
        before(f"version {major}.{minor}", startup((major << 16) + minor, **login))
    before("no user", startup(database=DATABASE))
    before("empty user", startup(user="", database=DATABASE))
    before("no parameters", packet(struct.pack("!I", 196608)))
    before("no terminator", startup(tail=b"", **login))
    before("name without a value", startup(tail=b"name\0\0", **login))
    before("more after the terminator", startup(tail=b"\0more", **login))
    before("unknown database", startup(user=USER, database="nosuch"))
    before("unknown role", startup(user="nosuch", database=DATABASE))
    before("unknown setting", startup(nosuch="1", **login))
    before("setting of an extension", startup(**login, **{"my.setting": "1"}))
    before("protocol option", startup(**login, **{"_pq_.nosuch": "1"}))
    before("wrong setting", startup(statement_timeout="x", **login))
    before("setting that may not be set", startup(server_version="1", **login))
    before("wrong option", startup(options="-c", **login))
    before("wrong option -z", startup(options="-z", **login))
    before("replication", startup(replication="maybe", **login))
    before("long user", startup(user="x" * 100, database=DATABASE))
    before("role is no utf8", startup(user=b"\xff\xfe", database=DATABASE))
    before("HTTP", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", half=True)
    before("cancel of nobody", packet(struct.pack("!III", 80877102, 1, 2)))
    before("short cancel", packet(struct.pack("!II", 80877102, 1)))
    before("nothing", b"", half=True)
    before("query before login", ONE, half=True)
    before("half a packet", startup(**login)[:20], half=True)


def framing():
    for kind in b"!\0a0zRZ":
        tell(f"message type {kind}", message(bytes([kind]), b"what"), then=False)
    for kind in b"QPBDCEHSFdcfX":
        for length in (0, 3, 0x40000000, 0x7FFFFFFF, 0xFFFFFFFF):
            tell(f"{chr(kind)} of length {length}", bytes([kind]) + struct.pack("!I", length), then=False)
    for kind in b"DCEHSc":
        tell(f"{chr(kind)} of 10001 bytes", message(bytes([kind]), b"S" + b"x" * 10000), then=False)
    tell("S with a body", message(b"S", b"x"))
    tell("H with a body", message(b"H", b"x"), SYNC)
    tell("Q without its end", message(b"Q", b"SELECT 1"))
    tell("Q empty", message(b"Q"))
    tell("Q with more", message(b"Q", b"SELECT 1\0more"))
    tell("Q no utf8", query(b"SELECT '\xff'"))
    tell("Q cut utf8", query(b"SELECT '\xe4\xb8'"))
    tell("Q overlong utf8", query(b"SELECT '\xc0\x80'"))
    tell("Q surrogate", query(b"SELECT '\xed\xa0\x80'"))
    tell("password after login", message(b"p", b"secret\0"), then=False)
    tell("terminate, then more", message(b"X"), ONE, then=False)
    tell("function call", message(b"F", struct.pack("!IHHHHH", 1, 0, 0, 0, 0, 0)))
    tell("flush storm", message(b"H") * 500, SYNC)
    tell("sync storm", SYNC * 200, ready=200)
    tell("empty query storm", query("") * 100, ready=100)


def orders():
    tell("bind without parse", bind(), SYNC)
    tell("bind of a name", bind(statement=b"nosuch"), SYNC)
    tell("execute without bind", execute(), SYNC)
    tell("execute of a name", execute(b"nosuch"), SYNC)
    tell("describe without parse", describe(b"S"), SYNC)
    tell("describe without bind", describe(b"P"), SYNC)
    tell("describe of what", describe(b"X"), SYNC)
    tell("close of what", message(b"C", b"Xname\0"), SYNC)
    tell("close of nothing", message(b"C", b"Snosuch\0"), message(b"C", b"Pnosuch\0"), SYNC)
    tell("parse twice", parse("SELECT 1", b"s"), parse("SELECT 2", b"s"), SYNC)
    tell("parse unnamed twice", parse("SELECT 1"), parse("SELECT 2"), bind(), execute(), SYNC)
    tell("two statements", parse("SELECT 1; SELECT 2"), SYNC)
    tell("an empty statement", parse(""), bind(), describe(), execute(), SYNC)
    tell("bind twice", parse("SELECT 1"), bind(portal=b"p"), bind(portal=b"p"), SYNC)
    tell("execute twice", parse("SELECT 1"), bind(), execute(), execute(), SYNC)
    tell("execute of an insert twice", query("CREATE TABLE once (a int)"), parse("INSERT INTO once VALUES (1)"), bind(), execute(), execute(), SYNC, ready=2)
    tell("portal after sync", parse("SELECT 1"), bind(), SYNC, execute(), SYNC, ready=2)
    tell("portal in pieces", parse("SELECT generate_series(1, 5)"), bind(), execute(rows=2), execute(rows=2), execute(rows=2), execute(rows=2), SYNC)
    tell("rows below zero", parse("SELECT generate_series(1, 3)"), bind(), execute(rows=-5), SYNC)
    tell("after an error", parse("SELECT nosuch"), bind(), execute(), parse("SELECT 1"), bind(), SYNC)
    tell("query within a pipeline", parse("SELECT 1"), bind(), ONE, SYNC, ready=2)
    tell("query within a failed pipeline", parse("SELECT nosuch"), ONE, SYNC)
    tell("error, flush, sync", parse("SELECT nosuch"), message(b"H"), SYNC)
    tell("begin in a pipeline", parse("BEGIN"), bind(), execute(), parse("SELECT 1 / 0"), bind(), execute(), SYNC)
    tell("no such type", parse("SELECT $1", oids=[999999]), SYNC)
    tell("parameter types that differ", parse("SELECT $1::int", oids=[25]), describe(b"S"), SYNC)
    tell("a parameter too far", parse("SELECT $70000"), SYNC)
    tell("parameter 0", parse("SELECT $0"), SYNC)
    tell("a gap of parameters", parse("SELECT $3::int"), describe(b"S"), SYNC)
    tell("statement name without its end", message(b"P", b"name"), SYNC)
    tell("parse cut", message(b"P", b"\0SELECT 1\0\0\5\0\0"), SYNC)
    tell("parse with more", message(b"P", b"\0SELECT 1\0\0\0more"), SYNC)
    tell("bind cut", parse("SELECT 1"), message(b"B", b"\0\0\0"), SYNC)
    tell("execute cut", parse("SELECT 1"), bind(), message(b"E", b"\0\0"), SYNC)
    tell("close cut", message(b"C", b"S"), SYNC)
    tell("name of a statement no utf8", message(b"P", b"\xff\0SELECT 1\0\0\0"), SYNC)
    tell("name of a portal no utf8", parse("SELECT 1"), bind(portal=b"\xff"), SYNC)


def binds():
    two = parse("SELECT $1::int, $2::text")
    tell("too few values", two, bind([b"1"]), SYNC)
    tell("too many values", two, bind([b"1", b"2", b"3"]), SYNC)
    tell("too many formats", two, bind([b"1", b"2"], [0, 0, 0]), SYNC)
    tell("one format for two", two, bind([b"1", b"2"], [0]), execute(), SYNC)
    tell("format 2", two, bind([b"1", b"2"], [2]), SYNC)
    tell("format -1", two, bind([b"1", b"2"], [-1]), SYNC)
    tell("too many result formats", two, bind([b"1", b"2"], [], [0, 0, 0]), execute(), SYNC)
    tell("result format 7", two, bind([b"1", b"2"], [], [7]), execute(), SYNC)
    tell("result formats of a statement without rows", parse("BEGIN"), bind([], [], [1, 1]), execute(), SYNC)
    tell("nul in text", two, bind([b"1", b"a\0b"]), SYNC)
    tell("no utf8 in text", two, bind([b"1", b"a\xff"]), SYNC)
    tell("nul in text, binary", two, bind([b"\0\0\0\1", b"a\0b"], [1]), SYNC)
    tell("no utf8 in text, binary", two, bind([b"\0\0\0\1", b"\xe4\xb8"], [1]), SYNC)
    tell("not a number", two, bind([b"x", b""]), SYNC)
    tell("value length -2", two, message(b"B", b"\0\0\0\0\0\2" + struct.pack("!i", -2) + struct.pack("!i", 0) + b"\0\0"), SYNC)
    tell("value beyond the end", two, message(b"B", b"\0\0\0\0\0\2" + struct.pack("!i", 100) + b"x"), SYNC)
    tell("value length of 1 GB", two, message(b"B", b"\0\0\0\0\0\2" + struct.pack("!i", 0x3FFFFFFF) + b"x"), SYNC)
    tell("65535 values announced", two, message(b"B", b"\0\0\0\0\xff\xff"), SYNC)
    tell("65535 formats announced", two, message(b"B", b"\0\0\xff\xff"), SYNC)
    tell("bind with more", two, message(b"B", bind([b"1", b"2"])[5:] + b"more"), SYNC)
    many = b"".join(struct.pack("!i", -1) for _ in range(65535))
    tell("65535 NULLs for two", two, message(b"B", b"\0\0\0\0\xff\xff" + many + b"\0\0"), SYNC)
    # In a transaction block of a wrong binary value nothing is left.
    for ty in [*TYPES, "integer[]", "text[]", "numeric[]"]:
        for data in (b"", b"\1", b"\0\0\0", b"\0" * 5, b"\xff" * 9, b"\x7f" * 17):
            tell(f"binary {ty} of {len(data)} bytes {data[:2].hex()}", parse(f"SELECT $1::{ty}"), bind([data], [1]), execute(), SYNC, then=False)
    for ty, data, what in [
        ("boolean", b"\2", "of 2"), ("real", struct.pack("!f", float("nan")), "nan"), ("double precision", struct.pack("!d", float("-inf")), "-inf"),
        ("date", struct.pack("!i", 0x7FFFFFFE), "far"), ("date", struct.pack("!i", -0x80000000), "-infinity"), ("date", struct.pack("!i", -2451546), "before 4713 BC"),
        ("timestamp", struct.pack("!q", 0x7FFFFFFFFFFFFFFE), "far"), ("timestamp", struct.pack("!q", -0x8000000000000000), "-infinity"), ("timestamptz", struct.pack("!q", -0x7FFFFFFFFFFFFFFF), "far"),
        ("time", struct.pack("!q", 86400000000), "24:00"), ("time", struct.pack("!q", 86400000001), "beyond 24:00"), ("time", struct.pack("!q", -1), "below 0"),
        ("interval", struct.pack("!qii", 0x7FFFFFFFFFFFFFFF, 0x7FFFFFFF, 0x7FFFFFFF), "far"), ("interval", struct.pack("!qii", -1, 2, -3), "mixed"),
        ("numeric", struct.pack("!hhHH", 0, 0, 0, 0), "0"), ("numeric", struct.pack("!hhHHH", 1, 0, 0, 0, 10000), "digit 10000"), ("numeric", struct.pack("!hhHHH", 1, 0, 0x1234, 0, 1), "sign"),
        ("numeric", struct.pack("!hhHH", 1, 0, 0, 0), "digits missing"), ("numeric", struct.pack("!hhHHH", 1, 0, 0, 20000, 1), "scale 20000"), ("numeric", struct.pack("!hhHHH", 1, 0, 0, 0, 1) + b"x", "with more"),
        ("numeric", struct.pack("!hhHH", 0, 0, 0xC000, 0), "NaN"), ("numeric", struct.pack("!hhHH", 0, 0, 0xD000, 0), "Infinity"), ("numeric", struct.pack("!hhHH", -1, 0, 0, 0), "digits below 0"),
        ("numeric(4,2)", struct.pack("!hhHHH", 1, 0, 0, 0, 100), "too large"), ("jsonb", b"\2{}", "version 2"), ("jsonb", b"\1{", "broken"), ("json", b"{", "broken"), ("jsonb", b"\1\"\\u0000\"", "nul"),
        ("varchar(3)", b"abcd", "too long"), ("char(3)", b"a", "short"), ("uuid", b"\1" * 16, "right"), ("bytea", b"\0\xff", "right"), ("text", b"\0", "nul"),
    ]:
        tell(f"binary {ty} {what}", parse(f"SELECT $1::{ty}::text"), bind([data], [1]), execute(), SYNC, then=False)
    word = lambda *numbers: b"".join(struct.pack("!i", n) for n in numbers)
    for what, data in [
        ("empty", word(0, 0, 23)), ("of one", word(1, 0, 23, 1, 1, 4, 7)), ("lower bound 5", word(1, 0, 23, 1, 5, 4, 7)), ("NULL", word(1, 1, 23, 1, 1, -1)),
        ("7 dimensions", word(7, 0, 23) + word(1, 1) * 7 + word(4, 7)), ("dimensions below 0", word(-1, 0, 23)), ("flags 2", word(1, 2, 23, 1, 1, 4, 7)), ("another type", word(1, 0, 25, 1, 1, 4, 7)),
        ("no type", word(1, 0, 0, 1, 1, 4, 7)), ("length below 0", word(1, 0, 23, -1, 1)), ("2 billion elements", word(1, 0, 23, 0x7FFFFFFF, 1)), ("overflow", word(2, 0, 23, 0x10000, 1, 0x10000, 1)),
        ("element too short", word(1, 0, 23, 1, 1, 3) + b"abc"), ("element beyond the end", word(1, 0, 23, 1, 1, 100) + b"abc"), ("element length -2", word(1, 0, 23, 1, 1, -2)),
        ("with more", word(1, 0, 23, 1, 1, 4, 7, 8)), ("cut", word(1, 0, 23, 2, 1, 4, 7)), ("lower bound overflow", word(1, 0, 23, 2, 0x7FFFFFFF, 4, 7, 4, 8)),
    ]:
        tell(f"binary integer[] {what}", parse("SELECT $1::integer[]::text"), bind([data], [1]), execute(), SYNC, then=False)


def copies():
    table = query("CREATE TABLE IF NOT EXISTS hostile_cp (a int, b text)")
    copy = query("COPY hostile_cp FROM STDIN")
    data, done = message(b"d", b"1\tx\n"), message(b"c")
    into = lambda name, *pieces, **more: tell(name, table, *pieces, **{"ready": 2, **more})
    into("copy", copy, data, done)
    into("copy in bits", copy, *(message(b"d", bytes([b])) for b in b"1\tx\n2\ty\n"), done)
    into("copy without its last line end", copy, message(b"d", b"1\tx"), done)
    into("copy of nothing", copy, done)
    into("copy failed", copy, data, message(b"f", b"given up\0"))
    into("copy failed without an end", copy, data, message(b"f", b"given up"))
    into("data after CopyFail", copy, message(b"f", b"x\0"), data, data, done)
    into("data after CopyDone", copy, data, done, data, done)
    into("data after an error", copy, message(b"d", b"x\ty\n"), data, data, done)
    into("flush and sync in a copy", copy, data, message(b"H"), SYNC, data, done)
    into("query in a copy", copy, data, ONE, then=False)
    into("parse in a copy", copy, data, parse("SELECT 1"), SYNC, then=False)
    into("unknown message in a copy", copy, data, message(b"!"), then=False)
    into("terminate in a copy", copy, data, message(b"X"), then=False)
    into("end marker, then more", copy, message(b"d", b"1\tx\n\\.\n2\ty\n"), done)
    into("no utf8", copy, message(b"d", b"1\t\xff\n"), done)
    into("nul", copy, message(b"d", b"1\ta\0b\n"), done)
    into("too many columns", copy, message(b"d", b"1\tx\ty\n"), done)
    into("missing columns", copy, message(b"d", b"1\n"), done)
    into("mixed line ends", copy, message(b"d", b"1\tx\r\n2\ty\n"), done)
    into("copy by the extended protocol", parse("COPY hostile_cp FROM STDIN"), bind(), describe(), execute(), SYNC, data, done, SYNC, ready=3)
    into("copy by the extended protocol failed", parse("COPY hostile_cp FROM STDIN"), bind(), execute(), data, message(b"f", b"no\0"), SYNC)
    tell("copy data outside", data, done, message(b"f", b"x\0"))
    tell("copy out of what fails", query("COPY (SELECT 1 / (i - 3) FROM generate_series(1, 5) AS g(i)) TO STDOUT"))


def scram():
    """SCRAM-SHA-256 by hand, so that each step can be wrong. The role is `with_password`, its password `right`."""
    admin = Wire().login()
    for sql in ("CREATE ROLE with_password LOGIN PASSWORD 'right'", "CREATE ROLE expired LOGIN PASSWORD 'right' VALID UNTIL '2020-01-01'",
                "CREATE ROLE without_login NOLOGIN PASSWORD 'right'"):
        admin.send(query(sql))
        admin.until(b"Z")

    def attempt(name, user="with_password", password="right", database=DATABASE, mechanism=b"SCRAM-SHA-256", header="n,,", first=None, nonce=lambda n: n,
                binding=None, proof=lambda p: p, final=None, length=None, tail=""):
        wire = Wire()
        wire.send(startup(user=user, database=database))
        found = wire.read()
        if found is None or found[0] != b"R" or struct.unpack("!I", found[1][:4])[0] != 10:
            return say(f"scram {name}", f"no demand: {word(*found) if found else 'closed'}")
        mechanisms = found[1][4:].strip(b"\0").decode()
        bare = "n=,r=clientnonce0123456789"
        begin = (first if first is not None else header + bare).encode()
        wire.send(message(b"p", mechanism + b"\0" + struct.pack("!i", len(begin) if length is None else length) + begin))
        found = wire.read()
        if found is None or found[0] != b"R":
            return say(f"scram {name}", f"{mechanisms}: {word(*found) if found else 'closed'}")
        server = found[1][4:].decode()
        parts = dict(p.split("=", 1) for p in server.split(","))
        salted = hashlib.pbkdf2_hmac("sha256", password.encode(), base64.b64decode(parts["s"]), int(parts["i"]))
        client_key = hmac.digest(salted, b"Client Key", "sha256")
        channel = base64.b64encode((header if binding is None else binding).encode()).decode()
        unproved = f"c={channel},r={nonce(parts['r'])}"
        signature = hmac.digest(hashlib.sha256(client_key).digest(), f"{bare},{server},{unproved}".encode(), "sha256")
        proved = bytes(a ^ b for a, b in zip(client_key, signature))
        text = f"{unproved},p={base64.b64encode(proof(proved)).decode()}{tail}" if final is None else final
        wire.send(message(b"p", text.encode("latin1")))
        say(f"scram {name}", " | ".join([mechanisms, *wire.until(b"Z")]))
        wire.socket.close()

    attempt("right")
    attempt("wrong password", password="wrong")
    attempt("right with flag y", header="y,,")
    attempt("flag p", header="p=tls-server-end-point,,")
    attempt("flag unknown", header="z,,")
    attempt("authorization identity", header="n,a=other,")
    attempt("no header", first="n=,r=abc")
    attempt("empty first message", first="")
    attempt("extension", first="n,,m=1,n=,r=abc")
    attempt("no nonce", first="n,,n=")
    attempt("empty nonce", first="n,,n=,r=")
    attempt("unprintable nonce", first="n,,n=,r=a\x01b")
    attempt("first message with a nul", first="n,,n=,r=a\0b")
    attempt("mechanism PLUS", mechanism=b"SCRAM-SHA-256-PLUS", header="p=tls-server-end-point,,")
    attempt("mechanism PLAIN", mechanism=b"PLAIN")
    attempt("no mechanism", mechanism=b"")
    attempt("length too large", length=10_000)
    attempt("length too small", length=3)
    attempt("length -1", length=-1)
    attempt("another nonce", nonce=lambda n: n[:-1] + "x")
    attempt("only its own nonce", nonce=lambda n: n[:22])
    attempt("longer nonce", nonce=lambda n: n + "x")
    attempt("another binding", binding="y,,")
    attempt("wrong proof", proof=lambda p: bytes([p[0] ^ 1]) + p[1:])
    attempt("short proof", proof=lambda p: p[:-1])
    attempt("long proof", proof=lambda p: p + b"x")
    attempt("empty proof", proof=lambda p: b"")
    attempt("trailing bytes", tail=",x=y")
    attempt("trailing nul", tail="\0")
    attempt("empty final", final="")
    attempt("final no utf8", final="c=biws,r=\xff")
    attempt("final without proof", final="c=biws,r=x")
    attempt("expired", user="expired")
    attempt("unknown role", user="nosuch_scram")
    attempt("role without login", user="without_login")
    attempt("unknown database", database="nosuch")
    for name, sent in [("query instead of a password", ONE), ("huge password", b"p" + struct.pack("!I", 0x7FFFFFFF)), ("short password", b"p" + struct.pack("!I", 3)), ("left", b"")]:
        wire = Wire()
        wire.send(startup(user="with_password", database=DATABASE))
        wire.read()
        wire.send(sent)
        wire.leave()
        say(f"scram {name}", " | ".join(wire.until(b"Z")))


PARTS = [startups, framing, orders, binds, copies, scram]


def main():
    for part in PARTS:
        if not sys.argv[1:] or part.__name__ in sys.argv[1:]:
            part()


if __name__ == "__main__":
    main()
