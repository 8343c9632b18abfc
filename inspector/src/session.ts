// The session of this browser: what it may do.

import { signal } from '@preact/signals'

import { get, isSignedOut, post, remove } from './api.ts'

export interface Session {
  authenticated: boolean
  /** True if the server has tokens. */
  required: boolean
  role?: 'read' | 'act'
  /** True if the operator allows test calls. */
  try: boolean
  version?: string
}

export const session = signal<Session | undefined>(undefined)

export function mayAct(): boolean {
  return session.value?.role === 'act'
}

export function mayTry(): boolean {
  return mayAct() && session.value?.try === true
}

/** Reads what this browser may do; if nothing, the sign-in form is shown. */
export async function connect(): Promise<void> {
  const found = await get<Session>('session')
  session.value = found
  isSignedOut.value = !found.authenticated
}

export async function signIn(token: string): Promise<void> {
  await post('session', { token })
  await connect()
}

export async function signOut(): Promise<void> {
  await remove('session')
  isSignedOut.value = true
}
