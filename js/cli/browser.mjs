// Opens a page in the browser of this machine.

import { spawn } from 'node:child_process'

/** The time after which a program that still runs has opened the page. */
const SETTLED_MS = 2000

/**
 * Returns the program that opens a page; undefined without a desktop.
 *
 * @param {string} url
 * @param {NodeJS.ProcessEnv} env
 * @param {NodeJS.Platform} platform
 * @returns {[string, string[]] | undefined}
 */
function openerOf(url, env, platform) {
  if (env.BROWSER) return [env.BROWSER, [url]]
  if (platform === 'darwin') return ['open', [url]]
  if (platform === 'win32') return ['rundll32', ['url.dll,FileProtocolHandler', url]]
  return env.DISPLAY || env.WAYLAND_DISPLAY ? ['xdg-open', [url]] : undefined
}

/**
 * Opens a page. Returns why it could not be opened, or undefined.
 *
 * @param {string} url
 * @returns {Promise<string | undefined>}
 */
export function openBrowser(url) {
  const opener = openerOf(url, process.env, process.platform)
  if (!opener) return Promise.resolve('there is no desktop')
  const [program, args] = opener
  return new Promise((resolve) => {
    const child = spawn(program, args, { stdio: 'ignore', detached: true })
    const timer = setTimeout(() => resolve(undefined), SETTLED_MS)
    const end = (/** @type {string | undefined} */ reason) => {
      clearTimeout(timer)
      resolve(reason)
    }
    child.on('error', (error) => end(error.message))
    child.on('exit', (code) => end(code ? `${program} ended with status ${code}` : undefined))
    child.unref()
  })
}

/**
 * Returns the address of a server as a browser on this machine reaches it.
 *
 * @param {string} url
 */
export function localAddress(url) {
  return url.replace(/\/\/(0\.0\.0\.0|\[::\])(?=[:/]|$)/, '//127.0.0.1')
}
