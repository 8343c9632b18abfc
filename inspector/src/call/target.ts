// The target of a call in one line, whatever its destination.

import type { Call, Message } from '../types.ts'

const NAMES = ['url', 'subject', 'key', 'table', 'channel', 'path', 'name', 'bucket']

export function targetOf(call: Call): string {
  const { request } = call
  for (const name of NAMES) {
    const value = request[name]
    if (typeof value === 'string' && value !== '') return value
  }
  const people = request.to
  if (Array.isArray(people)) return people.join(', ')
  return ''
}

/** Returns the verb of a call: its HTTP method, or the name of its destination. */
export function verbOf(call: Call): string {
  const { method } = call.request
  return typeof method === 'string' ? method : call.destination
}

/** Returns the result of a call in a few characters: the HTTP status, or the error. */
export function resultOf(call: Call): string {
  const status = statusOf(call.response)
  if (status !== '') return status
  return call.error?.code.replace('ERR_SEND_', '') ?? ''
}

function statusOf(response: Message | undefined): string {
  return typeof response?.status === 'number' ? String(response.status) : ''
}

export function hostOf(call: Call): string | undefined {
  const { url } = call.request
  if (typeof url !== 'string' || !URL.canParse(url)) return undefined
  return new URL(url).hostname
}
