// @ts-check
'use strict'

// What a step uses of its host, read from its text. Nothing of it runs.

const { isBuiltin } = require('node:module')
const { NAMES } = require('../../destinations/built-in.cjs')
const { isProperty, NAME, STRING } = require('./lexer.cjs')
const { pinOf } = require('./pins.cjs')
const { isFileSpecifier, references } = require('./references.cjs')
const { stringValue } = require('./syntax.cjs')

/** @typedef {import('./lexer.cjs').Tokens} Tokens */
/** @typedef {import('./analysis.cjs').Analysis} Analysis */
/**
 * @typedef {object} Uses
 * @property {Set<string>} destinations
 * @property {Set<string>} packages with their pins
 * @property {Set<string>} files that are imported
 * @property {Set<string>} steps whose exports are read
 * @property {Set<string>} env names of environment variables
 * @property {Set<string>} accounts
 * @property {Set<string>} needs of the runner
 * @property {Set<string>} unsupported
 */

/** @type {Set<string>} */
const BUILT_IN = new Set(NAMES)
/** Members of `$` that every runner of this package gives. */
const KNOWN_MEMBERS = new Set(['send', 'export', 'event', 'steps'])
const OWN_FLOW = new Set(['exit'])

/** What is needed for a name of v1, or for a member of `$`. */
const HOST = /** @type {Record<string, string>} */ ({
  $respond: 'an HTTP trigger that answers with the response',
  respond: 'an HTTP trigger that answers with the response',
  $checkpoint: 'services.checkpoint, to keep $checkpoint between runs',
  $attachments: 'the attachments of the trigger',
  files: 'files of the workflow ($.files)',
  context: 'the context of the run',
  $context: 'the context of the run',
})

/** Types of props that the runner provides. */
const PROP_TYPES = /** @type {Record<string, string>} */ ({
  '$.service.db': 'services.db, to keep data between runs',
  data_store: 'services.db, for a data store',
  '$.interface.http': 'an HTTP trigger that answers with the response',
  http_request: 'the settings of an HTTP request as a prop',
})

/**
 * @param {Analysis} analysis
 * @returns {Uses}
 */
function usesOf(analysis) {
  /** @type {Uses} */
  const uses = {
    destinations: new Set(),
    packages: new Set(),
    files: new Set(),
    steps: new Set(),
    env: new Set(),
    accounts: new Set(),
    needs: new Set(),
    unsupported: new Set(),
  }
  for (const { specifier } of references(analysis)) noteImport(specifier, uses)
  const { tokens } = analysis
  for (let at = 0; at < tokens.length; at++) {
    if (tokens.kinds[at] === STRING) noteString(tokens, at, uses)
    else if (tokens.kinds[at] === NAME) noteName(tokens, at, uses)
  }
  for (const name of uses.destinations) {
    if (!BUILT_IN.has(name))
      uses.needs.add(`engine.destination(${JSON.stringify(name)}, …): it is not built in`)
  }
  return uses
}

/** @param {string} specifier @param {Uses} uses */
function noteImport(specifier, uses) {
  if (/^(https?|npm|jsr):/.test(specifier)) {
    uses.unsupported.add(`imports from ${specifier}: Node.js imports packages and files`)
  } else if (isFileSpecifier(specifier)) uses.files.add(specifier)
  else if (!isBuiltin(specifier)) {
    const pin = pinOf(specifier)
    const parts = specifier.split('/')
    const name = parts.slice(0, specifier.startsWith('@') ? 2 : 1).join('/')
    uses.packages.add(pin ? `${pin.name}@${pin.range}` : name)
  }
}

/** @param {Tokens} tokens @param {number} at @param {Uses} uses */
function noteString(tokens, at, uses) {
  const value = stringValue(tokens.text(at))
  const isType = tokens.text(at - 1) === ':' && tokens.text(at - 2) === 'type'
  const isProp = value.startsWith('$.') && tokens.text(at - 1) === ':'
  if (!isType && !isProp) return
  if (value === '$.interface.timer' || (isType && value === 'source')) {
    uses.unsupported.add('it is an event source; only actions and code steps can be run')
  } else if (Object.hasOwn(PROP_TYPES, value)) uses.needs.add(PROP_TYPES[value])
}

/** @param {Tokens} tokens @param {number} at @param {Uses} uses */
function noteName(tokens, at, uses) {
  const name = tokens.text(at)
  if (name === '$emit' && tokens.text(at - 2) === 'this') {
    uses.unsupported.add('this.$emit is for event sources; a step has $send.emit')
  }
  if (name === '$auth' && isProperty(tokens, at)) uses.accounts.add(tokens.text(at - 2))
  if (name === '$checkpoint') uses.needs.add(HOST.$checkpoint)
  if (isProperty(tokens, at)) return
  const member = memberAfter(tokens, at)
  if (name === '$send') noteSend(tokens, at, uses)
  else if (name === '$') noteDollar(tokens, at, member, uses)
  else if (name === 'steps' && member && member !== 'trigger') uses.steps.add(member)
  else if (name === 'auths' && member) uses.accounts.add(member)
  else if (name === 'process' && member === 'env') noteEnv(tokens, at + 2, uses)
  else if (name.startsWith('$') && Object.hasOwn(HOST, name)) uses.needs.add(HOST[name])
}

/** @param {Tokens} tokens @param {number} at of `$send` or of `send` in `$.send` @param {Uses} uses */
function noteSend(tokens, at, uses) {
  const member = memberAfter(tokens, at)
  if (member) uses.destinations.add(member)
  else if (tokens.text(at + 1) === '[') {
    uses.needs.add('a look at $send[…]: the destination is known when it runs')
  }
  // const { http, email: mail } = $send
  const brace = tokens.text(at - 1) === '.' ? at - 4 : at - 2
  const open = tokens.text(brace + 1) === '=' ? tokens.pairs[brace] : -1
  if (open < 0 || tokens.text(open) !== '{') return
  for (let name = open + 1; name < brace; name = tokens.after(name)) {
    const isFirst = ['{', ','].includes(tokens.text(name - 1))
    if (isFirst && tokens.kinds[name] === NAME) uses.destinations.add(tokens.text(name))
  }
}

/**
 * @param {Tokens} tokens
 * @param {number} at of `$`
 * @param {string | undefined} member
 * @param {Uses} uses
 */
function noteDollar(tokens, at, member, uses) {
  if (member === undefined || KNOWN_MEMBERS.has(member)) {
    if (member === 'send') noteSend(tokens, at + 2, uses)
  } else if (member === 'flow') {
    const method = memberAfter(tokens, at + 2)
    if (method && !OWN_FLOW.has(method)) uses.needs.add(`flow.${method}, for $.flow.${method}()`)
  } else if (Object.hasOwn(HOST, member)) uses.needs.add(HOST[member])
  else if (!declaresDollar(tokens)) uses.unsupported.add(`$.${member} is not known`)
}

/**
 * Whether `$` is a variable of the step's own, as with cheerio.
 *
 * @param {Tokens} tokens
 */
function declaresDollar(tokens) {
  return tokens.kinds.some(
    (_, at) => tokens.text(at) === '$' && /^(const|let|var|import|as)$/.test(tokens.text(at - 1)),
  )
}

/** @param {Tokens} tokens @param {number} at of `env` @param {Uses} uses */
function noteEnv(tokens, at, uses) {
  const name = memberAfter(tokens, at)
  if (name) uses.env.add(name)
}

/** @param {Tokens} tokens @param {number} at @returns {string | undefined} `b` of `a.b`, `a?.b` and `a["b"]` */
function memberAfter(tokens, at) {
  const next = tokens.text(at + 1)
  if (next === '.' || next === '?.') {
    return tokens.kinds[at + 2] === NAME ? tokens.text(at + 2) : undefined
  }
  const isIndex = next === '[' && tokens.kinds[at + 2] === STRING && tokens.text(at + 3) === ']'
  return isIndex ? stringValue(tokens.text(at + 2)) : undefined
}

module.exports = { usesOf }
