// @ts-check
'use strict'

// The file of the native addon: where it is looked for, and whether it can be loaded at all. A file
// that was cut off must be found before the system maps it into memory: the first access beyond its
// end kills the process (SIGBUS), without a message.

const { closeSync, fstatSync, openSync, readFileSync, readSync } = require('node:fs')
const { createRequire } = require('node:module')
const { isAbsolute, join } = require('node:path')

/**
 * A place where the addon is looked for.
 *
 * @typedef {object} Candidate
 * @property {string} name the file's path, or the name of a package
 * @property {'file' | 'package'} kind
 * @property {string} [path] the file, if there is one
 * @property {string} [fault] the reason why it cannot be loaded
 */

/** `e_machine` of an ELF file, by the architecture as Node names it. */
const ELF_MACHINES = new Map([
  [3, 'ia32'],
  [40, 'arm'],
  [62, 'x64'],
  [183, 'arm64'],
  [243, 'riscv64'],
  [258, 'loong64'],
])

/** Bytes of the header of a 64-bit ELF file. */
const ELF_HEADER = 64

/** Returns the names of the platforms that this process may load an addon for, such as `linux-x64-gnu`. */
function platformNames() {
  const { platform, arch } = process
  if (platform === 'linux') return [`linux-${arch}-${isMusl() ? 'musl' : 'gnu'}`]
  if (platform === 'win32') return [`win32-${arch}-msvc`]
  if (platform === 'darwin') return ['darwin-universal', `darwin-${arch}`]
  return [`${platform}-${arch}`]
}

/** Returns whether the C library of this system is musl, found as the generated loader finds it. */
function isMusl() {
  try {
    return readFileSync('/usr/bin/ldd', 'utf8').includes('musl')
  } catch {
    return hasMuslLoaded()
  }
}

function hasMuslLoaded() {
  try {
    const report = systemReport()
    if (report.header.glibcVersionRuntime) return false
    return report.sharedObjects.some((name) => /ld-musl-|libc\.musl-/.test(name))
  } catch {
    return false
  }
}

/** @typedef {{ header: { glibcVersionRuntime?: string }, sharedObjects: string[] }} Report */

/**
 * Returns the diagnostic report of this process, without the network, which may be slow to look at.
 *
 * @returns {Report}
 */
function systemReport() {
  const report = /** @type {{ excludeNetwork: boolean, getReport(): unknown }} */ (
    /** @type {unknown} */ (process.report)
  )
  const before = report.excludeNetwork
  report.excludeNetwork = true
  try {
    return /** @type {Report} */ (report.getReport())
  } finally {
    report.excludeNetwork = before
  }
}

/**
 * Returns the places where the addon is looked for, up to the first at which there is a file.
 *
 * @returns {Candidate[]}
 */
function candidates() {
  const chosen = process.env.NAPI_RS_NATIVE_LIBRARY_PATH
  if (chosen) {
    const place = /** @type {const} */ ({ kind: 'file', name: chosen, path: chosen })
    return [isAbsolute(chosen) && chosen.endsWith('.node') ? inspected(place) : place]
  }
  // Code that was bundled into an ES module has neither.
  const folder = typeof __dirname === 'string' ? join(__dirname, '..') : undefined
  const from = typeof __filename === 'string' ? __filename : undefined
  /** @type {Candidate[]} */
  const places = []
  for (const name of platformNames()) {
    for (const place of [local(folder, name), packaged(from, name)]) {
      if (!place) continue
      places.push(inspected(place()))
      if (places[places.length - 1].path) return places
    }
  }
  return places
}

/**
 * @param {string | undefined} folder
 * @param {string} platform
 * @returns {(() => Candidate) | undefined}
 */
function local(folder, platform) {
  if (!folder) return undefined
  const path = join(folder, `dollar-send.${platform}.node`)
  return () => ({ kind: 'file', name: path, path })
}

/**
 * @param {string | undefined} from
 * @param {string} platform
 * @returns {(() => Candidate) | undefined}
 */
function packaged(from, platform) {
  if (!from) return undefined
  const name = `dollar-send-${platform}`
  return () => {
    try {
      return { kind: 'package', name, path: createRequire(from).resolve(name) }
    } catch {
      return { kind: 'package', name, fault: 'not installed' }
    }
  }
}

/**
 * Adds what is wrong with the file of a candidate; without a file it has no path.
 *
 * @param {Candidate} candidate
 * @returns {Candidate}
 */
function inspected(candidate) {
  const { path, ...rest } = candidate
  if (!path) return candidate
  let file
  try {
    file = openSync(path, 'r')
  } catch (error) {
    const { code, message } = /** @type {NodeJS.ErrnoException} */ (error)
    if (code === 'ENOENT') return { ...rest, fault: 'missing' }
    return { ...candidate, fault: `not readable: ${code ?? message}` }
  }
  try {
    return { ...candidate, fault: faultOf(file) }
  } catch (error) {
    return { ...candidate, fault: `not readable: ${/** @type {Error} */ (error).message}` }
  } finally {
    closeSync(file)
  }
}

/**
 * @param {number} file
 * @returns {string | undefined}
 */
function faultOf(file) {
  const { size } = fstatSync(file)
  if (size === 0) return 'damaged: it is empty'
  if (process.platform !== 'linux') return undefined
  const header = Buffer.alloc(ELF_HEADER)
  const length = readSync(file, header, 0, ELF_HEADER, 0)
  if (header.toString('latin1', 0, 4) !== '\x7fELF') return 'not a native addon: no ELF file'
  const isCommon = header[4] === 2 && header[5] === 1 // 64 bits, little-endian
  if (length === ELF_HEADER && !isCommon) return undefined
  // The table of sections is the end of the file.
  const end =
    length < ELF_HEADER
      ? ELF_HEADER
      : Number(header.readBigUInt64LE(40)) + header.readUInt16LE(58) * header.readUInt16LE(60)
  if (size < end) return `damaged: it was cut off at ${size} bytes of at least ${end}`
  const machine = ELF_MACHINES.get(header.readUInt16LE(18)) ?? 'another architecture'
  return machine === process.arch
    ? undefined
    : `for ${machine}, and this process is ${process.arch}`
}

module.exports = { candidates, platformNames, systemReport }
