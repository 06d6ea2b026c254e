// postgres.js: types, parameters, pipelined queries, cursors, COPY, transactions, errors, cancel. It asks the catalog for
// the types of arrays when it connects.
'use strict';

const { pipeline } = require('node:stream/promises');
const { Readable } = require('node:stream');
const postgres = require('postgres');
const { ENDLESS, ERRORS, SETUP, TYPES, literals, quoted, scenario } = require('../scenarios.js');

const wait = (ms) => new Promise((done) => setTimeout(done, ms));
const one = (query) => query.values().then((r) => r[0][0]);

async function results(sql) {
  for (const [name, ty, text] of literals()) {
    await scenario(`result ${name}`, () => one(sql.unsafe(`SELECT ${quoted(text)}::${ty}`)));
    await scenario(`result prepared ${name}`, () => one(sql.unsafe(`SELECT ${quoted(text)}::${ty}`, [], { prepare: true })));
  }
}

async function parameters(sql) {
  for (const [name, ty, text] of literals()) {
    await scenario(`text parameter ${name}`, () => one(sql.unsafe(`SELECT $1::text::${ty}::text`, [text])));
    let value;
    try {
      value = await one(sql.unsafe(`SELECT ${quoted(text)}::${ty}`));
    } catch {
      continue;
    }
    await scenario(`parameter ${name}`, () => one(sql.unsafe(`SELECT $1::${ty}::text`, [value])));
  }
  for (const ty of Object.keys(TYPES)) await scenario(`parameter null ${ty}`, () => one(sql.unsafe(`SELECT $1::${ty} IS NULL`, [null])));
  await scenario('tagged', () => sql`SELECT ${1}::int + 1 AS a, ${'x'}::text AS b, ${new Date(0)}::timestamptz AS c, ${null}::int AS d, ${[1, 2]}::int[] AS e`);
  await scenario('tagged json', () => sql`SELECT ${sql.json({ a: [1, null] })} AS a, ${sql.json('text')} AS b`);
  await scenario('found out', () => sql`SELECT ${5} + 1 AS a, ${'x'} || 'y' AS b, ${true} AND true AS c`);
  await scenario('in', () => sql`SELECT i FROM generate_series(1, 9) AS g(i) WHERE i IN ${sql([2, 4])}`);
  await scenario('any', () => sql`SELECT i FROM generate_series(1, 9) AS g(i) WHERE i = ANY(${[3, 5]})`);
  await scenario('rows', () => sql`INSERT INTO kinds ${sql([{ a: 1, b: 'x', d: new Date(0), g: [1, 2] }, { a: 2, b: null, d: new Date(1e12), g: [] }])}`);
  await scenario('read back', () => sql`SELECT * FROM kinds ORDER BY a`);
  await scenario('columns', () => sql`SELECT ${sql(['a', 'b'])} FROM ${sql('kinds')} ORDER BY ${sql('a')} DESC`);
  const large = '中文 and more '.repeat(80_000);
  await scenario('large text', async () => (await sql`SELECT ${large}::text AS t`)[0].t === large);
  await scenario('5000 parameters', () => sql.unsafe(`SELECT count(*) FROM (VALUES ${Array.from({ length: 5000 }, (_, n) => `($${n + 1}::int)`).join(', ')}) AS v(a)`, Array.from({ length: 5000 }, (_, n) => n)));
  await scenario('described', () => sql`SELECT $1::int AS a, * FROM kinds`.describe().then((d) => [d.types, d.columns.map((c) => [c.name, c.type])]));
}

async function errors(sql) {
  for (const text of ERRORS.filter((e) => !/^COPY/.test(e))) {
    await scenario(`error simple ${text}`, () => sql.unsafe(text));
    await scenario(`error prepared ${text}`, () => sql.unsafe(text, [], { prepare: true }));
  }
}

async function transactions(sql) {
  await sql`CREATE TABLE tx (a integer)`;
  await scenario('begin', () => sql.begin(async (t) => { await t`INSERT INTO tx VALUES (1)`; return (await t`SELECT count(*)::int AS n FROM tx`)[0].n; }));
  await scenario('rolled back', () => sql.begin(async (t) => { await t`INSERT INTO tx VALUES (2)`; throw new Error('no'); }));
  await scenario('savepoint', () => sql.begin(async (t) => {
    await t`INSERT INTO tx VALUES (3)`;
    await t.savepoint((s) => s`SELECT 1 / 0`).catch((e) => e.code);
    return t`SELECT a FROM tx ORDER BY a`;
  }));
  await scenario('read only', () => sql.begin('read only', (t) => t`INSERT INTO tx VALUES (4)`));
  await scenario('pipelined', () => Promise.all(Array.from({ length: 100 }, (_, n) => sql`SELECT ${n}::int AS n`)).then((all) => all.map((r) => r[0].n).reduce((a, b) => a + b)));
  await scenario('pipelined in a transaction', () => sql.begin((t) => Array.from({ length: 20 }, (_, n) => t`INSERT INTO tx VALUES (${n + 100})`)).then((all) => all.length));
  await scenario('pipelined with an error', () => Promise.allSettled([1, 0, 2].map((n) => sql`SELECT 10 / ${n}::int AS q`)).then((all) => all.map((a) => a.value?.[0].q ?? a.reason.code)));
  await scenario('simple', () => sql.unsafe('SELECT 1 AS a; SELECT 2 AS b; INSERT INTO tx VALUES (9)').simple());
  await scenario('counts', async () => [(await sql`INSERT INTO tx VALUES (1), (2)`).count, (await sql`SELECT * FROM tx`).command, (await sql`CREATE TABLE other (a int)`).command]);
}

async function cursors(sql) {
  await scenario('cursor', async () => {
    const seen = [];
    for await (const batch of sql`SELECT i FROM generate_series(1, 25) AS g(i)`.cursor(10)) seen.push(batch.map((r) => r.i));
    return seen;
  });
  await scenario('cursor left early', async () => {
    for await (const [row] of sql`SELECT i FROM generate_series(1, 1000000) AS g(i)`.cursor(1)) if (row.i === 5) return row.i;
  });
  await scenario('for each', async () => { let n = 0; await sql`SELECT generate_series(1, 1000)`.forEach(() => n++); return n; });
  await scenario('raw', () => sql`SELECT 1, 'x', NULL`.raw());
}

async function copies(sql) {
  await sql`CREATE TABLE cp (id integer, name text)`;
  await scenario('copy in', async () => { await pipeline(Readable.from(['1\tx\n2\t', '中\n']), await sql`COPY cp FROM STDIN`.writable()); return sql`SELECT * FROM cp ORDER BY id`; });
  await scenario('copy out', async () => { let text = ''; for await (const chunk of await sql`COPY (SELECT * FROM cp ORDER BY id) TO STDOUT`.readable()) text += chunk; return text; });
}

async function prepared(sql) {
  await sql`CREATE TABLE shifting (a integer)`;
  const read = () => sql`SELECT * FROM shifting`;
  await scenario('prepared', read);
  await sql`ALTER TABLE shifting ADD COLUMN b text`;
  await scenario('prepared after a column more', read);
  await sql`DROP TABLE shifting`;
  await scenario('prepared after drop', read);
  await scenario('reserved', async () => { const r = await sql.reserve(); const rows = await r`SELECT 1 AS a`; r.release(); return rows; });
}

async function stopping(sql) {
  await scenario('cancel', async () => { const q = sql.unsafe(ENDLESS); q.catch(() => {}); q.execute(); await wait(300); q.cancel(); return q; });
  await sql`SET statement_timeout = 200`;
  await scenario('statement timeout', () => sql.unsafe(ENDLESS));
  await sql`RESET statement_timeout`;
  await scenario('after', () => sql`SELECT 1 AS a`);
  await scenario('connection settings', async () => {
    const other = postgres({ max: 1, connection: { application_name: 'other', statement_timeout: 1234, TimeZone: 'Asia/Tokyo' } });
    const rows = await other`SELECT current_setting('application_name') AS a, current_setting('statement_timeout') AS b, current_setting('TimeZone') AS c`;
    await other.end();
    return rows;
  });
  await scenario('unknown database', async () => { const other = postgres({ max: 1, database: 'nosuch' }); try { return await other`SELECT 1`; } finally { await other.end(); } });
}

async function main() {
  const notices = [];
  const sql = postgres({ max: 1, onnotice: (n) => notices.push([n.severity, n.code, n.message]) });
  for (const text of SETUP) await sql.unsafe(text);
  for (const part of [results, parameters, errors, transactions, cursors, copies, prepared, stopping]) await part(sql);
  await sql`DROP TABLE IF EXISTS nosuch`;
  await scenario('notices', () => notices);
  await sql.end();
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
