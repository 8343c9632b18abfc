// What the scripts that make packages decide: what a package may contain, and where an addon loads.

import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { it } from 'node:test'
import { gzipSync } from 'node:zlib'

import explaining from '../../js/addon-error.cjs'
import { compareVersions, glibcNeeded, readNeeds } from '../../scripts/elf.mjs'
import { missing, problems } from '../../scripts/pack-guard.mjs'
import { missingLinks, withRepositoryLinks } from '../../scripts/docs/packed-links.mjs'
import { json } from '../../scripts/run.mjs'
import { readTarball } from '../../scripts/tarball.mjs'
import { addonFile, readManifest, targets } from '../../scripts/targets.mjs'
import { runNode } from '../support/child.mjs'
import { folderFor, ROOT } from '../support/copy.mjs'

const { version, repository } = readManifest()
const LINUX = targets().find(({ platform }) => platform === 'linux-x64-gnu')

/**
 * An ELF file that needs symbols of these versions, and has nothing else.
 *
 * @param {string[]} versions
 * @param {number} [machine]
 */
function elf(versions, machine = 62, page = '/assets/index-') {
  const strings = Buffer.from(`\0libc.so.6\0${versions.join('\0')}\0${page}`)
  const needed = Buffer.alloc(16 + 16 * versions.length)
  needed.writeUInt16LE(1, 0)
  needed.writeUInt16LE(versions.length, 2)
  needed.writeUInt32LE(1, 4)
  needed.writeUInt32LE(16, 8)
  versions.forEach((name, index) => {
    const at = 16 + 16 * index
    needed.writeUInt32LE(strings.indexOf(`\0${name}\0`) + 1, at + 8)
    needed.writeUInt32LE(index === versions.length - 1 ? 0 : 16, at + 12)
  })
  const header = Buffer.alloc(64)
  header.write('\x7fELF\x02\x01', 'latin1')
  header.writeUInt16LE(machine, 18)
  header.writeBigUInt64LE(BigInt(64 + strings.length + needed.length), 40)
  header.writeUInt16LE(64, 58)
  header.writeUInt16LE(3, 60)
  const sections = Buffer.alloc(3 * 64)
  sections.writeUInt32LE(3, 64 + 4)
  sections.writeBigUInt64LE(64n, 64 + 24)
  sections.writeUInt32LE(0x6ffffffe, 128 + 4)
  sections.writeBigUInt64LE(BigInt(64 + strings.length), 128 + 24)
  sections.writeUInt32LE(1, 128 + 40)
  return Buffer.concat([header, strings, needed, sections])
}

/**
 * Writes a tarball; returns its path.
 *
 * @param {string} folder
 * @param {string} name
 * @param {Record<string, string | Buffer>} files
 */
function tarball(folder, name, files) {
  const blocks = Object.entries(files).flatMap(([path, text]) => {
    const content = Buffer.from(text)
    const header = Buffer.alloc(512)
    header.write(`package/${path}`)
    header.write(`${content.length.toString(8).padStart(11, '0')}\0`, 124)
    header.write(path === 'PaxHeader' ? 'x' : '0', 156)
    return [header, content, Buffer.alloc((512 - (content.length % 512)) % 512)]
  })
  const path = join(folder, name)
  writeFileSync(path, gzipSync(Buffer.concat([...blocks, Buffer.alloc(1024)])))
  return path
}

const MANIFEST = { name: 'dollar-send', version, repository }
const PACKED = [
  ...['binding.cjs', 'index.d.ts', 'js/index.cjs', 'js/index.mjs', 'js/native.cjs', 'LICENSE'],
  ...['js/cli/main.mjs', 'js/global.cjs', 'js/global.mjs', 'README.md'],
  ...['js/testing.cjs', 'js/testing.mjs'],
]

/**
 * The files of a package that is right, with changes.
 *
 * @param {object} manifest
 * @param {Record<string, string | Buffer>} files
 */
function main(manifest, files) {
  const required = Object.fromEntries(PACKED.map((name) => [name, '']))
  return { ...required, 'package.json': JSON.stringify({ ...MANIFEST, ...manifest }), ...files }
}

const ADDON = { [addonFile(LINUX)]: elf(['GLIBC_2.2.5', 'GLIBC_2.17']) }

/** @type {Record<string, [manifest: object, files: Record<string, string | Buffer>, wanted: RegExp[]]>} */
const PACKAGES = {
  'an addon in it': [{}, ADDON, []],
  'files in folders': [
    {},
    { ...ADDON, 'docs/s.md': '', 'docs/reference/options.md': '', 'js/destinations/s3.cjs': '' },
    [],
  ],
  'a package with the addon named': [
    { optionalDependencies: { 'dollar-send-linux-x64-gnu': version } },
    {},
    [],
  ],
  'an addon without the Inspector': [
    {},
    { [addonFile(LINUX)]: elf(['GLIBC_2.17'], 62, '') },
    [/has no Inspector: build it with npm run build/],
  ],
  'no addon at all': [{}, {}, [/^it has no addon and names no package with one$/]],
  'an addon for new systems': [
    {},
    { [addonFile(LINUX)]: elf(['GLIBC_2.34', 'GLIBC_2.4']) },
    [/needs glibc 2\.34, more than 2\.17$/],
  ],
  'an addon for another architecture': [
    {},
    { [addonFile(LINUX)]: elf([], 183) },
    [/is for arm64 and not for x64$/],
  ],
  'files of the repository': [
    {},
    { ...ADDON, 'js/types.d.ts': '', '.env': 'SECRET=1', 'src/lib.rs': '', 'examples/a.node': '' },
    [
      /^js\/types\.d\.ts does not/,
      /^\.env does not/,
      /^src\/lib\.rs does not/,
      /several addons/,
      /the addon of no target/,
    ],
  ],
  'links to what is not in it': [
    {},
    { ...ADDON, 'docs/a.md': '[b](b.md#x) [c](../README.md) <img src="c.webp"> `[d](d.md)`' },
    [/^docs\/a\.md links to b\.md, which/, /^docs\/a\.md links to c\.webp, which/],
  ],
  'scripts and devDependencies': [
    { scripts: { install: 'curl' }, devDependencies: {} },
    ADDON,
    [/^its package\.json has devDependencies$/, /^its package\.json has scripts$/],
  ],
  'another version': [{ version: '9.9.9' }, ADDON, [/^its version is 9\.9\.9 and not /]],
  'an optional dependency of another release': [
    { optionalDependencies: { 'dollar-send-linux-x64-gnu': '9.9.9' } },
    {},
    [/^its optional dependency dollar-send-linux-x64-gnu 9\.9\.9 is not of this release$/],
  ],
}

for (const [what, [manifest, files, wanted]] of Object.entries(PACKAGES)) {
  it(`the guard reads ${what}`, (t) => {
    const found = problems(tarball(folderFor(t), 'a.tgz', main(manifest, files)))
    assert.equal(found.length, wanted.length, found.join('\n'))
    wanted.forEach((pattern, index) => assert.match(found[index], pattern))
  })
}

it('the guard refuses a package without a file that it needs, or of too many bytes', (t) => {
  const files = main({}, ADDON)
  delete files['js/native.cjs']
  const [found] = problems(tarball(folderFor(t), 'a.tgz', files))
  assert.equal(found, 'js/native.cjs is missing')
  const large = main({}, { ...ADDON, 'docs/large.md': 'x'.repeat(2_000_000) })
  const [size] = problems(tarball(folderFor(t), 'a.tgz', large))
  assert.match(size, /^its files without the addon have \d+ bytes/)
})

it('the guard reads the package of a platform', (t) => {
  const folder = folderFor(t)
  const own = {
    ...{ ...MANIFEST, name: 'dollar-send-linux-x64-gnu', main: addonFile(LINUX) },
    ...{ os: ['linux'], cpu: ['x64'], libc: ['glibc'], preferUnplugged: true },
  }
  const pack = (manifest) =>
    problems(tarball(folder, 'a.tgz', { ...ADDON, 'package.json': JSON.stringify(manifest) }))
  assert.deepEqual(pack(own), [])
  assert.match(pack({ ...own, cpu: ['arm64'] })[0], /^it is for .*arm64.* and not for .*x64/)
  assert.equal(pack({ ...own, preferUnplugged: undefined })[0], 'it has no preferUnplugged')
  assert.match(pack({ ...own, name: 'dollar-send-os2' })[0], /that of no target$/)
})

it('a release without the package of a target is refused', (t) => {
  const folder = folderFor(t)
  const optionalDependencies = { 'dollar-send-linux-x64-gnu': version }
  const path = tarball(folder, `dollar-send-${version}.tgz`, main({ optionalDependencies }, {}))
  const found = missing([path])
  assert.equal(found.length, targets().length + targets().length - 1)
  assert.ok(found.includes(`dollar-send-win32-x64-msvc-${version}.tgz is missing`))
})

it('a long name in a tarball is read', (t) => {
  const long = `js/${'deep/'.repeat(40)}file.cjs`
  const record = ` path=package/${long}\n`
  const PaxHeader = `${record.length + 3}${record}`
  const files = readTarball(tarball(folderFor(t), 'a.tgz', { PaxHeader, short: 'content', b: '' }))
  assert.deepEqual([...files.keys()], [long, 'b'])
  assert.equal(String(files.get(long)), 'content')
})

it('the versions of symbols are read from an ELF file', () => {
  const file = elf(['GLIBC_2.9', 'GLIBC_2.17', 'GLIBC_PRIVATE', 'GLIBC_2.2.5'], 183)
  const needs = readNeeds(file)
  assert.deepEqual(needs, {
    cpu: 'arm64',
    versions: ['GLIBC_2.9', 'GLIBC_2.17', 'GLIBC_PRIVATE', 'GLIBC_2.2.5'],
  })
  assert.equal(glibcNeeded(needs), '2.17')
  assert.equal(glibcNeeded(readNeeds(elf([]))), undefined)
  assert.throws(() => readNeeds(Buffer.from('MZ')), /not a little-endian 64-bit ELF file/)
  assert.ok(compareVersions('2.17', '2.9') > 0)
})

it('Node itself needs a glibc', { skip: process.platform !== 'linux' }, () => {
  const { cpu, versions } = readNeeds(readFileSync(process.execPath))
  assert.equal(cpu, process.arch)
  assert.ok(versions.some((name) => /^GLIBC_2\./.test(name)))
})

it('the versions of package.json, Cargo.toml and the loader are one', () => {
  const read = (name) => readFileSync(join(ROOT, name), 'utf8')
  assert.equal(/^version = "(.*)"$/m.exec(read('Cargo.toml'))[1], version)
  assert.ok(read('binding.cjs').includes(`bindingPackageVersion !== '${version}'`))
})

it('the error for a missing addon names the platforms of package.json', () => {
  assert.deepEqual(
    [...explaining.PUBLISHED].sort(),
    targets()
      .map(({ platform }) => platform)
      .sort(),
  )
})

let packed

/** The files that npm packs. It compresses the addon to say so, once. */
function packedFiles() {
  packed ??= json('npm', ['pack', '--dry-run', '--ignore-scripts', '--json'])
  return packed[0].files.map(({ path }) => path)
}

it('every relative link of a document in the package leads to a file of the package', () => {
  const files = packedFiles()
  const pages = files.filter((path) => path.endsWith('.md'))
  assert.ok(pages.length > 40)
  const elsewhere = []
  for (const path of pages) {
    const text = readFileSync(join(ROOT, path), 'utf8')
    elsewhere.push(...missingLinks(path, text, files).map((link) => link.replace(/.*\//, '')))
    const packed = withRepositoryLinks(path, text, files, readManifest())
    assert.deepEqual(missingLinks(path, packed, files), [], path)
  }
  // Pictures, and measurements that only a checkout can make.
  assert.deepEqual(
    elsewhere.filter((name) => !/^inspector-.*\.webp$/.test(name)),
    ['README.md'],
  )
})

it('the guard knows every file that npm packs', (t) => {
  const files = packedFiles().filter((path) => !path.endsWith('.node') && path !== 'package.json')
  const empty = Object.fromEntries(files.map((path) => [path, '']))
  assert.deepEqual(problems(tarball(folderFor(t), 'a.tgz', main({}, { ...empty, ...ADDON }))), [])
})

it('a link to what is not in the package leads to the repository at the tag of the version', () => {
  const text = '[a](../README.md#b) [c](../src/lib.rs#L1) <img src="../x/y.webp">'
  const manifest = { version: '1.2.3', repository: { url: 'git+https://github.com/o/r.git' } }
  assert.equal(
    withRepositoryLinks('docs/d.md', text, ['README.md'], manifest),
    '[a](../README.md#b) [c](https://github.com/o/r/blob/v1.2.3/src/lib.rs#L1) ' +
      '<img src="https://raw.githubusercontent.com/o/r/v1.2.3/x/y.webp">',
  )
})

it('npm publish in the repository is refused', async () => {
  const { code, stderr } = await runNode([join(ROOT, 'scripts/prepare.mjs'), 'publish'])
  assert.equal(code, 1)
  assert.match(stderr, /^\nThe repository is not published itself: .*npm run package/)
})
