#!/usr/bin/env python3
"""Runs drivers' scenarios against PostgreSQL 15 and against Sightline, and compares line by line.

    run.py [DRIVER…]                        starts a PostgreSQL; Sightline is that of PGPORT
    run.py --binary SIGHTLINE [DRIVER…]     starts both servers
    --it PATH                               the binary of integration tests, which has tokio-postgres in it
    --report DIR                            keeps there what each said

Each driver's folder has a program that prints `scenario: value` lines for the server of PGHOST, PGPORT, PGUSER and
PGDATABASE. A line that differs is a failure unless `known.tsv` names it with its cause. Drivers are installed once into
`~/.cache/sightline`.
"""

import argparse
import collections
import concurrent.futures
import fnmatch
import os
import pwd
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
CACHE = Path(os.environ.get("SIGHTLINE_CACHE") or Path.home() / ".cache/sightline")
PG_BIN = Path("/usr/lib/postgresql/15/bin")
PYTHON = CACHE / "venv/bin/python"
NODE = CACHE / "node"
JAR = Path("/usr/share/java/postgresql.jar")
PIP = ["psycopg[binary]>=3.2,<4", "psycopg2-binary>=2.9,<3", "asyncpg>=0.29,<1"]
NPM = ["pg@8", "pg-copy-streams@6", "pg-query-stream@4", "postgres@3"]
TIMEOUT = 240
# Roles of `hostile/scenarios.py`.
WITH_PASSWORD = ["with_password", "expired", "without_login", "nosuch_scram"]


def python(program):
    return lambda: [str(PYTHON), str(HERE / program)]


def node(program):
    return lambda: ["node", str(HERE / program)]


def java():
    """Compiled once for each text of the program."""
    source = HERE / "pgjdbc/Scenarios.java"
    made = CACHE / "pgjdbc"
    stamp = made / "source"
    if not stamp.exists() or stamp.read_bytes() != source.read_bytes():
        made.mkdir(parents=True, exist_ok=True)
        must(["javac", "-encoding", "UTF-8", "-cp", str(JAR), "-d", str(made), str(source)])
        stamp.write_bytes(source.read_bytes())
    return ["java", "-Xshare:auto", "-XX:TieredStopAtLevel=1", "-Dfile.encoding=UTF-8", "-cp", f"{made}:{JAR}", "Scenarios"]


DRIVERS = {
    "psycopg": python("psycopg/scenarios.py"),
    "psycopg2": python("psycopg2/scenarios.py"),
    "asyncpg": python("asyncpg/scenarios.py"),
    "node-postgres": node("node-postgres/scenarios.js"),
    "postgres.js": node("postgres.js/scenarios.js"),
    "pgjdbc": java,
    "hostile": python("hostile/scenarios.py"),
}


def must(command, **options):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, **options)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}: {done.stdout}{done.stderr}")


def install():
    """What the drivers need, once; several runs may ask at the same time."""
    import fcntl

    CACHE.mkdir(parents=True, exist_ok=True)
    with open(CACHE / "clients.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        probe = [str(PYTHON), "-c", "import psycopg, psycopg2, asyncpg"]
        if not PYTHON.exists() or subprocess.run(probe, capture_output=True).returncode:
            must([sys.executable, "-m", "venv", CACHE / "venv"])
            must([PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *PIP])
        modules = [NODE / "node_modules" / p.split("@")[0] for p in NPM]
        if not all(m.is_dir() for m in modules):
            must(["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", NODE, *NPM])


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Postgres:
    """A PostgreSQL 15 of our own; root lets `postgres` run it."""

    def __init__(self, folder):
        self.folder, self.port = folder / "postgres", free_port()
        self.folder.mkdir()
        if os.geteuid() == 0:
            user = pwd.getpwnam("postgres")
            os.chown(self.folder, user.pw_uid, user.pw_gid)
        self.run("initdb", "-D", self.data, "-U", "sightline", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync")
        # By password where there is one to test.
        hba = "".join(f"host all {role} 127.0.0.1/32 {how}\n" for role, how in [*((r, "scram-sha-256") for r in WITH_PASSWORD), ("all", "trust")])
        (self.data / "pg_hba.conf").write_text("local all all trust\n" + hba)
        settings = f"-p {self.port} -k {self.folder} -c fsync=off -c timezone=UTC -c max_connections=50"
        self.run("pg_ctl", "-D", self.data, "-l", self.folder / "log", "-o", settings, "-w", "start")

    @property
    def data(self):
        return self.folder / "data"

    def run(self, program, *arguments):
        as_user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        # Not captured: the server would keep the pipe open.
        with open(self.folder.parent / "setup.log", "a") as log:
            done = subprocess.run([*as_user, str(PG_BIN / program), *map(str, arguments)], stdout=log, stderr=log)
        if done.returncode:
            sys.exit(f"{program} failed (is postgresql-15 installed?): {(self.folder.parent / 'setup.log').read_text()}")

    def stop(self):
        self.run("pg_ctl", "-D", self.data, "-m", "immediate", "stop")


class Sightline:
    """A server of the given binary."""

    def __init__(self, binary, folder):
        self.port = free_port()
        command = [binary, "serve", "--data-dir", folder / "sightline", "--pg-listen", f"127.0.0.1:{self.port}", "--http-listen", "127.0.0.1:0"]
        self.log = folder / "sightline.log"
        with open(self.log, "w") as log:
            environment = os.environ | {"SIGHTLINE_LOG_LEVEL": "warn", "SIGHTLINE_TLS": "off"}
            self.process = subprocess.Popen([str(c) for c in command], stdout=subprocess.PIPE, stderr=log, text=True, env=environment)
        if "ready" not in self.process.stdout.readline():
            sys.exit(f"{binary} did not start: {self.log.read_text()}")

    def stop(self):
        self.process.terminate()
        self.process.wait(timeout=60)


def database(port, base, name):
    """A database of the driver's own."""
    command = ["psql", "-XqAt", "-h", "127.0.0.1", "-p", str(port), "-U", "sightline", "-d", base, "-v", "ON_ERROR_STOP=1"]
    must([*command, "-c", f'DROP DATABASE IF EXISTS "{name}"', "-c", f'CREATE DATABASE "{name}"'])


def lines(driver, port, base):
    """What a driver says of one server, by scenario, and how long it took."""
    name = "clients_" + re.sub(r"\W", "_", driver)
    database(port, base, name)
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PG")} | {
        "PGHOST": "127.0.0.1", "PGPORT": str(port), "PGUSER": "sightline", "PGDATABASE": name, "PGSSLMODE": "disable",
        "NODE_PATH": str(NODE / "node_modules"), "PYTHONDONTWRITEBYTECODE": "1", "SIGHTLINE_CLIENTS": str(HERE), "TZ": "UTC", "LC_ALL": "C.UTF-8",
    }
    started = time.monotonic()
    try:
        done = subprocess.run(DRIVERS[driver](), capture_output=True, env=environment, timeout=TIMEOUT)
        text, trouble = done.stdout.decode(), done.stderr.decode() if done.returncode else ""
    except subprocess.TimeoutExpired as e:
        text, trouble = (e.stdout or b"").decode(), f"not done after {TIMEOUT} s"
    found = {}
    for line in text.splitlines():
        scenario, _, value = line.partition(": ")
        found[scenario] = value
    if trouble:
        found["end of the program"] = trouble.strip()[-2000:]
    return found, time.monotonic() - started


def known_differences():
    """(driver pattern, scenario pattern, cause) of `known.tsv`."""
    rows = [line.split("\t") for line in (HERE / "known.tsv").read_text().splitlines() if line and not line.startswith("#")]
    return [tuple(row) for row in rows]


# Patterns of `known.tsv` that a scenario needed.
used = set()


def compare(driver, postgres, sightline, report):
    """One driver on both servers: a row of the table, and the lines that differ."""
    theirs, _ = lines(driver, postgres, "postgres")
    ours, took = lines(driver, sightline, "sightline")
    counts, shown = collections.Counter(), []
    patterns = [(pattern, cause) for d, pattern, cause in known_differences() if fnmatch.fnmatchcase(driver, d)]
    for scenario in dict.fromkeys([*theirs, *ours]):
        a, b = theirs.get(scenario, "(not reached)"), ours.get(scenario, "(not reached)")
        if a == b:
            counts["agree"] += 1
            continue
        pattern, cause = next((row for row in patterns if re.fullmatch(row[0], scenario)), (None, None))
        counts["known" if cause else "differ"] += 1
        used.add(pattern)
        shown.append(f"{scenario}{f'  [known: {cause}]' if cause else ''}\n  postgres  {a}\n  sightline {b}\n")
    if report:
        report.mkdir(parents=True, exist_ok=True)
        (report / f"{driver}.diff").write_text("\n".join(shown))
    new = [s for s in shown if "[known: " not in s.split("\n", 1)[0]]
    return driver, counts, took, new


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--binary", type=Path)
    parser.add_argument("--sightline", type=int, default=os.environ.get("PGPORT"))
    parser.add_argument("--it", type=Path)
    parser.add_argument("--postgres", type=int)
    parser.add_argument("--report", type=Path)
    parser.add_argument("drivers", nargs="*", default=[])
    arguments = parser.parse_args()
    if arguments.it:
        DRIVERS["tokio-postgres"] = lambda: [str(arguments.it), "--tokio-postgres"]
    chosen = arguments.drivers or list(DRIVERS)
    install()
    folder = Path(tempfile.mkdtemp(prefix="sightline-clients-"))
    folder.chmod(0o755)
    started = []
    try:
        if not arguments.postgres:
            started.append(Postgres(folder))
            arguments.postgres = started[-1].port
        if arguments.binary:
            started.append(Sightline(arguments.binary, folder))
            arguments.sightline = started[-1].port
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            ask = lambda d: compare(d, arguments.postgres, arguments.sightline, arguments.report)
            rows = list(pool.map(ask, chosen))
    finally:
        for server in started:
            server.stop()
        shutil.rmtree(folder, ignore_errors=True)
    print(f"{'driver':15} {'agree':>6} {'known':>6} {'differ':>7} {'seconds':>8}")
    for driver, counts, took, _ in rows:
        print(f"{driver:15} {counts['agree']:6} {counts['known']:6} {counts['differ']:7} {took:8.1f}")
    if not arguments.drivers:
        for _, pattern, cause in known_differences():
            if pattern not in used:
                print(f"known.tsv: not needed any more: {pattern} ({cause})")
    for driver, _, _, new in rows:
        for text in new:
            print(f"\n{driver}: {text}", end="")
    sys.exit(any(new for *_, new in rows))


if __name__ == "__main__":
    main()
