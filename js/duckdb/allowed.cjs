// @ts-check
'use strict'

// Whether a query only reads, by DuckDB's own parser. What a query can reach beyond the tables is
// cut off as well when the database is opened; this is what says so in clear words.

const { WarehouseError } = require('./failure.cjs')

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

/** White space and comments. Each text matches in one way alone, so that no query takes long to read. */
const BLANK = String.raw`(?:\s|--[^\n]*(?:\n|$)|/\*(?:[^*]|\*(?!/))*\*/)*`
/** EXPLAIN, and what may follow it. */
const EXPLAIN = new RegExp(`^${BLANK}explain\\b${BLANK}(?:analyze\\b|\\([^()]*\\))?`, 'i')

/** @param {string} why */
function refused(why) {
  return new WarehouseError('ERR_SEND_QUERY_NOT_ALLOWED', `${RULE}. ${why}`)
}

/**
 * @param {any} connection
 * @param {string} query
 * @returns {Promise<void>} rejects when the query is not allowed, or is no SQL
 */
async function checkAllowed(connection, query) {
  const tree = await parsed(connection, query)
  if (tree.error && tree.error_type === 'not implemented') {
    const explained = EXPLAIN.exec(query)
    if (!explained) throw refused('This one is something else')
    return checkTree(await parsed(connection, query.slice(explained[0].length)))
  }
  checkTree(tree)
}

/**
 * @param {any} connection
 * @param {string} query
 */
async function parsed(connection, query) {
  const answer = await connection.runAndReadAll('SELECT json_serialize_sql($1::VARCHAR)', [query])
  return JSON.parse(answer.getRows()[0][0])
}

/** @param {any} tree */
function checkTree(tree) {
  if (tree.error && tree.error_type === 'not implemented')
    throw refused('This one is something else')
  if (tree.error) {
    throw new WarehouseError('ERR_SEND_QUERY_FAILED', String(tree.error_message))
  }
  if (tree.statements.length !== 1) throw refused(`These are ${tree.statements.length}`)
  const nodes = [tree.statements[0]]
  for (let node = nodes.pop(); node !== undefined; node = nodes.pop()) {
    if (node?.type === 'TABLE_FUNCTION') {
      const name = String(node.function?.function_name).toLowerCase()
      if (!TABLE_FUNCTIONS.has(name)) throw refused(`It calls ${name}()`)
    }
    for (const member of Object.values(node ?? {})) {
      if (typeof member === 'object' && member !== null) nodes.push(member)
    }
  }
}

module.exports = { checkAllowed, refused }
