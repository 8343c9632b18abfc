// What is on a disk after a loss of power, from a trace that `disk.c` wrote.
//
// What was synced is there. Of what was written since, any sectors are there and any are not, however
// they were ordered; names change in the order in which they were changed, within each folder.

import { chmodSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

const TYPES = /** @type {const} */ ([
  ...['', 'exist', 'create', 'mkdir', 'write', 'truncate', 'sync', 'rename', 'unlink', 'mark'],
  'sync failed',
])
const HEAD = 24
const SECTOR = 512

/** @typedef {{ type: typeof TYPES[number], id: number, offset: number, data: Buffer }} Operation */
/** @typedef {{ offset: number, data: Buffer | undefined }} Change without data: a new length */
/** @typedef {{ path: string, to?: string, id?: number }} Naming without `id` and `to`: a removal */

/**
 * @param {string} path
 * @returns {Operation[]}
 */
export function readTrace(path) {
  const bytes = readFileSync(path)
  const operations = []
  for (let at = 0; at < bytes.length;) {
    const length = Number(bytes.readBigUInt64LE(at + 16))
    operations.push({
      type: TYPES[bytes.readUInt32LE(at)],
      id: bytes.readUInt32LE(at + 4),
      offset: Number(bytes.readBigUInt64LE(at + 8)),
      data: bytes.subarray(at + HEAD, at + HEAD + length),
    })
    at += HEAD + length
  }
  return operations
}

/**
 * A mark as the trace holds it.
 *
 * @param {string} text
 */
export function markOf(text) {
  const head = Buffer.alloc(HEAD)
  head.writeUInt32LE(TYPES.indexOf('mark'))
  head.writeBigUInt64LE(BigInt(Buffer.byteLength(text)), 16)
  return Buffer.concat([head, Buffer.from(text)])
}

/** The content of a file that grows. */
class Content {
  bytes = Buffer.alloc(0)
  length = 0

  /** @param {Change} change */
  apply({ offset, data }) {
    const end = data ? offset + data.length : offset
    if (end > this.bytes.length) {
      const grown = Buffer.alloc(Math.max(end, this.bytes.length * 2))
      this.bytes.copy(grown, 0, 0, this.length)
      this.bytes = grown
    }
    if (data) data.copy(this.bytes, offset)
    else if (offset < this.length) this.bytes.fill(0, offset, this.length)
    this.length = data ? Math.max(this.length, end) : end
  }

  copy() {
    const made = new Content()
    made.bytes = Buffer.from(this.bytes.subarray(0, this.length))
    made.length = this.length
    return made
  }
}

/** A disk that follows a trace and can lose its power at any operation. */
export class CrashDisk {
  /** @type {Map<number, { durable: Content, pending: Change[] }>} */
  #files = new Map()
  /** @type {Map<string, number>} names that are on the disk; 0 for a folder */
  #names = new Map()
  /** @type {Map<string, Naming[]>} changed names, by their folder */
  #changed = new Map()
  /** @type {Map<number, string>} */
  #folders = new Map()
  /** @type {string} */
  #initial

  /** @param {string} initial a folder: what was on the disk before the trace, opened in it or not */
  constructor(initial) {
    this.#initial = initial
    const paths = readdirSync(initial, { recursive: true, encoding: 'utf8' })
    for (const [place, path] of paths.entries()) {
      if (statSync(join(initial, path)).isDirectory()) this.#names.set(path, 0)
      else this.#find(-1 - place, path, false)
    }
  }

  /** @param {Operation} operation */
  follow({ type, id, offset, data }) {
    switch (type) {
      case 'exist':
        return this.#find(id, data.toString(), offset === 1)
      case 'create':
        this.#files.set(id, { durable: new Content(), pending: [] })
        return this.#rename({ path: data.toString(), id })
      case 'mkdir':
        this.#folders.set(id, data.toString())
        return this.#rename({ path: data.toString(), id: 0 })
      case 'write':
      case 'truncate':
        this.#files.get(id)?.pending.push({ offset, data: type === 'write' ? data : undefined })
        return
      case 'sync':
        return this.#sync(id)
      case 'sync failed':
        // The system has forgotten that these were to be written; no later sync brings them.
        this.#files.get(id)?.pending.splice(0)
        return
      case 'rename': {
        const [path, to] = data.toString().split('\n')
        return this.#rename({ path, to })
      }
      case 'unlink':
        return this.#rename({ path: data.toString() })
    }
  }

  /**
   * @param {number} id
   * @param {string} path
   * @param {boolean} isFolder
   */
  #find(id, path, isFolder) {
    if (isFolder) return void this.#folders.set(id, path)
    const durable = new Content()
    durable.apply({ offset: 0, data: readFileSync(join(this.#initial, path)) })
    this.#files.set(id, { durable, pending: [] })
    this.#names.set(path, id)
  }

  /** @param {Naming} naming */
  #rename(naming) {
    const folder = dirname(naming.path)
    this.#changed.set(folder, [...(this.#changed.get(folder) ?? []), naming])
  }

  /** @param {number} id */
  #sync(id) {
    const file = this.#files.get(id)
    if (file) for (const change of file.pending.splice(0)) file.durable.apply(change)
    // The name of a file is synced with its folder alone.
    const folder = this.#folders.get(id)
    if (folder === undefined) return
    for (const naming of this.#changed.get(folder) ?? []) rename(this.#names, naming)
    this.#changed.delete(folder)
  }

  /**
   * Writes to a folder what a loss of power leaves.
   *
   * @param {string} to
   * @param {() => number} random
   */
  loseTo(to, random) {
    const names = new Map(this.#names)
    for (const changed of this.#changed.values()) {
      const kept = Math.floor(random() * (changed.length + 1))
      for (const naming of changed.slice(0, kept)) rename(names, naming)
    }
    const isFolder = (/** @type {string} */ path) => path === '.' || names.get(path) === 0
    const inOrder = [...names].sort(([a], [b]) => a.length - b.length)
    for (const [path, id] of inOrder) {
      if (!hasFolders(path, isFolder)) {
        names.delete(path)
        continue
      }
      const file = this.#files.get(id)
      if (!file) mkdirSync(join(to, path), { recursive: true, mode: 0o700 })
      else writeFileSync(join(to, path), contentAfter(file, random), { mode: 0o600 })
    }
    chmodSync(to, 0o700)
  }
}

/**
 * @param {string} path
 * @param {(path: string) => boolean} isFolder
 */
function hasFolders(path, isFolder) {
  for (let at = dirname(path); at !== '.'; at = dirname(at)) if (!isFolder(at)) return false
  return true
}

/**
 * @param {Map<string, number>} names
 * @param {Naming} naming
 */
function rename(names, { path, to, id }) {
  if (id !== undefined) names.set(path, id)
  else if (!to) names.delete(path)
  else {
    const moved = names.get(path)
    names.delete(path)
    if (moved !== undefined) names.set(to, moved)
  }
}

/**
 * @param {{ durable: Content, pending: Change[] }} file
 * @param {() => number} random
 */
function contentAfter({ durable, pending }, random) {
  const content = durable.copy()
  // From all lost to all kept; in between, each write is kept, torn or lost.
  const chance = [0, 1, random(), random()][Math.floor(random() * 4)]
  for (const change of pending) {
    const [kept, torn] = [random() < chance, random() < chance]
    if (kept) content.apply(change)
    else if (torn && change.data) tear(content, change.offset, change.data, random)
  }
  return content.bytes.subarray(0, content.length)
}

/**
 * @param {Content} content
 * @param {number} offset
 * @param {Buffer} data
 * @param {() => number} random
 */
function tear(content, offset, data, random) {
  for (let at = 0; at < data.length;) {
    const end = Math.min(data.length, at + SECTOR - ((offset + at) % SECTOR))
    if (random() < 0.5) content.apply({ offset: offset + at, data: data.subarray(at, end) })
    at = end
  }
}
