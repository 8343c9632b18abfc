// The REST API of the server that this page comes from. Paths are relative, so that the page also
// works below a path of a reverse proxy.

import { signal } from '@preact/signals'

/** An error response, or no response at all (`status` 0). */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
  ) {
    super(message)
  }
}

export const isSignedOut = signal(false)
/** False while the server does not respond. */
export const isOnline = signal(true)

export type Parameters = Record<string, string | number | boolean | undefined>

export async function get<T>(path: string, parameters: Parameters = {}, signal?: AbortSignal) {
  const address = addressOf(path, parameters)
  if (early?.address === address) {
    const { answer } = early
    early = undefined
    return (await answer) as T
  }
  return (await json(address, signal ? { signal } : {})) as T
}

let early: { address: string; answer: Promise<unknown> } | undefined

/** Makes the request of the first screen before that is there; its `get()` takes the answer. */
export function getEarly(path: string, parameters: Parameters): void {
  const address = addressOf(path, parameters)
  const answer = json(address, {})
  early = { address, answer }
  // The screen reports a failure, if there is one.
  answer.catch(() => undefined)
}

function addressOf(path: string, parameters: Parameters): string {
  const query = new URLSearchParams()
  for (const [name, value] of Object.entries(parameters)) {
    if (value !== undefined) query.set(name, String(value))
  }
  return query.size > 0 ? `${path}?${query}` : path
}

export async function post<T>(path: string, body: object): Promise<T> {
  return (await json(path, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })) as T
}

export async function remove(path: string): Promise<void> {
  await json(path, { method: 'DELETE' })
}

async function json(path: string, init: RequestInit): Promise<unknown> {
  const response = await respond(path, init)
  if (response.status === 204) return undefined
  return response.json()
}

async function respond(path: string, init: RequestInit): Promise<Response> {
  const response = await reach(path, init)
  isOnline.value = true
  if (response.ok) return response
  if (response.status === 401) isSignedOut.value = true
  throw await problemOf(response)
}

async function reach(path: string, init: RequestInit): Promise<Response> {
  try {
    return await fetch(path, init)
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') throw error
    isOnline.value = false
    throw new ApiError(0, 'OFFLINE', 'The server does not respond.')
  }
}

async function problemOf(response: Response): Promise<ApiError> {
  const fallback = `The server responded ${response.status} ${response.statusText}`.trim()
  try {
    const body = (await response.json()) as { error?: unknown; code?: string }
    const message = typeof body.error === 'string' ? body.error : fallback
    return new ApiError(response.status, body.code ?? '', message)
  } catch {
    return new ApiError(response.status, '', fallback)
  }
}

/** Returns the sentence to show for a failure. */
export function sentenceOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
