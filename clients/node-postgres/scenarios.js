// node-postgres: every type as result (text and binary) and parameter, prepared statements, cursors, COPY, errors, cancel.
'use strict';

const { pipeline } = require('node:stream/promises');
const { Readable, Writable } = require('node:stream');
const { Client, Pool } = require('pg');
const copy = require('pg-copy-streams');
const QueryStream = require('pg-query-stream');
const Cursor = require('pg-cursor');
const { ENDLESS, ERRORS, SETUP, TYPES, failure, literals, quoted, scenario } = require('../scenarios.js');

const rows = (client, text, values, more) => client.query({ text, values, rowMode: 'array', ...more }).then((r) => r.rows);
const one = (client, text, values, more) => rows(client, text, values, more).then((r) => r[0][0]);
const wait = (ms) => new Promise((done) => setTimeout(done, ms));

async function results(client) {
  // The values as they come, too: the driver's own parsing hides differences of text.
  const raw = { types: { getTypeParser: () => (v) => (Buffer.isBuffer(v) ? v.toString('hex') : v) } };
  for (const [name, ty, text] of literals()) {
    await scenario(`result ${name}`, () => one(client, `SELECT ${quoted(text)}::${ty}`));
    await scenario(`raw text ${name}`, () => one(client, `SELECT ${quoted(text)}::${ty}`, [], raw));
    await scenario(`raw binary ${name}`, () => one(client, `SELECT ${quoted(text)}::${ty}`, [], { ...raw, binary: true, queryMode: 'extended' }));
  }
  for (const ty of Object.keys(TYPES)) await scenario(`null ${ty}`, () => one(client, `SELECT NULL::${ty}`));
}

async function parameters(client) {
  for (const [name, ty, text] of literals()) {
    await scenario(`text parameter ${name}`, () => one(client, `SELECT $1::${ty}::text`, [text]));
    let value;
    try {
      value = await one(client, `SELECT ${quoted(text)}::${ty}`);
    } catch {
      continue;
    }
    if (ty === 'json' || ty === 'jsonb') value = JSON.stringify(value);
    if (/^json/.test(ty) && ty.endsWith('[]')) continue;
    await scenario(`parameter ${name}`, () => one(client, `SELECT $1::${ty}::text`, [value]));
  }
  for (const ty of Object.keys(TYPES)) await scenario(`parameter null ${ty}`, () => one(client, `SELECT $1::${ty} IS NULL`, [null]));
  for (const [name, text, values] of [
    ['int', 'SELECT $1 + 1', [41]], ['text', "SELECT $1 || 'x'", ['a']], ['any', 'SELECT 2 = ANY($1)', [[1, 2]]], ['alone', 'SELECT $1', ['x']],
    ['number', 'SELECT $1', [1.5]], ['bool', 'SELECT NOT $1', [true]], ['date', 'SELECT $1::timestamptz', [new Date(0)]],
    ['object', 'SELECT $1::jsonb', [{ a: [1, { b: null }] }]], ['buffer', 'SELECT $1::bytea', [Buffer.from([0, 1, 255])]],
    ['wrong', 'SELECT $1::int', ['x']], ['too few', 'SELECT $1, $2', [1]], ['too many', 'SELECT $1', [1, 2]], ['undefined', 'SELECT $1::int', [undefined]],
    ['bigint', 'SELECT $1::bigint', [2n ** 60n]], ['limit', 'SELECT generate_series(1, 5) LIMIT $1', [2]],
  ]) await scenario(`bare ${name}`, () => rows(client, text, values));
  const large = '中文 and more '.repeat(80_000);
  await scenario('large text', async () => (await one(client, 'SELECT $1::text', [large])) === large);
  const data = Buffer.alloc(1 << 20, 'abc');
  await scenario('large bytea', async () => (await one(client, 'SELECT $1::bytea', [data])).equals(data));
  for (const count of [1000, 5000]) {
    const marks = Array.from({ length: count }, (_, n) => `($${n + 1}::int)`).join(', ');
    await scenario(`${count} parameters`, () => one(client, `SELECT count(*) FROM (VALUES ${marks}) AS v(a)`, Array.from({ length: count }, (_, n) => n)));
  }
}

async function descriptions(client) {
  const fields = async (text) => (await client.query(text)).fields.map((f) => [f.name, f.dataTypeID, f.dataTypeSize, f.dataTypeModifier, f.tableID > 0, f.columnID, f.format]);
  for (const ty of Object.keys(TYPES)) await scenario(`description ${ty}`, () => fields(`SELECT NULL::${ty} AS x, NULL::${ty}[] AS y`));
  await scenario('description table', () => fields('SELECT *, a + 1 FROM kinds'));
}

async function errors(client) {
  for (const text of ERRORS.filter((e) => !/^COPY/.test(e))) {
    await scenario(`error simple ${text}`, () => client.query(text));
    await scenario(`error extended ${text}`, () => client.query({ text, values: [] , name: '' }));
  }
  const notices = [];
  const keep = (n) => notices.push([n.severity, n.code, n.message]);
  client.on('notice', keep);
  await client.query('DROP TABLE IF EXISTS nosuch');
  await scenario('notice', () => notices);
  client.off('notice', keep);
  await scenario('fields of an error', () => client.query('SELECT 1 + nosuch').catch((e) => [e.severity, e.code, e.position, e.length > 0, e.schema, e.table, e.column]));
  await scenario('not null', () => client.query('INSERT INTO strict VALUES (NULL)').catch((e) => [e.code, e.schema, e.table, e.column, e.constraint]));
  await scenario('check', () => client.query('INSERT INTO strict VALUES (-1)').catch((e) => [e.code, e.schema, e.table, e.column, e.constraint]));
}

async function transactions(client) {
  await client.query('CREATE TABLE tx (a integer)');
  const said = [];
  for (const text of ['BEGIN', 'INSERT INTO tx VALUES (1)', 'SAVEPOINT a', 'SELECT 1 / 0', 'SELECT 1', 'ROLLBACK TO a', 'INSERT INTO tx VALUES (2)', 'COMMIT', 'COMMIT', 'SELECT nosuch; SELECT 1', 'INSERT INTO tx VALUES (3); SELECT 1 / 0']) {
    await scenario(`block ${text}`, () => client.query(text).then((r) => [r.command, r.rowCount]));
  }
  await scenario('after', () => rows(client, 'SELECT a FROM tx ORDER BY a'));
  await scenario('several', () => client.query("SELECT 1 AS a; INSERT INTO tx VALUES (5); SELECT 'b' AS b").then((all) => all.map((r) => [r.command, r.rowCount, r.rows])));
  await scenario('queued', () => Promise.all([1, 2, 3].map((n) => one(client, 'SELECT $1::int', [n]))));
  await scenario('queued with an error', () => Promise.allSettled([1, 0, 2].map((n) => one(client, 'SELECT 10 / $1::int', [n]))).then((all) => all.map((a) => a.value ?? a.reason.code)));
  return said;
}

async function cursors(client) {
  await scenario('cursor', async () => {
    const cursor = client.query(new Cursor("SELECT i, 'row ' || i AS t FROM generate_series(1, 20) AS g(i)"));
    const first = await cursor.read(3);
    const second = await cursor.read(2);
    await cursor.close();
    return [first, second];
  });
  await scenario('cursor with parameters', async () => {
    const cursor = client.query(new Cursor('SELECT i + $1 AS n FROM generate_series(1, $2) AS g(i)', [100, 3]));
    return [await cursor.read(100), await cursor.read(100)];
  });
  await scenario('cursor with an error', async () => client.query(new Cursor('SELECT 10 / (3 - i) FROM generate_series(1, 5) AS g(i)')).read(10));
  await scenario('stream', async () => {
    let sum = 0;
    for await (const row of client.query(new QueryStream('SELECT i FROM generate_series(1, 5000) AS g(i)', [], { batchSize: 100 }))) sum += row.i;
    return sum;
  });
  await scenario('stream left early', async () => {
    for await (const row of client.query(new QueryStream('SELECT i FROM generate_series(1, 100000) AS g(i)', [], { batchSize: 10 }))) if (row.i === 25) return row.i;
  });
  await scenario('after it', () => one(client, 'SELECT 1'));
  for (const text of ['BEGIN', "DECLARE c CURSOR FOR SELECT i FROM generate_series(1, 5) AS g(i)", 'FETCH 2 FROM c', 'MOVE 1 FROM c', 'FETCH ALL FROM c', 'CLOSE c', 'FETCH 1 FROM c', 'ROLLBACK']) {
    await scenario(`declared ${text}`, () => client.query(text).then((r) => [r.command, r.rowCount, r.rows]));
  }
}

async function copies(client) {
  await client.query('CREATE TABLE cp (id integer, name text, at timestamptz)');
  const into = async (text, pieces) => {
    const stream = client.query(copy.from(text));
    await pipeline(Readable.from(pieces), stream);
    return stream.rowCount;
  };
  const out = async (text) => {
    const chunks = [];
    await pipeline(client.query(copy.to(text)), new Writable({ write(chunk, _encoding, done) { chunks.push(chunk); done(); } }));
    return Buffer.concat(chunks).toString('latin1');
  };
  await scenario('copy in', () => into('COPY cp FROM STDIN', ['1\tna', 'ïve\t2024-01-01\n2', '\t\\N\t\\N\n']));
  await scenario('copy csv in', () => into('COPY cp FROM STDIN CSV', ['3,"a, ""b""",\n']));
  await scenario('copy wrong', () => into('COPY cp FROM STDIN', ['x\ty\tz\n']));
  await scenario('copy out', () => out('COPY (SELECT * FROM cp ORDER BY id) TO STDOUT'));
  await scenario('copy csv out', () => out('COPY (SELECT * FROM cp ORDER BY id) TO STDOUT CSV HEADER'));
  await scenario('copy binary out', () => out('COPY (SELECT * FROM cp ORDER BY id) TO STDOUT BINARY'));
  await scenario('copy of what fails', () => out('COPY (SELECT 1 / (i - 3) FROM generate_series(1, 5) AS g(i)) TO STDOUT'));
  await scenario('after copies', () => rows(client, 'SELECT id, name FROM cp ORDER BY id'));
}

async function prepared(client) {
  await client.query('CREATE TABLE shifting (a integer)');
  await client.query('INSERT INTO shifting VALUES (1)');
  const read = () => rows(client, 'SELECT * FROM shifting', [], { name: 'shifting' });
  await scenario('prepared', async () => [await read(), await read()]);
  await client.query('ALTER TABLE shifting ADD COLUMN b text');
  await scenario('prepared after a column more', read);
  await client.query('DROP TABLE shifting');
  await scenario('prepared after drop', read);
  await scenario('named', async () => [await one(client, 'SELECT $1::int + 1', [1], { name: 'n' }), await one(client, 'SELECT $1::int + 1', [2], { name: 'n' })]);
  await scenario('named otherwise', () => one(client, 'SELECT $1::int + 2', [1], { name: 'n' }));
  await scenario('deallocated', () => client.query('DEALLOCATE n').then((r) => r.command));
}

async function stopping(client) {
  await scenario('cancel', async () => {
    const running = client.query(ENDLESS);
    await wait(300);
    new Client().cancel(client, client._getActiveQuery?.() ?? client._activeQuery ?? client.activeQuery);
    return running;
  });
  await client.query("SET statement_timeout = '200ms'");
  await scenario('statement timeout', () => client.query(ENDLESS));
  await client.query('RESET statement_timeout');
  await scenario('after it', () => one(client, 'SELECT 1'));
  const impatient = new Client({ statement_timeout: 200, application_name: 'impatient', options: '-c DateStyle=ISO,DMY' });
  await impatient.connect();
  await scenario('timeout of the connection', () => impatient.query(ENDLESS));
  await scenario('settings', async () => [await one(impatient, 'SHOW statement_timeout'), await one(impatient, 'SHOW application_name'), await one(impatient, 'SHOW DateStyle')]);
  await impatient.end();
  await scenario('pool', async () => {
    const pool = new Pool({ max: 5 });
    const all = await Promise.all(Array.from({ length: 50 }, (_, n) => pool.query('SELECT $1::int AS n', [n])));
    await pool.end();
    return all.map((r) => r.rows[0].n).reduce((a, b) => a + b);
  });
  await scenario('unknown database', async () => new Client({ database: 'nosuch' }).connect());
}

async function main() {
  const client = new Client();
  client.on('error', (e) => console.log(`lost: ${failure(e)}`));
  await client.connect();
  for (const text of SETUP) await client.query(text);
  for (const part of [results, parameters, descriptions, errors, transactions, cursors, copies, prepared, stopping]) await part(client);
  await client.end();
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
