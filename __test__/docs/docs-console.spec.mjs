// The transcripts of the documents: each command runs, and prints what the page shows.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { it } from 'node:test'

import { folderFor, ROOT } from '../support/copy.mjs'
import { blocksIn, projectOf } from '../support/documents.mjs'
import { PATIENCE_MS } from '../support/patience.mjs'

/** The ports in the documents. In a test each is a free one. */
const PORTS = ['3000', '8787', '8788']

async function freePort() {
  const server = createServer()
  await new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(undefined)))
  const { port } = server.address()
  await new Promise((resolve) => server.close(resolve))
  return String(port)
}

/**
 * Returns the commands of a transcript, each with the lines that it prints.
 *
 * @param {string} code
 */
function commandsOf(code) {
  return code
    .split(/^\$ /m)
    .slice(1)
    .map((part) => {
      const [command, ...lines] = part.trimEnd().split('\n')
      return { command, lines: lines.filter(Boolean) }
    })
}

/** Returns a pattern for a printed line: `…` is any text, and spaces any number of them. @param {string} line */
function patternOf(line) {
  const parts = line.trim().split('…')
  const escaped = parts.map((part) =>
    part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&').replace(/ +/g, '\\s+'),
  )
  return new RegExp(`^\\s*${escaped.join('.*')}\\s*$`)
}

/** @param {string[]} lines @param {string[]} wanted */
function areShown(lines, wanted) {
  return wanted.every((line) => lines.some((printed) => patternOf(line).test(printed)))
}

/** The environment of a reader: the ports are in the files, the command is on the path. */
function environment(folder) {
  return {
    ...process.env,
    PATH: `${join(folder, 'node_modules', '.bin')}:${process.env.PATH}`,
    NODE_OPTIONS: '',
    NODE_TEST_CONTEXT: undefined,
    NO_COLOR: '1',
  }
}

/**
 * Runs a command of a transcript; one that ends with `&` goes on until the test ends.
 *
 * @returns {Promise<string[]>} the lines that it printed
 */
function run(t, folder, command, wanted) {
  const isBackground = command.endsWith(' &')
  const text = command.replace(/ &$/, '').replace('npx dollar-send', CLI)
  const child = spawn('sh', ['-c', `exec ${text}`], {
    cwd: folder,
    env: environment(folder),
    timeout: PATIENCE_MS,
    killSignal: 'SIGKILL',
  })
  if (isBackground) t.after(() => child.kill('SIGKILL'))
  let printed = ''
  return new Promise((resolve, reject) => {
    const lines = () => printed.split('\n').filter(Boolean)
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk) => {
        printed += chunk
        if (isBackground && areShown(lines(), wanted)) resolve(lines())
      })
    }
    child.once('error', reject)
    child.once('close', () => resolve(lines()))
  })
}

const CLI = `"${process.execPath}" "${join(ROOT, 'js/cli/main.mjs')}"`

const transcripts = blocksIn('console')

for (const path of new Set(transcripts.map((block) => block.path))) {
  it(`${path}: its commands print what it shows`, async (t) => {
    const ports = await Promise.all(PORTS.map(async (port) => [port, await freePort()]))
    const moved = (text) =>
      ports.reduce(
        (all, [port, free]) => all.replaceAll(new RegExp(`\\b${port}\\b`, 'g'), free),
        text,
      )
    const folder = folderFor(t)
    projectOf(folder, path, moved)
    for (const { code, place } of transcripts.filter((block) => block.path === path)) {
      for (const { command, lines } of commandsOf(code)) {
        const isInit = command.includes('dollar-send init')
        const receiver = /examples\/receiver\.mjs &$/.test(command)
          ? command.replace(' &', ' 8788 &')
          : command
        const wanted = isInit ? lines : lines.map(moved)
        const printed = await run(t, folder, moved(receiver), wanted)
        assert.ok(areShown(printed, wanted), `${place}: $ ${command}\n${printed.join('\n')}`)
        if (isInit) changeFiles(folder, moved)
      }
    }
  })
}

/** Puts the free ports into the files that `init` wrote. @param {string} folder @param {(text: string) => string} moved */
function changeFiles(folder, moved) {
  for (const name of ['event.json', 'runner.mjs', 'dollar-send.config.mjs']) {
    const path = join(folder, name)
    writeFileSync(path, moved(readFileSync(path, 'utf8')))
  }
}

it('there are transcripts, and each has commands', () => {
  assert.ok(transcripts.length > 5)
  for (const { code, place } of transcripts) assert.ok(commandsOf(code).length > 0, place)
})

it('a line that is not printed is missed', () => {
  assert.ok(areShown(['✔  delivered  7 ms', 'Dest. 1/1'], ['✔ delivered … ms']))
  assert.ok(!areShown(['✔  delivered  7 ms'], ['✔ delivered … s']))
  assert.ok(!areShown(['Dest. 0/1'], ['Dest. 1/1']))
})
