// Reads of an ELF file what decides where it loads: the architecture and the versions of glibc.

const SHT_GNU_VERNEED = 0x6ffffffe

const MACHINES = new Map([
  [62, 'x64'],
  [183, 'arm64'],
])

/**
 * What an ELF file asks of the system.
 *
 * @typedef {object} Needs
 * @property {string | undefined} cpu as Node names it
 * @property {string[]} versions of symbols, such as `GLIBC_2.17`, each once
 */

/**
 * @param {Buffer} file a little-endian 64-bit ELF file
 * @returns {Needs}
 */
export function readNeeds(file) {
  if (file.toString('latin1', 0, 4) !== '\x7fELF' || file[4] !== 2 || file[5] !== 1) {
    throw new Error('not a little-endian 64-bit ELF file')
  }
  const sections = readSections(file)
  const versions = new Set()
  for (const section of sections) {
    if (section.type !== SHT_GNU_VERNEED) continue
    const names = sections[section.link]
    for (const name of versionNames(file, section.offset, names.offset)) versions.add(name)
  }
  return { cpu: MACHINES.get(file.readUInt16LE(18)), versions: [...versions] }
}

/** @param {Buffer} file */
function readSections(file) {
  const start = Number(file.readBigUInt64LE(40))
  const size = file.readUInt16LE(58)
  return Array.from({ length: file.readUInt16LE(60) }, (_, index) => {
    const at = start + index * size
    return {
      type: file.readUInt32LE(at + 4),
      offset: Number(file.readBigUInt64LE(at + 24)),
      link: file.readUInt32LE(at + 40),
    }
  })
}

/**
 * Yields the names of a table of needed versions: a list of libraries, each with a list of versions.
 *
 * @param {Buffer} file
 * @param {number} table
 * @param {number} strings
 */
function* versionNames(file, table, strings) {
  for (let library = table, next = 1; next !== 0; library += next) {
    next = file.readUInt32LE(library + 12)
    let version = library + file.readUInt32LE(library + 8)
    for (let left = file.readUInt16LE(library + 2); left > 0; left--) {
      const name = strings + file.readUInt32LE(version + 8)
      yield file.toString('latin1', name, file.indexOf(0, name))
      version += file.readUInt32LE(version + 12)
    }
  }
}

/**
 * Returns the newest glibc that a file needs, such as `2.17`; `undefined` when it needs none.
 *
 * @param {Needs} needs
 */
export function glibcNeeded({ versions }) {
  return versions
    .map((name) => /^GLIBC_(\d+(?:\.\d+)*)$/.exec(name)?.[1])
    .filter((version) => version !== undefined)
    .sort(compareVersions)
    .pop()
}

/**
 * @param {string} one
 * @param {string} other
 */
export function compareVersions(one, other) {
  return one.localeCompare(other, 'en', { numeric: true })
}
