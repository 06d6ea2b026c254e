#!/usr/bin/env python3
"""PostgreSQL's own regression scripts, put to PostgreSQL 15 and to Sightline, statement by statement.

    regress.py SIGHTLINE_BINARY [FILE…]

The scripts are PostgreSQL's (`src/test/regress/sql` of Debian's source package postgresql-15); they are fetched, not
kept here. Each file runs through psql on both servers after PostgreSQL's own `test_setup`. A statement agrees if psql
printed the same rows, columns and messages for both, or the same SQLSTATE where it failed; rows in any order where no ORDER
BY stands in it. An EXPLAIN is counted apart (a plan is the planner's own); of it only success or SQLSTATE is compared. `--report DIR` keeps what each said.
"""

import argparse
import os
import pwd
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

PG_BIN = Path("/usr/lib/postgresql/15/bin")
SOURCE = "postgresql-15_15.18.orig.tar.bz2"
MIRROR = f"http://deb.debian.org/debian/pool/main/p/postgresql-15/{SOURCE}"
# The files the project promises to follow (issue 3), in PostgreSQL's names.
FILES = """select join aggregates groupingsets window with subselect union case limit int2 int4 int8 float4 float8 numeric
text strings timestamptz date interval arrays json jsonb boolean copyselect portals prepare""".split()
# A file on the server's own machine.
COPY_FILE = re.compile(r"^\s*COPY\s+(\w+)\s+(FROM|TO)\s+:'(\w+)'(.*);\s*$", re.I | re.S)


def fetch(cache: Path) -> Path:
    """The regression folder of PostgreSQL's source, downloaded once."""
    folder = cache / "postgresql-15.18" / "src" / "test" / "regress"
    if folder.exists():
        return folder
    cache.mkdir(parents=True, exist_ok=True)
    archive = cache / SOURCE
    if not archive.exists():
        subprocess.run(["curl", "-fsSL", "-o", str(archive) + ".new", MIRROR], check=True)
        os.rename(str(archive) + ".new", archive)
    with tarfile.open(archive) as tar:
        members = [m for m in tar if m.name.startswith("postgresql-15.18/src/test/regress/")]
        tar.extractall(cache, members)
    return folder


def split(text: str) -> list[str]:
    """Cuts a script as psql does: statements, backslash lines, and the data that follows COPY … FROM STDIN."""
    units, at, start, depth, n = [], 0, 0, 0, len(text)

    def flush(end):
        nonlocal start
        unit = text[start:end].strip()
        if unit:
            units.append(unit)
        start = end

    while at < n:
        c = text[at]
        if c == "'" or c == '"':
            escapes = c == "'" and at > 0 and text[at - 1] in "eE" and not (at > 1 and (text[at - 2].isalnum() or text[at - 2] == "_"))
            at += 1
            while at < n and text[at] != c:
                at += 2 if escapes and text[at] == "\\" else 1
            at += 1
        elif text.startswith("--", at):
            end = text.find("\n", at)
            at = n if end < 0 else end
        elif text.startswith("/*", at):
            level, at = 1, at + 2
            while at < n and level:
                if text.startswith("/*", at):
                    level, at = level + 1, at + 2
                elif text.startswith("*/", at):
                    level, at = level - 1, at + 2
                else:
                    at += 1
        elif c == "$" and (tag := re.match(r"\$(?:[A-Za-z_]\w*)?\$", text[at:])):
            end = text.find(tag.group(), at + len(tag.group()))
            at = n if end < 0 else end + len(tag.group())
        elif c in "([":
            depth, at = depth + 1, at + 1
        elif c in ")]":
            depth, at = max(0, depth - 1), at + 1
        elif c == ";" and depth == 0:
            at += 1
            # `\;` keeps statements in one message; a `\gset` may follow.
            flush(at)
            if re.match(r"\s*COPY\s.*FROM\s+STDIN", strip_comments(units[-1]), re.I | re.S):
                end = text.find("\n\\.\n", at - 1)
                if end >= 0:
                    at = end + 4
                    units[-1] += text[start:at].rstrip("\n")
                    start = at
        elif c == "\\":
            line_end = text.find("\n", at)
            line_end = n if line_end < 0 else line_end
            if text.startswith("\\;", at):
                at += 2
                continue
            # A backslash command ends the line; one like \gset or \gexec ends the statement in front of it, too.
            at = line_end
            flush(at)
            depth = 0
        else:
            at += 1
    flush(n)
    return units


def strip_comments(sql: str) -> str:
    sql = re.sub(r"/\*.*?\*/", " ", sql, flags=re.S)
    return "\n".join(line for line in sql.split("\n") if not line.strip().startswith("--")).strip()


def script_of(units: list[str], mark: str) -> str:
    """The units as a script for psql, each announced by its number."""
    lines = []
    for number, unit in enumerate(units):
        lines.append(f"\\echo {mark} {number}")
        lines.append(unit)
    lines.append(f"\\echo {mark} {len(units)}")
    return "\n".join(lines) + "\n"


def run_script(psql: list[str], env: dict[str, str], script: str, mark: str, count: int, timeout: int) -> list[str | None]:
    """What psql printed for each unit; None for those it did not come to."""
    with tempfile.NamedTemporaryFile("w", suffix=".sql", delete=False) as file:
        file.write(script)
    try:
        done = subprocess.run(
            [*psql, "-X", "-q", "-v", "VERBOSITY=sqlstate", "-v", "SHOW_CONTEXT=never", "-f", file.name],
            env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout, check=False,
        )
        output = done.stdout
    except subprocess.TimeoutExpired as late:
        output = (late.stdout or b"") + b"\n*** timed out\n"
    finally:
        os.unlink(file.name)
    text = re.sub(rf"psql:{re.escape(file.name)}:\d+: ", "", output.decode("utf-8", "replace"))
    answers = [None] * count
    for piece in text.split(f"{mark} ")[1:]:
        number, _, said = piece.partition("\n")
        if number.isdigit() and int(number) < count:
            answers[int(number)] = said.rstrip("\n")
    return answers


def expand(units: list[str], folder: Path) -> list[str]:
    """Resolves the file names that scripts build from :abs_srcdir: a COPY between a table and a file of the server becomes
    psql's, since the file lies on our side. Leaves out what needs PostgreSQL's C test library."""
    kept, variables = [], {}
    for unit in units:
        name = re.match(r"\\set\s+(\w+)\s+:abs_srcdir\s+'([^']*)'", unit)
        if name:
            variables[name.group(1)] = str(folder) + name.group(2)
        if unit.startswith(("\\getenv", "\\set regresslib")):
            continue
        found = COPY_FILE.match(strip_comments(unit))
        if found and found.group(3) in variables:
            table, way, variable, options = found.groups()
            unit = f"\\copy {table} {way.lower()} '{variables[variable]}' {' '.join(options.split())}"
        kept.append(unit)
    return [unit for unit in kept if ":'regresslib'" not in unit]


class Postgres:
    """A PostgreSQL 15 with a cluster of its own."""

    def __init__(self, port: int):
        self.port = port
        self.folder = Path(tempfile.mkdtemp(prefix="sightline-regress-"))
        self.folder.chmod(0o777)
        self.data = self.folder / "data"
        self.as_user = []
        if os.geteuid() == 0:
            pwd.getpwnam("nobody")
            self.as_user = ["runuser", "-u", "nobody", "--"]
        self.do("initdb", "-D", self.data, "-U", "sightline", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync")
        with (self.data / "postgresql.conf").open("a") as conf:
            conf.write("timezone='America/Los_Angeles'\ndatestyle='ISO, MDY'\nfsync=off\n")
        self.do("pg_ctl", "-D", self.data, "-w", "-l", self.folder / "log", "-o", f"-p {port} -k {self.folder} -h 127.0.0.1", "start")

    def do(self, command, *args):
        subprocess.run([*self.as_user, PG_BIN / command, *map(str, args)], check=True, stdout=subprocess.DEVNULL, cwd="/")

    def stop(self):
        subprocess.run([*self.as_user, PG_BIN / "pg_ctl", "-D", self.data, "-m", "immediate", "stop"], check=False, stdout=subprocess.DEVNULL, cwd="/")
        shutil.rmtree(self.folder, ignore_errors=True)


class Sightline:
    def __init__(self, binary: str, port: int):
        self.port = port
        self.folder = Path(tempfile.mkdtemp(prefix="sightline-regress-ours-"))
        self.log = (self.folder / "log").open("w")
        self.process = subprocess.Popen(
            [binary, "serve", "--data-dir", str(self.folder / "data"), "--pg-listen", f"127.0.0.1:{port}", "--http-listen", f"127.0.0.1:{port + 1}"],
            stdout=self.log, stderr=self.log,
        )
        for _ in range(300):
            ready = subprocess.run(["psql", "-X", "-h", "127.0.0.1", "-p", str(port), "-U", "sightline", "-c", "select 1", "sightline"], capture_output=True, check=False)
            if ready.returncode == 0:
                return
            if self.process.poll() is not None:
                break
            time.sleep(0.1)
        sys.exit(f"the server did not start: {(self.folder / 'log').read_text()}")

    def stop(self):
        self.process.terminate()
        self.process.wait(timeout=30)
        shutil.rmtree(self.folder, ignore_errors=True)


def agrees(unit: str, theirs: str | None, ours: str | None) -> bool:
    if theirs is None or ours is None:
        return False
    if is_explain(unit):
        return state(theirs) == state(ours)
    theirs, ours = normal(theirs), normal(ours)
    if not re.search(r"\border\s+by\b", strip_comments(unit), re.I):
        # Nobody promised an order.
        return sorted(theirs.split("\n")) == sorted(ours.split("\n"))
    return theirs == ours


def is_explain(unit: str) -> bool:
    return strip_comments(unit).lower().startswith("explain")


def state(said: str):
    found = re.findall(r"^(?:ERROR|FATAL):\s+(\w{5})", said, re.M)
    return found or "ok"


def normal(said: str) -> str:
    # Which notices a server gives is not what it means; their SQLSTATE-only form says nothing anyway.
    return "\n".join(line.rstrip() for line in said.split("\n") if not re.match(r"(NOTICE|WARNING|INFO|DEBUG):", line))


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("binary")
    arguments.add_argument("files", nargs="*")
    arguments.add_argument("--cache", default=os.path.expanduser("~/.cache/sightline/regress"))
    arguments.add_argument("--report")
    arguments.add_argument("--timeout", type=int, default=120, help="seconds a file may take")
    arguments.add_argument("--port", type=int, default=5599, help="the first of three free ports")
    options = arguments.parse_intermixed_args()
    folder = fetch(Path(options.cache))
    env = {**os.environ, "PGSSLMODE": "disable", "PGTZ": "PST8PDT", "PGDATESTYLE": os.environ.get("PGDATESTYLE", "Postgres, MDY"), "PGOPTIONS": "-c intervalstyle=postgres_verbose -c statement_timeout=10s", "LC_ALL": "C.UTF-8"}
    if options.report:
        shutil.rmtree(options.report, ignore_errors=True)
        Path(options.report).mkdir(parents=True)
    servers = [Postgres(options.port), Sightline(options.binary, options.port + 1)]
    try:
        setup = expand(split((folder / "sql" / "test_setup.sql").read_text()), folder)
        total = [0, 0, 0, 0]
        for name in options.files or FILES:
            units = expand(split((folder / "sql" / f"{name}.sql").read_text()), folder)
            mark = "=#=unit=#="
            said = []
            for server in servers:
                admin = ["psql", "-X", "-q", "-h", "127.0.0.1", "-p", str(server.port), "-U", "sightline"]
                base = f"regress_{name}"
                if isinstance(server, Postgres):
                    subprocess.run([*admin, "-c", f"create database {base}", "postgres"], env=env, check=True, stdout=subprocess.DEVNULL)
                else:
                    subprocess.run([*admin, "-c", f"create tenant {base}", "sightline"], env=env, check=True, stdout=subprocess.DEVNULL)
                psql = ["psql", "-h", "127.0.0.1", "-p", str(server.port), "-U", "sightline", "-d", base]
                prepared = run_script(psql, env, script_of(setup, mark), mark, len(setup), options.timeout)
                if options.report and name == (options.files or FILES)[0] and not isinstance(server, Postgres):
                    with (Path(options.report) / "setup").open("w") as file:
                        for unit, answer in zip(setup, prepared):
                            if answer is None or state(answer) != "ok":
                                file.write(f"{unit}\n--> {answer}\n\n")
                started = time.monotonic()
                said.append(run_script(psql, env, script_of(units, mark), mark, len(units), options.timeout))
                took = time.monotonic() - started
            counts = [0, 0, 0, 0]
            report = (Path(options.report) / name).open("w") if options.report else None
            for unit, theirs, ours in zip(units, *said):
                if strip_comments(unit).startswith("\\") or not strip_comments(unit):
                    continue
                explain = 2 if is_explain(unit) else 0
                counts[explain + 1] += 1
                if agrees(unit, theirs, ours):
                    counts[explain] += 1
                elif report:
                    report.write(f"{strip_comments(unit)}\n--< {theirs}\n--> {ours}\n\n")
            if report:
                report.close()
            show(name, counts, took)
            total = [a + b for a, b in zip(total, counts)]
        show("all", total, 0)
    finally:
        for server in servers:
            server.stop()


def show(name, counts, took):
    agreed, all_, explained, explains = counts
    share = 100 * agreed / all_ if all_ else 100
    print(f"{name:14} {agreed:5} of {all_:5}  {share:5.1f} %   EXPLAIN {explained:3} of {explains:3}   {took:5.1f} s", flush=True)


if __name__ == "__main__":
    main()
