// The original's checker, asked the same questions as ours.

import { createRequire } from 'node:module'

/** @type {Record<string, (config: unknown) => void>} */
const checkers = createRequire(import.meta.url)('@pipedream/platform').$sendConfigRuntimeTypeChecker

/**
 * @param {string} name
 * @param {unknown} config
 * @returns {{ accepted: true } | { accepted: false, message: string }}
 */
export function original(name, config) {
  return outcome(() => checkers[name](config))
}

/**
 * @param {() => unknown} call
 * @returns {{ accepted: true } | { accepted: false, message: string, code?: string }}
 */
export function outcome(call) {
  try {
    call()
    return { accepted: true }
  } catch (error) {
    return { accepted: false, message: String(error?.message), code: error?.code }
  }
}
