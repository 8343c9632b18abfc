// The test call that is being written.

import { signal } from '@preact/signals'

import { rawOf } from '../call/body.ts'
import type { Call } from '../types.ts'
import { argumentsIn, type Literal } from './example.ts'

export const METHODS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD', 'OPTIONS']

export interface Draft {
  method: string
  url: string
  /** Lines of `name: value`. */
  headers: string
  body: string
}

export const EMPTY: Draft = { method: 'POST', url: '', headers: '', body: '' }

export const draft = signal<Draft>(EMPTY)

/** Headers that the engine sets itself. */
const OWN = new Set(['content-length', 'host', 'connection', 'transfer-encoding', 'traceparent'])

const REDACTED = /\[redacted\]|%5Bredacted%5D/i

/** Returns a call of the log as a draft; what is redacted is left out. */
export function draftOf({ request }: Call): Draft {
  const lines = Object.entries(request.headers ?? {}).flatMap(([name, values]) =>
    OWN.has(name.toLowerCase()) ? [] : [values].flat().map((value) => `${name}: ${value}`),
  )
  return {
    method: request.method ?? 'GET',
    url: request.url ?? '',
    headers: lines.filter((line) => !REDACTED.test(line)).join('\n'),
    body: request.bodyEncoding === 'base64' ? '' : rawOf(request.body),
  }
}

/** Returns the calls of `$send.http` in the text of a step as drafts. */
export function draftsIn(source: string): Draft[] {
  return argumentsIn(source, '$send.http', '$.send.http').flatMap((argument) =>
    isRecord(argument) ? [fromArgument(argument)] : [],
  )
}

function fromArgument({ method, url, headers, data, params }: Record<string, Literal>): Draft {
  const lines = isRecord(headers)
    ? Object.entries(headers).map(([name, value]) => `${name}: ${textOf(value)}`)
    : []
  return {
    method: typeof method === 'string' ? method.toUpperCase() : 'GET',
    url: withParameters(textOf(url), params),
    headers: lines.join('\n'),
    body: data === undefined || data === null ? '' : pretty(data),
  }
}

function withParameters(url: string, params: Literal | undefined): string {
  if (!isRecord(params) || !URL.canParse(url)) return url
  const whole = new URL(url)
  for (const [name, value] of Object.entries(params)) whole.searchParams.append(name, textOf(value))
  return whole.href
}

function pretty(value: Literal): string {
  return typeof value === 'string' ? value : JSON.stringify(value, null, 2)
}

function textOf(value: Literal | undefined): string {
  return typeof value === 'string' ? value : value === undefined ? '' : JSON.stringify(value)
}

function isRecord(value: Literal | undefined): value is Record<string, Literal> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The members of `POST /v1/try`. */
export function callOf({ method, url, headers, body }: Draft): object {
  const pairs = headers.split('\n').filter((line) => line.trim() !== '')
  const named = pairs.map((line) => {
    const at = line.indexOf(':')
    if (at < 1) throw new Error(`A header is a line of name: value, not ${line}`)
    return [line.slice(0, at).trim(), line.slice(at + 1).trim()]
  })
  const data = body.trim() === '' ? {} : { data: jsonOf(body) }
  return { method, url: url.trim(), headers: Object.fromEntries(named) as object, ...data }
}

function jsonOf(body: string): unknown {
  try {
    return JSON.parse(body) as unknown
  } catch {
    return body
  }
}
