// @ts-check
'use strict'

// The error that says why the native addon could not be loaded and what to do about it. Loaded only
// when that has happened.

const { existsSync } = require('node:fs')
const { createRequire } = require('node:module')
const { isAbsolute, join } = require('node:path')

const { platformNames, systemReport } = require('./addon-file.cjs')

/** @typedef {import('./addon-file.cjs').Candidate} Candidate */

/** The platforms that packages with an addon are published for. */
const PUBLISHED = [
  'darwin-arm64',
  'darwin-x64',
  'linux-arm64-gnu',
  'linux-x64-gnu',
  'linux-x64-musl',
  'win32-x64-msvc',
]

const REINSTALL =
  'Delete node_modules and install again on this system, with optional dependencies (npm leaves them ' +
  'out with --omit=optional, and where the lock file was written on another platform).'
const BUILD =
  'Build it: npm run build (needs a stable Rust toolchain, https://rustup.rs, and a C compiler).'

/**
 * What is known of an attempt to load the addon.
 *
 * @typedef {object} Facts
 * @property {{ code?: string, message: string }[]} errors those of the attempts
 * @property {Candidate[]} candidates
 * @property {string} platform such as `linux-x64-gnu`
 * @property {string} [glibc] its version, on Linux
 * @property {boolean} [isPermissionModel] whether Node's permission model is on
 * @property {boolean} [isCheckout] whether this is a checkout of the repository
 */

/**
 * Returns why the addon could not be loaded, and what to do.
 *
 * @param {Facts} facts
 * @returns {[why: string, advice: string]}
 */
function explain(facts) {
  return disabled(facts) ?? refused(facts) ?? faulty(facts) ?? absent(facts) ?? unknown(facts)
}

/**
 * @param {Facts} facts
 * @returns {[string, string] | undefined}
 */
function disabled({ errors, candidates, isPermissionModel }) {
  if (errors.some(({ code }) => code === 'ERR_DLOPEN_DISABLED')) {
    return isPermissionModel
      ? [
          "addons are disabled by Node's permission model (--permission without --allow-addons)",
          'Start Node with --allow-addons.',
        ]
      : ['addons are disabled in this process (--no-addons)', 'Start Node without --no-addons.']
  }
  if (errors.some(({ message }) => /--allow-ffi/.test(message))) {
    return ['Deno does not allow addons here', 'Start Deno with --allow-ffi, or with -A.']
  }
  if (
    errors.some(({ code }) => code === 'ERR_ACCESS_DENIED') ||
    candidates.some(({ fault }) => fault?.includes('ERR_ACCESS_DENIED'))
  ) {
    return [
      "Node's permission model does not allow its file to be read",
      'Start Node with --allow-fs-read for the folder of this package.',
    ]
  }
  return undefined
}

/**
 * Explains the words of the system's loader.
 *
 * @param {Facts} facts
 * @returns {[string, string] | undefined}
 */
function refused({ errors, glibc }) {
  const said = errors.map(({ message }) => message).join('\n')
  const needed = [...said.matchAll(/GLIBC_(\d+\.\d+)/g)].map(([, version]) => version)
  if (needed.length > 0) {
    return [
      `it needs glibc ${needed.sort(byVersion).pop()}, and this system has ${glibc ?? 'an older one'}`,
      'Install a published package, which needs glibc 2.17, or build the addon on this system.',
    ]
  }
  if (/ld-linux|libc\.so\.6.*(No such file|cannot open)|__\w+_chk: symbol not found/.test(said)) {
    return ['it was built for glibc, and this system has musl', REINSTALL]
  }
  if (/libc\.musl|ld-musl/.test(said)) {
    return ['it was built for musl, and this system has glibc', REINSTALL]
  }
  if (/failed to map segment|Operation not permitted|Permission denied/.test(said)) {
    return [
      'the system does not allow code from its file to run',
      'Install the package in a folder that is readable and not mounted with noexec.',
    ]
  }
  return undefined
}

/** @param {string} one @param {string} other */
function byVersion(one, other) {
  return one.localeCompare(other, 'en', { numeric: true })
}

/**
 * @param {Facts} facts
 * @returns {[string, string] | undefined}
 */
function faulty({ candidates, errors, isCheckout }) {
  const faulty = candidates.find(({ path, fault }) => path && fault)
  const advice = isCheckout ? BUILD : REINSTALL
  if (faulty) return [`its file is ${faulty.fault}`, advice]
  const damaged = errors.find(({ message }) => DAMAGED.test(message))
  return damaged && ['its file is damaged or not a native addon', advice]
}

/** What systems say of a file that is no library for them. */
const DAMAGED =
  /file too short|invalid ELF header|cannot read file data|wrong ELF class|not a (valid )?mach-o|truncated mach-o|incompatible architecture|not a valid Win32 application|did not self-register/i

/**
 * @param {Facts} facts
 * @returns {[string, string] | undefined}
 */
function absent({ candidates, platform, isCheckout }) {
  if (candidates.some(({ path }) => path)) return undefined
  if (isCheckout) return ['it is not built', BUILD]
  if (!PUBLISHED.includes(platform)) {
    return [
      `there is none for ${platform}`,
      `Published are ${PUBLISHED.join(', ')}; for others build the addon from a checkout of the repository.`,
    ]
  }
  return ['it is not installed', REINSTALL]
}

/**
 * @param {Facts} facts
 * @returns {[string, string]}
 */
function unknown({ errors }) {
  return [errors[0]?.message ?? 'for an unknown reason', REINSTALL]
}

/**
 * Returns the error for an addon that could not be loaded.
 *
 * @param {Candidate[]} candidates
 * @param {unknown} [error] that of the generated loader
 */
function loadError(candidates, error) {
  const cause = error === undefined ? undefined : causeOf(candidates, error)
  const [platform] = platformNames().slice(-1)
  const { glibc, words } = system()
  const facts = {
    errors: chain(cause),
    candidates,
    platform,
    glibc,
    isPermissionModel: 'permission' in process && process.permission !== undefined,
    isCheckout: isCheckout(),
  }
  const [why, advice] = explain(facts)
  return addonError(why, advice, candidates, words, cause)
}

/**
 * Returns the error for an addon of another version than this JavaScript.
 *
 * @param {Candidate[]} candidates
 * @param {string} wanted
 * @param {string | undefined} found
 */
function versionError(candidates, wanted, found) {
  const why = `it is of ${found ? `version ${found}` : 'an unknown version'}, and the package of version ${wanted}`
  const advice = isCheckout() ? BUILD : REINSTALL
  return addonError(why, advice, candidates, system().words)
}

/**
 * @param {string} why
 * @param {string} advice
 * @param {Candidate[]} candidates
 * @param {string} words of the system
 * @param {unknown} [cause]
 */
function addonError(why, advice, candidates, words, cause) {
  const looked = candidates.map(
    ({ kind, name, path, fault }) =>
      `${kind === 'package' ? `package ${name}` : name}${fault ? ` (${fault})` : path !== name ? ` (${path})` : ''}`,
  )
  const lines = [
    `The native addon of dollar-send could not be loaded: ${why}.`,
    advice,
    `System: ${words}.`,
    `Looked for: ${looked.join(', ') || 'nothing that this code can name'}.`,
  ]
  const error = new Error(lines.join('\n'), cause === undefined ? undefined : { cause })
  return Object.assign(error, { code: /** @type {const} */ ('ERR_SEND_ADDON') })
}

/**
 * Returns the error of the system or of Node. The generated loader makes errors of its own of those of
 * its attempts, without their codes, and adds attempts with WebAssembly that are not published.
 *
 * @param {Candidate[]} candidates
 * @param {unknown} error
 */
function causeOf(candidates, error) {
  const path = candidates[candidates.length - 1]?.path
  if (path && isAbsolute(path)) {
    try {
      createRequire(path)(path)
    } catch (original) {
      return original
    }
  }
  let cause = /** @type {Thrown | undefined} */ (error)
  while (cause?.cause && /^Cannot find native binding|wasi/.test(cause.message)) cause = cause.cause
  return cause
}

/** @typedef {{ code?: string, message: string, cause?: Thrown }} Thrown */

/**
 * @param {unknown} error
 * @returns {{ code?: string, message: string }[]}
 */
function chain(error) {
  /** @type {Thrown[]} */
  const errors = []
  for (
    let next = /** @type {Thrown | undefined} */ (error);
    next && !errors.includes(next);
    next = next.cause
  )
    errors.push(next)
  return errors.map(({ code, message }) => ({ code, message: String(message) }))
}

/** Returns the version of glibc and a description of the system and the runtime. */
function system() {
  const { platform, arch, versions } = process
  const [name] = platformNames()
  const glibc = platform === 'linux' ? glibcVersion() : undefined
  const libc = glibc ? `, glibc ${glibc}` : name.endsWith('-musl') ? ', musl' : ''
  const runtime = ['bun', 'deno', 'electron'].find((other) => versions[other])
  const own = runtime ? `${runtime} ${versions[runtime]}, ` : ''
  return { glibc, words: `${platform} ${arch}${libc}, ${own}Node ${versions.node}` }
}

/** @returns {string | undefined} */
function glibcVersion() {
  try {
    return systemReport().header.glibcVersionRuntime
  } catch {
    return undefined
  }
}

/** Returns whether the sources of the addon are beside this folder. */
function isCheckout() {
  return typeof __dirname === 'string' && existsSync(join(__dirname, '..', 'Cargo.toml'))
}

module.exports = { explain, loadError, PUBLISHED, versionError }
