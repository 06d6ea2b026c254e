"""What the generators share. A value is a hash of what it belongs to (`mix`), so that a page has one title wherever it is
seen; words are made of syllables and characters. Nothing here depends on the machine or the time."""

import shutil
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

SEED = 20260701
CHUNK_ROWS = 250_000

LATIN = ["ba", "ce", "di", "fo", "gu", "la", "me", "ni", "or", "pa", "re", "si", "to", "ul", "va", "ster", "tion", "kel", "mar", "lin"]
CYRILLIC = ["ба", "ве", "го", "да", "жи", "за", "ка", "ло", "мы", "на", "по", "ра", "ст", "те", "ния", "ость", "вод", "дом", "кур", "шко"]
CHINESE = list("天地人山水火木金土日月星新闻网站电影音乐价格手机中国北京上海学生公司市场科技健康旅游图片下载在线免费最好东西南年大小")


def mix(values, salt):
    """64 bits that look random, the same for the same value and salt."""
    with np.errstate(over="ignore"):
        z = np.asarray(values).astype(np.uint64) + np.uint64((salt + 1) * 0x9E3779B97F4A7C15 % 2**64)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


def pair(a, b, salt=0):
    """One hash of two values."""
    return mix(mix(a, salt) ^ np.asarray(b).astype(np.uint64), salt + 1)


def positive(hashes):
    """As positive bigints."""
    return (hashes >> np.uint64(1)).astype(np.int64)


def unit(hashes):
    """As numbers in [0, 1)."""
    return (hashes >> np.uint64(11)).astype(np.float64) * 2.0**-53


def skewed(u, n, power=2.0):
    """Numbers from 0 below n, small ones more often the higher the power is."""
    return (n * u**power).astype(np.int64)


def zipf(rng, n, size, exponent=1.0):
    """Ranks from 0 by Zipf's law."""
    shares = np.cumsum(1.0 / np.arange(1, n + 1) ** exponent)
    return np.searchsorted(shares / shares[-1], rng.random(size), side="right").astype(np.int64)


def words(syllables, count, most, salt):
    """Words of two to `most` syllables."""
    picked = mix(np.arange(count * most), salt).reshape(count, most) % np.uint64(len(syllables))
    lengths = 2 + mix(np.arange(count), salt + 1) % np.uint64(most - 1)
    return ["".join(syllables[int(s)] for s in row[: int(n)]) for row, n in zip(picked, lengths)]


def take(vocabulary, indices):
    """An array of texts out of a list."""
    return pa.array(vocabulary, pa.string()).take(pa.array(indices.astype(np.int64)))


def number(values):
    return pc.cast(pa.array(np.asarray(values).astype(np.int64)), pa.string())


def when(mask, texts, other=""):
    """The texts where the mask is set."""
    return pc.if_else(pa.array(mask), texts, other)


def joined(*pieces, separator=""):
    return pc.binary_join_element_wise(*pieces, separator)


def write(path, schema, chunks):
    """A plain Parquet file of these tables."""
    part = path.with_suffix(".part")
    with pq.ParquetWriter(part, schema, compression="snappy", write_page_index=True) as writer:
        for chunk in chunks:
            writer.write_table(chunk.cast(schema), row_group_size=CHUNK_ROWS)
    part.rename(path)


def generated(path, module):
    """The file, made once by `python MODULE FILE ROWS` in a process of its own; its name ends in the number of rows."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        for old in path.parent.glob(f"{path.stem.rsplit('-', 1)[0]}-*.parquet"):
            old.unlink()  # one size at a time: they are large
        rows = path.stem.rsplit("-", 1)[1]
        subprocess.run([sys.executable, module, path, rows], check=True)
    print(f"{path.name}: {path.stat().st_size / 1e6:.0f} MB; {shutil.disk_usage(path.parent).free >> 30} GiB free", flush=True)
    return path
