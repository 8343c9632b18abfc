// The library in `disk.c`, compiled, and processes that run on it.

import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'

/** Its parts exist on Linux only. */
export const HAS_DISK = process.platform === 'linux'

/** @type {string | undefined} */
let library

function compile() {
  if (library) return library
  const folder = mkdtempSync(join(tmpdir(), 'dollar-send-disk-'))
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
  const source = fileURLToPath(new URL('disk.c', import.meta.url))
  const made = join(folder, 'disk.so')
  execFileSync('cc', ['-O1', '-shared', '-fPIC', '-o', made, source, '-ldl'])
  return (library = made)
}

/**
 * Runs a script of this folder on a disk that writes down what happens below `watched`.
 *
 * @param {string} script
 * @param {object} settings for the script
 * @param {{ watched: string, trace: string, fault?: string }} disk
 */
export async function runOnDisk(script, settings, { watched, trace, fault }) {
  const marks = `${trace}.marks`
  const path = fileURLToPath(new URL(script, import.meta.url))
  const child = spawn(process.execPath, [path, JSON.stringify({ ...settings, marks })], {
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 60_000,
    killSignal: 'SIGKILL',
    env: {
      ...process.env,
      LD_PRELOAD: compile(),
      DISK_DIR: watched,
      DISK_TRACE: trace,
      DISK_MARKS: marks,
      ...(fault ? { DISK_FAULT: fault } : {}),
      NODE_NO_WARNINGS: '1',
    },
  })
  const closed = once(child, 'close')
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)])
  const [code, signal] = await closed
  return { code, signal, stdout, stderr }
}
