"""What all benchmarks share: a server on a fresh directory, and how time and memory are read."""

import os
import re
import shutil
import subprocess
import time
from pathlib import Path

import psycopg

HERE = Path(__file__).parent
CACHE = Path(os.environ["SIGHTLINE_CACHE"]) / "bench"
SCALE = float(os.environ.get("SIGHTLINE_BENCH_SCALE", "1"))
THREADS = 2
MEMORY_GIB = 4


class Server:
    """A Sightline server of its own, with the limits that the peers have, too."""

    def __init__(self, **settings):
        self.data = CACHE / "data"
        shutil.rmtree(self.data, ignore_errors=True)
        CACHE.mkdir(parents=True, exist_ok=True)
        limits = {"MEMORY_LIMIT": f"{MEMORY_GIB}GiB", "THREADS": str(THREADS)} | settings
        environment = os.environ | {f"SIGHTLINE_{k}": v for k, v in limits.items()}
        command = [os.environ["SIGHTLINE_BINARY"], "serve", "--data-dir", str(self.data)]
        command += ["--pg-listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0"]
        self.log = open(CACHE / "server.log", "wb")
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self.log, env=environment, text=True)
        ready = self.process.stdout.readline()
        found = re.search(r"postgres://[^@]*@([^:/]+):(\d+)/", ready)
        if not found:
            raise SystemExit(f"bench: the server did not start, see {CACHE / 'server.log'}")
        self.host, self.port = found[1], int(found[2])

    def flushed(self):
        """Waits until no row is hot: start the server with a small FLUSH_BYTES for it."""
        with self.connect() as connection:
            while connection.execute("SELECT count(*) FROM sys.parts WHERE tier = 'hot'").fetchone()[0]:
                time.sleep(0.5)

    def connect(self):
        """A session that commits each statement."""
        return psycopg.connect(host=self.host, port=self.port, user="sightline", dbname="sightline", autocommit=True)

    def halt(self):
        """Ends the server; what it has on disk stays."""
        self.process.terminate()
        self.process.wait(timeout=60)

    def stop(self):
        self.halt()
        shutil.rmtree(self.data, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def copy_in(connection, statement, pieces):
    """One COPY FROM STDIN; answers its seconds."""
    start = time.perf_counter()
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        for piece in pieces:
            copy.write(piece)
    return time.perf_counter() - start


def pieces(path, size=1 << 20):
    """A file in pieces."""
    with open(path, "rb") as file:
        while piece := file.read(size):
            yield piece


def bytes_on_disk(path):
    """What a file or all files of a folder take there."""
    files = [path] if path.is_file() else [f for f in path.rglob("*") if f.is_file()]
    return sum(f.stat().st_blocks * 512 for f in files)


def pgbench():
    """Debian keeps it beside the server, not on the path."""
    found = shutil.which("pgbench") or next(map(str, Path("/usr/lib/postgresql").glob("*/bin/pgbench")), None)
    if not found:
        raise SystemExit("bench: pgbench is missing: apt-get install postgresql-contrib")
    return found


def seconds(f):
    """How long f takes."""
    start = time.perf_counter()
    f()
    return time.perf_counter() - start


def best(f, times=3):
    """After one warm-up, the shortest of some runs, in seconds."""
    f()
    return min(seconds(f) for _ in range(times))


def peak_rss_mib(pid):
    """The most memory the process had, MiB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) // 1024


def load():
    """The load average, to be printed beside every figure."""
    return "load " + " ".join(f"{v:.1f}" for v in os.getloadavg())
