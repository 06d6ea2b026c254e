// What the scenarios of the drivers for Node.js share: see scenarios.py.
'use strict';

const { createHash } = require('node:crypto');
const { readFileSync } = require('node:fs');
const { join } = require('node:path');
const { inspect } = require('node:util');

const tables = JSON.parse(readFileSync(join(__dirname, 'values.json'), 'utf8'));

// A join that no server ends in time.
const ENDLESS = 'SELECT sum(a.i * b.i) FROM generate_series(1, 300000) AS a(i), generate_series(1, 300000) AS b(i)';
const SETUP = [
  'CREATE TABLE kinds (a integer, b text, c numeric(8,2), d timestamptz, e varchar(20), f char(3), g integer[])',
  'CREATE TABLE strict (a integer NOT NULL CHECK (a > 0))',
  'CREATE TABLE short (a varchar(3))',
];

const quoted = (text) => `'${text.replaceAll("'", "''")}'`;

function arrayOf(items) {
  const escaped = items.map((i) => `"${i.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`);
  return `{${[...escaped.slice(0, 1), 'NULL', ...escaped.slice(1)].join(',')}}`;
}

// [name, type, text] of every value, then of the arrays.
function literals() {
  const all = [];
  for (const [ty, texts] of Object.entries(tables.types)) {
    texts.forEach((text) => all.push([`${ty} ${inspect(text)}`, ty, text]));
    const finite = texts.filter((t) => !/BC|infinity|^NaN$/i.test(t));
    all.push([`${ty}[] empty`, `${ty}[]`, '{}'], [`${ty}[] of one`, `${ty}[]`, arrayOf(texts.slice(0, 1))]);
    all.push([`${ty}[] all`, `${ty}[]`, arrayOf(finite)]);
  }
  all.push(['integer[] nested', 'integer[]', '{{1,2},{3,NULL}}']);
  return all;
}

function shown(value) {
  const text = inspect(value, { depth: 8, breakLength: Infinity, maxArrayLength: null, maxStringLength: null });
  if (text.length <= 400) return text;
  return `${text.length} characters, md5 ${createHash('md5').update(text).digest('hex')}`;
}

function say(name, value) {
  console.log(`${name.replaceAll(': ', ':')}: ${value}`.replaceAll('\n', '\\n'));
}

const failure = (e) => `error: ${e.constructor.name} ${e.code} ${e.message} | ${e.detail} | ${e.hint} | ${e.position}`;

// Runs one scenario.
async function scenario(name, ask) {
  let value;
  try {
    value = shown(await ask());
  } catch (e) {
    value = failure(e);
  }
  say(name, value);
}

module.exports = { ENDLESS, ERRORS: tables.errors, SETUP, TYPES: tables.types, failure, literals, quoted, scenario };
