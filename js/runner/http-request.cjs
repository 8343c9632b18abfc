// @ts-check
'use strict'

/**
 * The value of an `http_request` prop: the settings of a request, and `execute()`, which sends it now.
 *
 * Unlike `$send.http` the step waits for the response, so it goes out with the `fetch` of Node.js: the
 * engine's queue, log and egress policy have no part in it.
 */

const { invalidArgument } = require('../errors.cjs')

/** @typedef {{ name: string, value: string, disabled?: boolean }} Field */
/**
 * @typedef {object} Settings
 * @property {string} [url]
 * @property {string} [method]
 * @property {Field[]} [headers]
 * @property {Field[]} [params]
 * @property {{ type?: string, mode?: string, contentType?: string, raw?: string, fields?: Field[] }} [body]
 * @property {{ type?: string, username?: string, password?: string, token?: string }} [auth]
 */

class HttpRequest {
  #name

  /**
   * @param {string} name the prop's
   * @param {Settings | undefined} settings
   */
  constructor(name, settings) {
    this.#name = name
    Object.assign(this, settings)
  }

  /**
   * Sends the request. A status that is not 2xx rejects, with the response in the error.
   *
   * @returns {Promise<{ status: number, statusText: string, headers: Record<string, string>, data: unknown }>}
   */
  async execute() {
    const settings = /** @type {Settings} */ (this)
    if (typeof settings.url !== 'string' || !URL.canParse(settings.url)) {
      throw invalidArgument(`this.${this.#name}.execute(): the prop has no valid url`)
    }
    const url = new URL(settings.url)
    for (const { name, value } of enabled(settings.params)) url.searchParams.append(name, value)
    const { body, contentType } = bodyOf(settings.body)
    const headers = headersOf(settings, contentType)
    const method = settings.method?.toUpperCase() ?? (body === undefined ? 'GET' : 'POST')
    const sendsBody = method !== 'GET' && method !== 'HEAD'
    const fetched = await fetch(url, { method, headers, body: sendsBody ? body : undefined })
    const response = {
      status: fetched.status,
      statusText: fetched.statusText,
      headers: Object.fromEntries(fetched.headers),
      data: dataOf(await fetched.text(), fetched.headers.get('content-type')),
    }
    if (fetched.ok) return response
    const message = `Request failed with status code ${fetched.status}`
    throw Object.assign(new Error(message), { response, status: fetched.status })
  }
}

/** @param {Field[] | undefined} fields */
function enabled(fields) {
  const isUsed = (/** @type {Field} */ field) => field?.name && field.disabled !== true
  return Array.isArray(fields) ? fields.filter(isUsed) : []
}

/** @param {Settings} settings @param {string | undefined} contentType */
function headersOf({ headers: fields, auth }, contentType) {
  const headers = new Headers()
  if (contentType) headers.set('content-type', contentType)
  if (auth?.type === 'bearer') headers.set('authorization', `Bearer ${auth.token ?? ''}`)
  if (auth?.type === 'basic') {
    const credentials = `${auth.username ?? ''}:${auth.password ?? ''}`
    headers.set('authorization', `Basic ${Buffer.from(credentials).toString('base64')}`)
  }
  for (const { name, value } of enabled(fields)) headers.set(name, value)
  return headers
}

/** @param {Settings['body']} body */
function bodyOf(body) {
  if (!body) return {}
  const { contentType = 'application/json' } = body
  const mode = body.mode ?? body.type ?? (body.fields?.length ? 'fields' : 'raw')
  if (mode !== 'fields') {
    return body.raw === undefined || body.raw === '' ? {} : { body: body.raw, contentType }
  }
  /** @type {[string, string][]} */
  const pairs = enabled(body.fields).map(({ name, value }) => [name, value])
  if (pairs.length === 0) return {}
  if (contentType === 'application/x-www-form-urlencoded') {
    return { body: String(new URLSearchParams(pairs)), contentType }
  }
  return { body: JSON.stringify(Object.fromEntries(pairs)), contentType }
}

/** @param {string} text @param {string | null} contentType */
function dataOf(text, contentType) {
  if (!/\bjson\b/i.test(contentType ?? '')) return text
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

module.exports = { HttpRequest }
