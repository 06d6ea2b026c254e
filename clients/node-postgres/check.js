// node-postgres through connect, query, parameters, COPY, cursors, errors, big results, 1,000 idle connections.
// The server is that of PGHOST, PGPORT, PGUSER, PGDATABASE.
'use strict';

const assert = require('node:assert');
const { pipeline } = require('node:stream/promises');
const { Readable, Writable } = require('node:stream');
const { Client, Pool } = require('pg');
const copy = require('pg-copy-streams');
const QueryStream = require('pg-query-stream');

async function queries(client) {
  const answer = await client.query("SELECT i AS number, 'x' || i AS label FROM generate_series(1, 3) AS g(i) ORDER BY i");
  assert.deepStrictEqual(answer.fields.map((f) => f.name), ['number', 'label']);
  assert.deepStrictEqual(answer.rows, [{ number: 1, label: 'x1' }, { number: 2, label: 'x2' }, { number: 3, label: 'x3' }]);
  const several = await client.query("SELECT 1 AS a; SELECT 'b' AS b");
  assert.deepStrictEqual(several.map((r) => r.rows[0]), [{ a: 1 }, { b: 'b' }]);
  const arrays = await client.query({ text: 'SELECT 1, NULL, true', rowMode: 'array' });
  assert.deepStrictEqual(arrays.rows, [[1, null, true]]);
}

async function parameters(client) {
  await client.query('CREATE TABLE v (id integer, t text, n numeric(8,2), b boolean, ts timestamptz, j jsonb, a integer[], y bytea)');
  const at = new Date('2024-01-02T03:04:05.678Z');
  const insert = 'INSERT INTO v VALUES ($1, $2, $3, $4, $5, $6, $7, $8)';
  const done = await client.query(insert, [1, "naïve 中文 'q'", '12.50', true, at, { k: [1] }, [1, 2], Buffer.from([0, 255])]);
  assert.strictEqual(done.rowCount, 1);
  await client.query(insert, [2, null, null, null, null, null, null, null]);
  const { rows } = await client.query('SELECT * FROM v WHERE id = $1', [1]);
  assert.deepStrictEqual(rows[0], { id: 1, t: "naïve 中文 'q'", n: '12.50', b: true, ts: at, j: { k: [1] }, a: [1, 2], y: Buffer.from([0, 255]) });
  const nulls = await client.query('SELECT * FROM v WHERE t IS NULL');
  assert.strictEqual(nulls.rows[0].ts, null);
  for (let n = 0; n < 5; n++) {
    const named = await client.query({ name: 'add', text: 'SELECT $1::int + $2::int AS sum', values: [n, 1] });
    assert.strictEqual(named.rows[0].sum, n + 1);
  }
  const any = await client.query('SELECT id FROM v WHERE id = ANY($1) ORDER BY id', [[2, 1, 9]]);
  assert.deepStrictEqual(any.rows, [{ id: 1 }, { id: 2 }]);
}

async function transactions(client) {
  await client.query('CREATE TABLE tx (a integer)');
  await client.query('BEGIN');
  await client.query('INSERT INTO tx VALUES (1)');
  await client.query('COMMIT');
  await client.query('BEGIN');
  await client.query('INSERT INTO tx VALUES (2)');
  await client.query('ROLLBACK');
  assert.deepStrictEqual((await client.query('SELECT a FROM tx')).rows, [{ a: 1 }]);
}

async function copies(client) {
  await client.query('CREATE TABLE c (id integer, name text)');
  const lines = Array.from({ length: 10000 }, (_, n) => `${n}\tname ${n}\n`);
  const into = client.query(copy.from('COPY c FROM STDIN'));
  await pipeline(Readable.from(lines), into);
  assert.strictEqual(into.rowCount, 10000);
  let text = '';
  const sink = new Writable({ write(chunk, _encoding, done) { text += chunk; done(); } });
  await pipeline(client.query(copy.to('COPY (SELECT * FROM c WHERE id < 2 ORDER BY id) TO STDOUT CSV')), sink);
  assert.strictEqual(text, '0,name 0\n1,name 1\n');
  await assert.rejects(pipeline(Readable.from(['x\ty\n']), client.query(copy.from('COPY c FROM STDIN'))), { code: '22P02' });
  assert.strictEqual((await client.query('SELECT count(*)::int AS n FROM c')).rows[0].n, 10000);
}

async function failures(client) {
  for (const [sql, code] of [
    ['SELECT * FROM nosuch', '42P01'], ['SELEC 1', '42601'], ['SELECT 1 / 0', '22012'], ['SELECT nosuch(1)', '42883'],
    ["SELECT 'x'::integer", '22P02'], ['CREATE TABLE v (a integer)', '42P07'],
  ]) {
    await assert.rejects(client.query(sql), { code, severity: 'ERROR' }, sql);
    await assert.rejects(client.query({ text: sql, values: [] }), { code }, sql);
  }
  await assert.rejects(client.query('SELECT 1 + nosuch'), { position: '12' });
  await assert.rejects(client.query('SELECT $1::int', ['x']), { code: '22P02' });
  const nowhere = new Client({ database: 'nosuch' });
  await assert.rejects(nowhere.connect(), { code: '3D000', message: 'database "nosuch" does not exist' });
  assert.strictEqual((await client.query('SELECT 1 AS one')).rows[0].one, 1);
}

async function largeResults(client) {
  const { rows } = await client.query("SELECT i, repeat('x', 100) FROM generate_series(1, 200000) AS g(i)");
  assert.strictEqual(rows.length, 200000);
  // A cursor: Execute with a row limit, again and again.
  let sum = 0;
  for await (const row of client.query(new QueryStream('SELECT i FROM generate_series(1, 50000) AS g(i)', [], { batchSize: 1000 }))) {
    sum += row.i;
  }
  assert.strictEqual(sum, 50000 * 50001 / 2);
}

async function idleConnections() {
  const pool = new Pool({ max: 1000 });
  const clients = [];
  for (let n = 0; n < 1000; n += 50) {
    clients.push(...await Promise.all(Array.from({ length: 50 }, () => pool.connect())));
  }
  const answers = await Promise.all(clients.map((c, n) => c.query('SELECT $1::int AS n', [n])));
  answers.forEach((a, n) => assert.strictEqual(a.rows[0].n, n));
  clients.forEach((c) => c.release());
  await pool.end();
}

async function main() {
  const admin = new Client();
  await admin.connect();
  await admin.query('CREATE DATABASE node_check');
  await admin.end();
  const client = new Client({ database: 'node_check' });
  await client.connect();
  for (const part of [queries, parameters, transactions, copies, failures, largeResults]) {
    await part(client);
    console.log('ok', part.name);
  }
  await client.end();
  await idleConnections();
  console.log('ok idleConnections');
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
