"""What the Python drivers' scenarios share: a line a scenario, and the table of values.

A line is `scenario: value`. The same program runs against PostgreSQL 15 and against Sightline, and the lines are compared
by `run.py`: what is right is what PostgreSQL says. A scenario that fails prints its exception, and the next one goes on.
"""

import hashlib
import json
import sys
import traceback
from pathlib import Path

TABLES = json.loads((Path(__file__).parent / "values.json").read_text())
TYPES: dict[str, list[str]] = TABLES["types"]
ERRORS: list[str] = TABLES["errors"]
# A join that no server ends in time.
ENDLESS = "SELECT sum(a.i * b.i) FROM generate_series(1, 300000) AS a(i), generate_series(1, 300000) AS b(i)"
SETUP = [
    "CREATE TABLE kinds (a integer, b text, c numeric(8,2), d timestamptz, e varchar(20), f char(3), g integer[])",
    "CREATE TABLE strict (a integer NOT NULL CHECK (a > 0))",
    "CREATE TABLE short (a varchar(3))",
]


def quoted(text: str) -> str:
    """A string as SQL writes it."""
    return "'" + text.replace("'", "''") + "'"


def array_of(items: list[str]) -> str:
    """An array's text with a NULL in its middle."""
    escaped = ['"' + i.replace("\\", "\\\\").replace('"', '\\"') + '"' for i in items]
    return "{" + ",".join([*escaped[:1], "NULL", *escaped[1:]]) + "}"


def literals():
    """Name, type and text of every value, then of the arrays."""
    for ty, texts in TYPES.items():
        for text in texts:
            yield f"{ty} {text!r}", ty, text
    for ty, texts in TYPES.items():
        yield f"{ty}[] empty", f"{ty}[]", "{}"
        yield f"{ty}[] of one", f"{ty}[]", array_of(texts[:1])
        finite = [t for t in texts if "BC" not in t and "infinity" not in t.lower() and t != "NaN"]
        yield f"{ty}[] all", f"{ty}[]", array_of(finite)
    yield "integer[] nested", "integer[]", "{{1,2},{3,NULL}}"
    yield "text[] nested", "text[]", '{{{a,"b c"}},{{NULL,"\\"x"}}}'


def shown(value) -> str:
    """A value as a short line."""
    if isinstance(value, memoryview):
        value = bytes(value)
    elif isinstance(value, list):
        value = [bytes(v) if isinstance(v, memoryview) else v for v in value]
    text = repr(value)
    if len(text) > 400:
        digest = hashlib.md5(text.encode()).hexdigest()
        text = f"{type(value).__name__} of {len(text)} characters, md5 {digest}"
    return text


def say(name: str, value: str) -> None:
    """Prints a scenario's line; the first `: ` ends its name."""
    print(f"{name.replace(': ', ':')}: {value}".replace("\n", "\\n"), flush=True)


def check(name: str, ask, describe_error) -> None:
    """Runs one scenario."""
    try:
        value = shown(ask())
    except Exception as e:
        value = "error: " + describe_error(e)
        if "--trace" in sys.argv:
            traceback.print_exc()
    say(name, value)
