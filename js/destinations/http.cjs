// @ts-check
'use strict'

// `$send.http`: checks a call, and takes its snapshot. A body that JSON cannot hold becomes bytes
// beside the text.

const { URL } = require('node:url')
const { types } = require('node:util')

const { binaryBody } = require('../recording/body.cjs')
const { isSearchParams } = require('../recording/brands.cjs')
const { bytesOf } = require('../recording/bytes.cjs')
const { apply, check, ignoredMembers, optional, required } = require('../recording/check.cjs')
const { isPlainTree } = require('../recording/plain.cjs')
const { refusing, textOf } = require('../recording/snapshot.cjs')
const { Refusal, headersOf } = require('../recording/spelled-out.cjs')
const { isObject, isRecord, unchecked } = require('../values.cjs')

/** @typedef {import('./index.cjs').Call} Call */

const NAME = 'http'

const AUTH_RULES = [required('string', 'auth', 'password'), required('string', 'auth', 'username')]

/** @type {import('../recording/check.cjs').Rule[]} */
const RULES = [
  optional('string', 'method'),
  required('url', 'url'),
  { ...optional('record', 'auth'), read: checkedAuth },
  optional('content', 'data'),
  optional('object', 'headers'),
  optional('object', 'params'),
]

/** Keys of axios, got, node-fetch and request that have no effect here, by the reason. */
const IGNORED_BY_ADVICE = {
  'the request body goes into `data`': ['body', 'json', 'form', 'formData', 'multipart'],
  'the query goes into `params`': ['searchParams', 'query', 'qs'],
  'give `params` as they are to be written, or a URLSearchParams': ['paramsSerializer'],
  'give the form as `data`': ['formSerializer'],
  'give the whole address in `url`': ['baseURL', 'prefixUrl', 'allowAbsoluteUrls', 'socketPath'],
  "connections are the engine's, see its options `http` and `egress`": [
    ...['agent', 'httpAgent', 'httpsAgent', 'proxy', 'adapter', 'transport', 'dispatcher'],
    ...['lookup', 'family', 'httpVersion', 'http2Options', 'insecureHTTPParser'],
    ...['rejectUnauthorized', 'https', 'maxRate'],
  ],
  'functions do not run with a delivery: change the call before it is made': [
    ...['transformRequest', 'transformResponse', 'beforeRedirect', 'parseReviver', 'hooks'],
    ...['onUploadProgress', 'onDownloadProgress'],
  ],
  'only a 2xx response counts as delivered': ['validateStatus', 'throwHttpErrors'],
  'no response comes back to the step: it is in the log': [
    ...['responseType', 'responseEncoding', 'decompress', 'transitional'],
  ],
  'the limits are options of the engine': ['maxBodyLength', 'maxContentLength'],
  'a recorded call is not taken back': ['signal', 'cancelToken'],
  'it is for browsers': [
    ...['withCredentials', 'xsrfCookieName', 'xsrfHeaderName', 'withXSRFToken', 'credentials'],
    ...['mode', 'cache', 'env', 'fetchOptions'],
  ],
  'redirects are followed as `maxRedirects` says': [
    'redirect',
    'followRedirect',
    'followRedirects',
  ],
  'give `auth: { username, password }`': ['username', 'password'],
}

/** The advice for each key without an effect. */
const IGNORED = Object.fromEntries(
  Object.entries(IGNORED_BY_ADVICE).flatMap(([advice, keys]) => keys.map((key) => [key, advice])),
)

const IGNORED_KEYS = new Set(Object.keys(IGNORED))

/** The longest `timeout` that a call may ask for, in milliseconds: the bound of the delivery. */
const MAX_TIMEOUT_MS = 300_000

/**
 * Returns whether the text of a call is what `JSON.stringify` makes of it, and has no warnings.
 *
 * @param {unknown} config
 */
function isPlain(config) {
  if (!isRecord(config)) return false
  const { url, method, data, headers, params, auth } = config
  return (
    typeof url === 'string' &&
    typeof method === 'string' &&
    (data === undefined || typeof data === 'string' || isObject(data)) &&
    (headers === undefined || isObject(headers)) &&
    (params === undefined || isObject(params)) &&
    auth === undefined &&
    !hasIgnoredKeys(config) &&
    isPlainTree(config)
  )
}

/** @param {Record<string, unknown>} config */
function hasIgnoredKeys(config) {
  for (const key in config) if (IGNORED_KEYS.has(key)) return true
  return false
}

/**
 * Checks a call and takes its snapshot.
 *
 * @param {unknown} config
 * @param {{ strict: boolean }} settings
 * @returns {Call}
 */
function call(config, { strict }) {
  const known = check(NAME, RULES, config)
  const given = /** @type {object} */ (config)
  const timeout = unchecked(given, 'timeout')
  const warnings = ignoredMembers(IGNORED, given)
  if (strict) warnings.push(...deliveryWarnings(known, timeout))
  const body = refusing(NAME, ['data'], () => binaryBody(known.data))
  if (body) delete known.data
  if (isObject(known.headers)) known.headers = checkedHeaders(known.headers)
  if (typeof timeout === 'number') known.timeout = timeout
  else if (timeout !== undefined && timeout !== null) {
    warnings.push('the timeout is ignored: it is not a number of milliseconds')
  }
  const maxRedirects = unchecked(given, 'maxRedirects')
  if (typeof maxRedirects === 'number') known.maxRedirects = maxRedirects
  else if (maxRedirects !== undefined && maxRedirects !== null) {
    warnings.push('maxRedirects is ignored: it is not a number')
  }
  const retry = retryOf(unchecked(given, 'retry'), warnings)
  if (retry !== undefined) known.retry = retry
  return { text: textOf(NAME, known, warnings), warnings, body }
}

/** @param {unknown} auth a record */
function checkedAuth(auth) {
  const { username, password } = /** @type {Record<string, unknown>} */ (auth)
  apply(NAME, AUTH_RULES[0], password)
  apply(NAME, AUTH_RULES[1], username)
  return { username, password }
}

/**
 * Returns headers as an object. Refuses values that are neither text nor JSON.
 *
 * @param {object} headers
 */
function checkedHeaders(headers) {
  const given = isSearchParams(headers)
    ? headersOf(/** @type {Iterable<[string, unknown]>} */ (headers))
    : headers
  for (const name of Object.keys(given)) {
    const value = unchecked(given, name)
    if (!bytesOf(value) && !types.isMap(value)) continue
    refusing(NAME, ['headers', name], () => {
      throw new Refusal('is neither a text nor a list of texts', () => 'give a text')
    })
  }
  return given
}

/**
 * Returns the retry policy of a call as JSON holds it; the delivery reads it. Pipedream knows no such
 * key, so nothing in it is an error.
 *
 * @param {unknown} retry
 * @param {string[]} warnings
 * @returns {unknown}
 */
function retryOf(retry, warnings) {
  if (retry === undefined || retry === null) return undefined
  try {
    return JSON.parse(JSON.stringify(retry))
  } catch {
    warnings.push('`retry` is ignored: it is not a value that JSON holds')
    return undefined
  }
}

/**
 * Returns what the delivery would warn of or fail for. In strict mode it is an error of the call.
 *
 * @param {Record<string, unknown>} known
 * @param {unknown} timeout
 * @returns {string[]}
 */
function deliveryWarnings({ method, url }, timeout) {
  const found = []
  if (!method) found.push('the method is missing')
  if (/[a-z]/.test(String(method ?? ''))) found.push('the method is not in upper case')
  if (typeof url === 'string' && !URL.canParse(url)) found.push('`url` does not parse')
  if (typeof timeout === 'number' && !(timeout >= 1 && timeout <= MAX_TIMEOUT_MS)) {
    found.push(`the timeout is not from 1 to ${MAX_TIMEOUT_MS} milliseconds`)
  }
  return found
}

module.exports = { name: NAME, rules: RULES, isPlain, call }
