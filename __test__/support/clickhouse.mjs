// ClickHouse's engine behind its HTTP interface, on a free port of 127.0.0.1, until the test ends.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

import { CLICKHOUSE_PYTHON } from '../../scripts/clickhouse.mjs'

const [USER, PASSWORD] = ['loader', 'secret-of-the-tests']

/** @param {{ after(fn: () => unknown): void }} t */
export async function clickhouseServer(t) {
  if (!existsSync(CLICKHOUSE_PYTHON)) {
    assert.fail('ClickHouse is missing: run `node scripts/clickhouse.mjs`')
  }
  const root = mkdtempSync(join(tmpdir(), 'dollar-send-clickhouse-'))
  const program = fileURLToPath(new URL('./servers/clickhouse.py', import.meta.url))
  const child = spawn(CLICKHOUSE_PYTHON, [program, root, USER, PASSWORD], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  t.after(async () => {
    const closed = once(child, 'close')
    child.kill('SIGKILL')
    await closed
    rmSync(root, { recursive: true, force: true })
  })
  const port = await new Promise((resolve, reject) => {
    child.once('close', () => reject(new Error('ClickHouse ended')))
    createInterface(child.stdout).once('line', (line) => resolve(Number(line)))
  })
  const url = `http://${USER}:${PASSWORD}@127.0.0.1:${port}/events`

  /** Has a statement done as anybody would. @param {string} statement */
  const ask = async (statement) => {
    const headers = { 'X-ClickHouse-User': USER, 'X-ClickHouse-Key': PASSWORD }
    const answer = await fetch(`http://127.0.0.1:${port}/`, {
      method: 'POST',
      headers,
      body: statement,
    })
    const text = await answer.text()
    assert.equal(answer.status, 200, text)
    return text.trim()
  }
  /** Answers the rows of a query. @param {string} query @returns {Promise<any[]>} */
  const rows = async (query) => {
    const text = await ask(`${query} FORMAT JSONEachRow`)
    return text.split('\n').flatMap((line) => (line ? [JSON.parse(line)] : []))
  }
  await ask('CREATE DATABASE events')
  return { url, port, ask, rows }
}
