"""PostgreSQL 15 as a peer: a cluster of its own, on loopback, trusting, without TLS, as our server is in a benchmark."""

import os
import pwd
import shutil
import socket
import subprocess
from pathlib import Path

import psycopg

from common import CACHE

BIN = Path("/usr/lib/postgresql/15/bin")
SETTINGS = {
    "shared_buffers": "2GB",
    "work_mem": "64MB",
    "max_connections": "1200",
    "max_parallel_workers_per_gather": "1",  # with the leader two threads, as ours has
    "fsync": "off",
    "jit": "off",
    "timezone": "UTC",
    "autovacuum": "off",
}


class Postgres:
    """The server, with settings beside those above; root lets the user `postgres` run it."""

    def __init__(self, **more):
        self.folder = CACHE / "postgres"
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        if not (BIN / "initdb").exists():
            raise SystemExit("bench: PostgreSQL 15 is missing: apt-get install postgresql-15")
        self.as_user = []
        if os.geteuid() == 0:
            user = pwd.getpwnam("postgres")
            os.chown(self.folder, user.pw_uid, user.pw_gid)
            # The cache may lie in root's home, which others cannot enter.
            self.folder = Path("/var/tmp") / f"sightline-bench-{os.getpid()}"
            self.folder.mkdir()
            os.chown(self.folder, user.pw_uid, user.pw_gid)
            self.as_user = ["runuser", "-u", "postgres", "--"]
        self.data = self.folder / "data"
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.host, self.port = s.getsockname()
        self.run("initdb", "-D", self.data, "-U", "sightline", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync")
        settings = " ".join(f"-c {k}={v}" for k, v in (SETTINGS | more).items())
        self.run("pg_ctl", "-D", self.data, "-l", self.folder / "log", "-o", f"-p {self.port} -k {self.folder} {settings}", "-w", "start")
        self.pid = int((self.data / "postmaster.pid").read_text().split("\n")[0])
        with self.connect("postgres") as connection:
            connection.execute("CREATE DATABASE sightline")

    def run(self, program, *arguments):
        subprocess.run([*self.as_user, str(BIN / program), *map(str, arguments)], check=True, stdout=subprocess.DEVNULL, cwd="/")

    def connect(self, database="sightline"):
        """A session that commits each statement."""
        return psycopg.connect(host=self.host, port=self.port, user="sightline", dbname=database, autocommit=True)

    def pids(self):
        """All its processes."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        return [self.pid, *map(int, children)]

    def stop(self):
        self.run("pg_ctl", "-D", self.data, "-m", "immediate", "stop")
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
