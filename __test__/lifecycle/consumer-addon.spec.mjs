// The addon as an installation may have it: whole, damaged, missing, forbidden, of another version.

import assert from 'node:assert/strict'
import { chmodSync, cpSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { it } from 'node:test'

import explaining from '../../js/addon-error.cjs'
import { runNode } from '../support/child.mjs'
import { ADDON, copyPackage, folderFor, placeAddon, ROOT } from '../support/copy.mjs'

const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
const PLATFORM = ADDON.split('.')[1]

/** Prints the error that loading the package in `folder` throws, as JSON; nothing when it loads. */
const LOAD = (folder) => `
  try {
    require(${JSON.stringify(folder)})
  } catch (error) {
    const { code, message, cause } = error
    console.log(JSON.stringify({ code, message, cause: cause?.message, name: error.name }))
  }`

/**
 * Loads the package in a process of its own; returns the error.
 *
 * @param {string} folder
 * @param {string[]} [flags]
 */
async function failure(folder, flags = []) {
  const { code, signal, stdout, stderr } = await runNode([...flags, '-e', LOAD(folder)])
  assert.deepEqual({ code, signal }, { code: 0, signal: null }, stderr)
  assert.notEqual(stdout, '', 'it loaded')
  const error = JSON.parse(stdout)
  assert.equal(error.code, 'ERR_SEND_ADDON') // reaches ERR_SEND_ADDON
  assert.equal(error.name, 'Error')
  assert.match(error.message, /^The native addon of dollar-send could not be loaded: .*\.\n/)
  assert.match(error.message, new RegExp(`\nSystem: ${process.platform} ${process.arch}.*, Node 2`))
  assert.doesNotMatch(error.message, /npm has a bug|undefined|\[object/)
  return error
}

/** @param {import('node:test').TestContext} t */
function copyWithout(t) {
  const folder = folderFor(t)
  copyPackage(folder, { addon: false })
  return folder
}

it('a missing addon: names the file and the package that were looked for, and the causes', async (t) => {
  const folder = copyWithout(t)
  const { message, cause } = await failure(folder)
  assert.match(message, /: it is not installed\.\n.*optional dependencies/)
  assert.ok(message.includes(`${join(folder, ADDON)} (missing)`), message)
  assert.ok(message.includes(`package dollar-send-${PLATFORM} (not installed)`), message)
  assert.match(cause, /^Cannot find module/)
})

it('a missing addon in a checkout: says how to build it', async (t) => {
  const folder = copyWithout(t)
  writeFileSync(join(folder, 'Cargo.toml'), '')
  const { message } = await failure(folder)
  assert.match(message, /: it is not built\.\nBuild it: npm run build/)
})

const DAMAGES = {
  'an empty file': ['', /its file is damaged: it is empty\.\n/],
  'a text file': ['version https://git-lfs.github.com/spec/v1\n', /not a native addon/],
  'a header and no more': ['\x7fELF\x02\x01', /damaged/],
}

for (const [what, [content, expected]] of Object.entries(DAMAGES)) {
  it(`instead of the addon ${what}: says so`, async (t) => {
    const folder = copyWithout(t)
    writeFileSync(join(folder, ADDON), content)
    assert.match((await failure(folder)).message, expected)
  })
}

for (const share of [0.0005, 0.1, 0.5, 0.999]) {
  it(`an addon cut off at ${share * 100} %: says so instead of killing the process`, async (t) => {
    const folder = copyWithout(t)
    const file = join(folder, ADDON)
    cpSync(join(ROOT, ADDON), file)
    const { length } = readFileSync(file)
    truncateSync(file, Math.floor(length * share))
    const { message } = await failure(folder)
    assert.match(message, /its file is damaged/)
    assert.match(message, /Delete node_modules and install again/)
  })
}

it('a damaged addon in a package of its own: names the package and its file', async (t) => {
  const folder = copyWithout(t)
  const place = join(folder, 'node_modules', `dollar-send-${PLATFORM}`)
  placeAddon(place, 'placeholder')
  writeFileSync(join(place, 'package.json'), JSON.stringify({ main: ADDON }))
  writeFileSync(join(place, ADDON), '')
  const { message } = await failure(folder)
  assert.match(message, /its file is damaged: it is empty/)
  assert.ok(message.includes(`package dollar-send-${PLATFORM} (damaged: it is empty)`), message)
})

it('an addon in a package of its own loads', async (t) => {
  const folder = copyWithout(t)
  const place = join(folder, 'node_modules', `dollar-send-${PLATFORM}`)
  placeAddon(place)
  writeFileSync(join(place, 'package.json'), JSON.stringify({ main: ADDON, version }))
  const { stdout, stderr } = await runNode(['-e', LOAD(folder)])
  assert.deepEqual({ stdout, stderr }, { stdout: '', stderr: '' })
})

it('an addon of another version is refused with both versions', async (t) => {
  const folder = folderFor(t)
  copyPackage(folder)
  const manifest = join(folder, 'package.json')
  const changed = { ...JSON.parse(readFileSync(manifest, 'utf8')), version: '7.0.0' }
  writeFileSync(manifest, JSON.stringify(changed))
  const { message } = await failure(folder)
  assert.match(
    message,
    new RegExp(`: it is of version ${version}, and the package of version 7\\.0\\.0\\.\n`),
  )
})

it('an addon without a version is refused', async (t) => {
  const folder = copyWithout(t)
  writeFileSync(join(folder, 'binding.cjs'), 'module.exports = { Engine: class {} }')
  assert.match((await failure(folder)).message, /: it is of an unknown version/)
})

it('--no-addons: says that addons are disabled, and how to allow them', async (t) => {
  const folder = folderFor(t)
  copyPackage(folder)
  const { message, cause } = await failure(folder, ['--no-addons'])
  assert.match(message, /: addons are disabled in this process \(--no-addons\)\.\n/)
  assert.match(cause, /loading addons is disabled/)
})

/** The flag of the permission model, whose name changed when it became stable. */
const PERMISSION = process.allowedNodeEnvironmentFlags.has('--permission')
  ? '--permission'
  : '--experimental-permission'

it('the permission model: says which flag is missing, and loads with it', async (t) => {
  const folder = folderFor(t)
  copyPackage(folder)
  const flags = [PERMISSION, '--allow-fs-read=*', '--no-warnings']
  const { message } = await failure(folder, flags)
  assert.match(message, /permission model \(--permission without --allow-addons\)/)
  assert.match(message, /\nStart Node with --allow-addons\.\n/)
  const { stdout, stderr } = await runNode([...flags, '--allow-addons', '-e', LOAD(folder)])
  assert.deepEqual({ stdout, stderr }, { stdout: '', stderr: '' })
})

it('a folder that cannot be written is enough', async (t) => {
  const folder = folderFor(t)
  copyPackage(folder)
  chmodSync(folder, 0o555)
  const code = `
    const { Engine } = require(${JSON.stringify(folder)})
    Engine.open().then((engine) => engine.close()).then(console.log)`
  const { stdout, stderr } = await runNode(['-e', code])
  chmodSync(folder, 0o755)
  assert.equal(stderr, '')
  assert.match(stdout, /delivered: 0/)
})

it('two copies of the package in one process both deliver', async (t) => {
  const folders = [folderFor(t), folderFor(t)]
  for (const folder of folders) copyPackage(folder)
  const code = `
    const { createServer } = require('node:http')
    const server = createServer((request, response) => response.end('thanks'))
    server.listen(0, '127.0.0.1', async () => {
      const url = 'http://127.0.0.1:' + server.address().port
      for (const folder of ${JSON.stringify(folders)}) {
        const engine = await require(folder).Engine.open({ egress: { allow: ['127.0.0.0/8'] } })
        const execution = engine.execution({ workflowId: 'p_two' })
        execution.step('code').$send.http({ url })
        await execution.complete()
        const [{ status }] = await execution.settled()
        console.log(status)
        await engine.close()
      }
      server.close()
    })`
  const { stdout, stderr } = await runNode(['-e', code])
  assert.deepEqual({ stdout, stderr }, { stdout: 'delivered\ndelivered\n', stderr: '' })
})

it('two copies of the package in one process do not share a data directory, and say so', async (t) => {
  const folders = [folderFor(t), folderFor(t)]
  for (const folder of folders) copyPackage(folder)
  const code = `
    const [one, other] = ${JSON.stringify(folders)}.map((folder) => require(folder).Engine)
    const options = { dataDir: ${JSON.stringify(join(folders[0], 'data'))} }
    const main = async () => {
      const engine = await one.open(options)
      console.log(await other.open(options).catch(({ code, message }) => code + ' ' + message))
      await engine.close()
      await (await other.open(options)).close()
      console.log('closed')
    }
    main()`
  const { stdout, stderr } = await runNode(['-e', code])
  assert.equal(stderr, '')
  assert.match(
    stdout,
    /^ERR_SEND_DATA_DIR_LOCKED .* another copy of dollar-send in it has the directory open.*\nclosed\n$/,
  )
})

const MAIN = 'js/cli/main.mjs'

it('help, --version and bad usage need no addon', async (t) => {
  const folder = copyWithout(t)
  const command = (...args) => runNode([join(folder, MAIN), ...args])
  for (const topic of ['run', 'serve', 'log', 'replay', 'sql']) {
    for (const args of [
      ['help', topic],
      [topic, '--help'],
    ]) {
      const { code, stdout, stderr } = await command(...args)
      assert.deepEqual({ code, stderr }, { code: 0, stderr: '' })
      assert.ok(stdout.startsWith(`Usage: dollar-send ${topic}`))
    }
  }
  assert.match((await command('help')).stdout, /^Usage: dollar-send <command>/)
  assert.equal((await command('--version')).stdout, `${version}\n`)
  assert.equal((await command()).code, 2)
  const wrong = await command('rum')
  assert.equal(wrong.code, 2)
  assert.match(wrong.stderr, /^dollar-send: Unknown command rum\. Did you mean run\?/)
})

it('a command that needs the addon prints the message without a stack', async (t) => {
  const folder = copyWithout(t)
  const { code, stderr } = await runNode([join(folder, MAIN), 'run', 'step.mjs'])
  assert.equal(code, 1)
  assert.match(stderr, /^dollar-send: The native addon of dollar-send could not be loaded: /)
  assert.doesNotMatch(stderr, /\n {4}at /)
})

const FACTS = { errors: [], candidates: [], platform: 'linux-x64-gnu' }

const REASONS = [
  [
    "/lib/libc.so.6: version `GLIBC_2.9' not found, version `GLIBC_2.34' not found",
    /needs glibc 2\.34, and this system has 2\.28/,
  ],
  ['ld-linux-x86-64.so.2: No such file or directory', /built for glibc, .* musl/],
  ['Error relocating a.node: __memcpy_chk: symbol not found', /built for glibc, .* musl/],
  ['libc.musl-x86_64.so.1: cannot open shared object file', /built for musl, .* glibc/],
  ['a.node: failed to map segment from shared object', /does not allow code/],
  ['a.node: invalid ELF header', /damaged or not a native addon/],
  ["dlopen(a.node, 0x1): tried: 'a.node' (not a mach-o file)", /damaged or not a native addon/],
  ['\\\\?\\C:\\a.node is not a valid Win32 application.', /damaged or not a native addon/],
  ['Requires ffi access to "a.node", run again with the --allow-ffi flag', /Deno does not allow/],
  ['the moon is full', /^the moon is full$/],
]

for (const [message, expected] of REASONS) {
  it(`explains: ${message}`, () => {
    const candidates = [{ name: 'a.node', kind: 'file', path: 'a.node' }]
    const errors = [{ code: 'ERR_DLOPEN_FAILED', message }]
    const [why, advice] = explaining.explain({ ...FACTS, candidates, errors, glibc: '2.28' })
    assert.match(why, expected)
    assert.match(advice, /\.$/)
  })
}

it('names the platforms there are packages for where there is none', () => {
  const [why, advice] = explaining.explain({ ...FACTS, platform: 'freebsd-x64' })
  assert.equal(why, 'there is none for freebsd-x64')
  assert.match(advice, /linux-x64-musl/)
})
