// @ts-check
'use strict'

// Decides whether a query only reads, by DuckDB's own parser, and prepares it.
//
// Invariant: the statement that is returned is the one that was checked. Its text is never parsed
// again, and never becomes part of another text unless DuckDB has read it as one SELECT by itself.

const { WarehouseError } = require('./failure.cjs')
const { memberOf, messageOf } = require('../../../values.cjs')

/** The functions that make rows of their arguments. Others read files, or change settings. */
const TABLE_FUNCTIONS = new Set([
  'generate_series',
  'json_each',
  'json_tree',
  'pragma_table_info',
  'range',
  'repeat',
  'repeat_row',
  'unnest',
])

const RULE =
  'query not allowed: a query is one SELECT, WITH, SHOW TABLES, DESCRIBE or EXPLAIN over the tables'

/** A word of `EXPLAIN`'s beginning, from a place in the text. */
const EXPLAIN = /explain\b/iy
/** The options that DuckDB knows. Without comments, so that they read the same wherever they stand. */
const OPTIONS = /analyze\b|\(\s*(?:analyze|format\s+\w+)(?:\s*,\s*(?:analyze|format\s+\w+))*\s*\)/iy

/**
 * Returns the statement of a query, ready to run.
 *
 * @param {typeof import('@duckdb/node-api')} duckdb
 * @param {import('@duckdb/node-api').DuckDBConnection} connection
 * @param {string} query
 * @returns {Promise<import('@duckdb/node-api').DuckDBPreparedStatement>} rejects when the query is not allowed, or is not SQL
 */
async function prepareAllowed(duckdb, connection, query) {
  // DuckDB reads texts up to the first of them.
  if (query.includes('\0')) throw refused('It contains a NUL character')
  const { SELECT, EXPLAIN } = duckdb.StatementType
  if (await readsOnly(connection, query)) return prepared(connection, query, SELECT)
  const explained = parts(query)
  if (!explained) throw refused('This one is something else')
  const { options, rest } = explained
  if (!(await readsOnly(connection, rest))) throw refused('It explains something else')
  const statement = await prepared(connection, rest, SELECT)
  statement.destroySync()
  // DuckDB has read `rest` as one SELECT, from its first character to its last.
  return prepared(connection, `EXPLAIN ${options}\n${rest}`, EXPLAIN)
}

/**
 * Splits the text of an EXPLAIN. A mistake here cannot let a statement through: `rest` is checked as
 * a text of its own, and runs as such.
 *
 * @param {string} query
 */
function parts(query) {
  const options = after(query, 0, EXPLAIN)
  if (options === undefined) return undefined
  const begin = skipBlank(query, options)
  const rest = after(query, begin, OPTIONS) ?? begin
  return { options: query.slice(begin, rest), rest: query.slice(rest) }
}

/**
 * Returns the place behind what a sticky expression matches, blanks skipped.
 *
 * @param {string} text
 * @param {number} at
 * @param {RegExp} expression
 */
function after(text, at, expression) {
  expression.lastIndex = skipBlank(text, at)
  return expression.test(text) ? expression.lastIndex : undefined
}

/**
 * Skips white space and comments as DuckDB's parser does: a line ends with `\r`, too, and comments
 * nest.
 *
 * @param {string} text
 * @param {number} at
 */
function skipBlank(text, at) {
  for (;;) {
    if (/\s/.test(text.charAt(at))) at++
    else if (text.startsWith('--', at)) at = lineEnd(text, at)
    else if (text.startsWith('/*', at)) at = commentEnd(text, at)
    else return at
  }
}

/** @param {string} text @param {number} at */
function lineEnd(text, at) {
  while (at < text.length && text[at] !== '\n' && text[at] !== '\r') at++
  return at
}

/** @param {string} text @param {number} at */
function commentEnd(text, at) {
  let depth = 0
  while (at < text.length) {
    if (text.startsWith('/*', at)) depth++
    else if (text.startsWith('*/', at)) depth--
    else {
      at++
      continue
    }
    at += 2
    if (depth === 0) break
  }
  return at
}

/**
 * Prepares a text of exactly one statement, of the type that it must have.
 *
 * @param {import('@duckdb/node-api').DuckDBConnection} connection
 * @param {string} text
 * @param {number} type
 */
async function prepared(connection, text, type) {
  const statements = await connection.extractStatements(text).catch(failed)
  if (statements.count !== 1) throw refused(`These are ${statements.count}`)
  const statement = await statements.prepare(0).catch(failed)
  if (statement.statementType === type) return statement
  statement.destroySync()
  throw refused('This one is something else')
}

/** @param {unknown} error @returns {never} */
function failed(error) {
  const message = messageOf(error).replace('Failed to extract statements: ', '')
  throw Object.assign(/** @type {object} */ (error), { message })
}

/**
 * Returns whether a text is one SELECT over tables, in its widest sense; `false` for a statement
 * of another kind.
 *
 * @param {import('@duckdb/node-api').DuckDBConnection} connection
 * @param {string} text
 */
async function readsOnly(connection, text) {
  const answer = await connection.runAndReadAll('SELECT json_serialize_sql($1::VARCHAR)', [text])
  const tree = JSON.parse(String(answer.getRows()[0][0]))
  if (tree.error && tree.error_type === 'not implemented') return false
  if (tree.error) {
    throw new WarehouseError('ERR_SEND_QUERY_FAILED', String(tree.error_message))
  }
  if (tree.statements.length !== 1) throw refused(`These are ${tree.statements.length}`)
  checkFunctions(tree.statements[0])
  return true
}

/** @param {unknown} statement as DuckDB's parser wrote it */
function checkFunctions(statement) {
  const nodes = [statement]
  for (let node = nodes.pop(); node !== undefined; node = nodes.pop()) {
    if (memberOf(node, 'type') === 'TABLE_FUNCTION') {
      const name = String(memberOf(memberOf(node, 'function'), 'function_name')).toLowerCase()
      if (!TABLE_FUNCTIONS.has(name)) throw refused(`It calls ${name}()`)
    }
    for (const member of Object.values(node ?? {})) {
      if (typeof member === 'object' && member !== null) nodes.push(member)
    }
  }
}

/** @param {string} why */
function refused(why) {
  return new WarehouseError('ERR_SEND_QUERY_NOT_ALLOWED', `${RULE}. ${why}`)
}

module.exports = { prepareAllowed, refused }
