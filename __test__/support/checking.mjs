// Folders and ZIP files for `dollar-send check`.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { deflateRawSync } from 'node:zlib'

const MAIN = fileURLToPath(new URL('../../js/cli/main.mjs', import.meta.url))

/** @returns {string} a folder with these files, until the test ends */
export function folderWith(t, files) {
  const folder = mkdtempSync(join(tmpdir(), 'check-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true })
    writeFileSync(join(folder, name), content)
  }
  return folder
}

export const command = (cwd, args) => node(cwd, [MAIN, ...args])

export async function node(cwd, args) {
  const env = { ...process.env, NODE_OPTIONS: '', FORCE_COLOR: '' }
  const child = spawn(process.execPath, args, { cwd, env })
  const exit = new Promise((resolve) => child.once('close', resolve))
  const [stdout, stderr, code] = await Promise.all([text(child.stdout), text(child.stderr), exit])
  return { code, stdout, stderr }
}

/** Checks files: the parsed report and the exit status. */
export async function check(t, files, args) {
  const folder = folderWith(t, files)
  const { code, stdout, stderr } = await command(folder, ['check', ...args, '--json'])
  assert.equal(stderr, '')
  return { code, folder, report: JSON.parse(stdout) }
}

/** The bytes of a ZIP file; entries may lie about themselves. */
export function zip(entries) {
  const locals = []
  const directory = []
  let offset = 0
  for (const { name, content = '', method = 8, flags = 0, size, crc, offset: lie } of entries) {
    const bytes = Buffer.from(content)
    const data = method === 8 ? deflateRawSync(bytes) : bytes
    const fields = Buffer.alloc(26)
    fields.writeUInt16LE(20, 0)
    fields.writeUInt16LE(flags, 2)
    fields.writeUInt16LE(method, 4)
    fields.writeUInt32LE(crc ?? crc32(bytes), 10)
    fields.writeUInt32LE(data.length, 14)
    fields.writeUInt32LE(size ?? bytes.length, 18)
    fields.writeUInt16LE(Buffer.byteLength(name), 22)
    const tail = Buffer.alloc(14)
    tail.writeUInt32LE(lie ?? offset, 10)
    locals.push(Buffer.from('PK\x03\x04'), fields, Buffer.from(name), data)
    directory.push(Buffer.from('PK\x01\x02\x14\x00'), fields, tail, Buffer.from(name))
    offset += 30 + Buffer.byteLength(name) + data.length
  }
  const central = Buffer.concat(directory)
  const end = Buffer.alloc(22)
  end.write('PK\x05\x06', 'latin1')
  end.writeUInt16LE(entries.length, 8)
  end.writeUInt16LE(entries.length, 10)
  end.writeUInt32LE(central.length, 12)
  end.writeUInt32LE(offset, 16)
  return Buffer.concat([...locals, central, end])
}

function crc32(bytes) {
  let crc = ~0
  for (const byte of bytes) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0)
  }
  return ~crc >>> 0
}
