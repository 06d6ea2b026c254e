"""Comparing the answers of two engines: as multisets, numbers with a tolerance, and what ORDER BY … LIMIT leaves open as open.

Queries stand in files of this form, one after another:

    -- 15 by 2: what it asks
    SELECT user_id, count(*) FROM hits GROUP BY user_id ORDER BY count(*) DESC LIMIT 10;

`by 2` names the output columns, from 1, that the rows are ordered by; `any` says that any rows of the unlimited answer will
do; without either the answer is compared as a multiset. Rows that tie with the first or the last one of a limited answer may
be others in each engine: of these the oracle is asked whether its unlimited answer has them."""

import math
import re
from dataclasses import dataclass, field
from decimal import Decimal

HEADER = re.compile(r"^-- (\d+)(?: (any)| by ([\d,]+))?: .*$", re.M)
TAIL = re.compile(r"(\sORDER BY (?!.*\bORDER BY\b).*?)?\sLIMIT \d+(\sOFFSET \d+)?\s*$", re.S)


@dataclass
class Query:
    number: int
    text: str
    keys: list = field(default_factory=list)  # positions from 0
    loose: bool = False

    @property
    def unlimited(self):
        return TAIL.sub("", self.text)


def read(path, values):
    """The queries of a file by number, with `{name}` replaced by its value."""
    text = path.read_text()
    heads = list(HEADER.finditer(text))
    found = {}
    for head, end in zip(heads, [h.start() for h in heads[1:]] + [len(text)]):
        sql = text[head.end():end].strip().rstrip(";")
        for name, value in values.items():
            sql = sql.replace("{" + name + "}", str(value))
        keys = [int(k) - 1 for k in (head[3] or "").split(",") if k]
        found[int(head[1])] = Query(int(head[1]), sql, keys, head[2] == "any")
    return found


def is_number(value):
    return isinstance(value, (int, float, Decimal)) and not isinstance(value, bool)


def is_whole(value):
    return isinstance(value, int) or isinstance(value, Decimal) and value.as_tuple().exponent == 0


def close(x, y):
    """Averages and quotients have other scales in each engine."""
    if is_whole(x) and is_whole(y):
        return x == y
    if is_number(x) and is_number(y):
        return math.isclose(float(x), float(y), rel_tol=1e-4, abs_tol=1e-6)
    return str(x) == str(y)


def rows_close(a, b):
    return len(a) == len(b) and all(map(close, a, b))


def order(row):
    key = [round(float(v), 1) if is_number(v) else str(v) for v in row]
    return [v for v in key if isinstance(v, str)], [v for v in key if not isinstance(v, str)]


def equal(ours, theirs):
    """Whether two answers have the same rows."""
    return len(ours) == len(theirs) and all(map(rows_close, sorted(ours, key=order), sorted(theirs, key=order)))


def ask(oracle, query, rows):
    """The rows of the oracle's unlimited answer that may be those given."""
    names = [f"c{i}" for i in range(len(rows[0]))]
    exact = [i for i, v in enumerate(rows[0]) if not isinstance(v, (float, Decimal))][:8]
    one = " AND ".join(f"c{i} IS NOT DISTINCT FROM ?" for i in exact)
    sql = f"SELECT * FROM ({query.unlimited}) AS f({', '.join(names)}) WHERE " + " OR ".join(f"({one})" for _ in rows)
    return oracle.rows(sql, [row[i] for row in rows for i in exact])


def contains(found, rows):
    """Whether each row is among those found, none of them used twice."""
    left = list(found)
    for row in rows:
        at = next((i for i, other in enumerate(left) if rows_close(row, other)), None)
        if at is None:
            return False
        del left[at]
    return True


def right(query, ours, theirs, oracle):
    """Whether our answer is as good as the oracle's."""
    if not query.keys and not query.loose:
        return equal(ours, theirs)
    if len(ours) != len(theirs):
        return False
    key = lambda row: [row[k] for k in query.keys]
    if not all(rows_close(key(a), key(b)) for a, b in zip(ours, theirs)):
        return False
    cut = TAIL.search(query.text)
    ends = [key(row) for row in theirs[-1:] + theirs[:bool(cut[2])]] if cut else []
    open_ = lambda row: any(rows_close(key(row), end) for end in ends)
    tied = [row for row in ours if open_(row)]
    inner = lambda rows: [row for row in rows if not open_(row)]
    return equal(inner(ours), inner(theirs)) and (not tied or contains(theirs, tied) or contains(ask(oracle, query, tied), tied))
