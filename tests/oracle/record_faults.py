#!/usr/bin/env python3
"""Records what PostgreSQL 15 tells of wrong statements: `record_faults.py 'CONNECTION' FILE…`.

A file of tests/faults holds a session's statements, apart by empty lines. Behind each stand the fields of its error as
lines `--> …`, or `--> ok`. This asks the server (a fresh database for each file) and writes them anew. Needs psycopg 3,
e.g. the one that `./dev clients` installs.
"""

import sys

import psycopg
from psycopg import pq

FIELDS = [
    ("position", pq.DiagnosticField.STATEMENT_POSITION),
    ("detail", pq.DiagnosticField.MESSAGE_DETAIL),
    ("hint", pq.DiagnosticField.MESSAGE_HINT),
]


def told(result):
    """The fields of an error, a line each; none if it is none."""
    if result.status not in (pq.ExecStatus.FATAL_ERROR, pq.ExecStatus.NONFATAL_ERROR):
        return None
    field = lambda f: (result.error_field(f) or b"").decode()
    lines = [field(pq.DiagnosticField.SQLSTATE) + " " + field(pq.DiagnosticField.MESSAGE_PRIMARY)]
    return lines + [f"{name}: {field(f)}" for name, f in FIELDS if field(f)]


def outcome(connection, sql):
    connection.send_query(sql.encode())
    lines = ["ok"]
    while (result := connection.get_result()) is not None:
        if result.status == pq.ExecStatus.COPY_IN:
            connection.put_copy_end(b"no rows")
        elif result.status == pq.ExecStatus.COPY_OUT:
            while connection.get_copy_data(0)[0] > 0:
                pass
        else:
            lines = told(result) or lines
    return lines


def record(address, path):
    with psycopg.connect(address, autocommit=True) as admin:
        admin.execute("DROP DATABASE IF EXISTS faults")
        admin.execute("CREATE DATABASE faults")
    blocks = []
    with psycopg.connect(address, dbname="faults", autocommit=True) as session:
        session.execute("SET timezone = 'UTC'")
        for block in open(path, encoding="utf-8").read().split("\n\n"):
            lines = [line for line in block.strip("\n").split("\n") if not line.startswith("--> ")]
            sql = "\n".join(line for line in lines if not line.startswith("#"))
            if sql:
                lines += ["--> " + line for line in outcome(session.pgconn, sql)]
            blocks.append("\n".join(lines))
    with open(path, "w", encoding="utf-8") as out:
        out.write("\n\n".join(blocks) + "\n")


if __name__ == "__main__":
    for path in sys.argv[2:]:
        record(sys.argv[1], path)
