// @ts-check
'use strict'

// The destinations that are built in, in the order of their numbers. Generated from the list in
// `src/delivery/kind.rs`: `npm run docs`.

const NAMES = /** @type {const} */ (['http', 'email', 's3', 'sql', 'sse', 'emit'])

const load = () =>
  /** @type {const} */ ([
    require('./http.cjs'),
    require('./email.cjs'),
    require('./s3.cjs'),
    require('./sql.cjs'),
    require('./sse.cjs'),
    require('./emit.cjs'),
  ])

/**
 * Returns a `$send` with a function for each of them. It is a literal: V8 keeps functions that are
 * assigned to members for as long as old objects live.
 *
 * @template Sender
 * @param {object} prototype
 * @param {Sender[]} senders
 */
const sendOf = (prototype, [http, email, s3, sql, sse, emit]) => ({
  __proto__: prototype,
  http,
  email,
  s3,
  sql,
  sse,
  emit,
})

module.exports = { NAMES, load, sendOf }
