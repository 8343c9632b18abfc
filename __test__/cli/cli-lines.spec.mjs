// The lines of the command at the widths of terminals, in a pipe, with and without colour.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { deliveryLines, executionLines, idLength } from '../../js/cli/lines.mjs'
import { createPaint } from '../../js/cli/paint.mjs'
import { table, terminalWidth } from '../../js/cli/table.mjs'
import { colouredHelp, HELP, HELP_OF } from '../../js/cli/help.mjs'

const plain = createPaint({})
const coloured = createPaint({ isTTY: true }, {})

const DELIVERY = {
  id: '01a21855-0000-7000-8000-000000000001',
  workflowId: 'p_abcdefghijkl',
  executionId: 'e',
  step: 'send_to_the_warehouse',
  index: 12,
  destination: 'http',
  status: 'delivered',
  request: { method: 'POST', url: `http://hooks.example.com/${'long/'.repeat(40)}` },
  response: { status: 200, durationMs: 1234.5 },
  warnings: [],
  attempts: 1,
}
const FAILED = {
  ...DELIVERY,
  id: '01a21855-0000-7000-8000-000000000002',
  status: 'failed',
  response: { status: 503, durationMs: 7 },
  error: { code: 'ERR_SEND_STATUS', message: 'the server answered\n503' },
}

/** @param {string} text */
// eslint-disable-next-line no-control-regex -- the colours themselves
const bare = (text) => text.replace(/\u001b\[\d+m/g, '')

test('lines fit a terminal of 80 and of 200 columns', () => {
  for (const width of [80, 200]) {
    const lines = deliveryLines([DELIVERY, FAILED], coloured, width).split('\n')
    for (const line of [lines[0], lines[1]]) assert.ok([...bare(line)].length <= width, line)
    assert.match(bare(lines[0]), /^✔ {2}delivered {2}POST {2}http:\/\/.*… {2}200 {2}12\d\d ms {2}/)
    assert.match(bare(lines[1]), /^✘ {2}failed {5}POST {2}http:\/\/.*… {2}503 {5}7 ms {2}/)
    assert.equal(bare(lines[2]), '  ERR_SEND_STATUS: the server answered\\n503')
    assert.equal(bare(lines[0]).includes('01a21855-0000'), width === 200)
  }
})

test('in a pipe, lines are whole and have ids that differ', () => {
  const [first, second] = deliveryLines([DELIVERY, FAILED], plain).split('\n')
  assert.ok(first.includes(DELIVERY.request.url))
  assert.ok(first.endsWith(DELIVERY.id) && second.endsWith(FAILED.id))
  assert.equal(terminalWidth({ columns: 80 }), undefined)
  assert.equal(terminalWidth({ isTTY: true, columns: 80 }), 80)
})

test('a waiting delivery shows why and until when', () => {
  const lastError = { code: 'ERR_SEND_CONNECT', message: 'refused' }
  const waiting = {
    ...DELIVERY,
    status: 'pending',
    lastError,
    nextAttemptAt: '2026-01-01T00:00:00Z',
  }
  const [, reason] = deliveryLines([waiting], plain).split('\n')
  assert.equal(reason, '  ERR_SEND_CONNECT: refused; again at 2026-01-01T00:00:00Z')
})

test('executions show Dest., right-aligned', () => {
  const run = {
    executionId: 'e1',
    workflowId: 'p_1',
    status: 'completed',
    delivered: 8,
    total: 8,
    startedAt: '2026-01-01T00:00:00.000Z',
    completedAt: '2026-01-01T00:00:01.500Z',
  }
  const other = { ...run, status: 'failed', delivered: 100, total: 110, error: 'it\nthrew' }
  const lines = executionLines([run, other], plain).split('\n')
  assert.match(lines[0], /^Execution {2}Workflow {2}Status {5,}Dest\. {2}/)
  assert.match(lines[1], /completed {6}8\/8 {2}2026-01-01T00:00:00\.000Z {2}1500 ms$/)
  assert.match(lines[2], /failed {5}100\/110 .* it\\nthrew$/)
})

test('numbers are aligned at the right, and cells without room are cut', () => {
  const columns = [
    { title: 'n', align: /** @type {const} */ ('right') },
    { title: 'text', least: 4 },
  ]
  const rows = [
    [{ text: '1' }, { text: 'abcdefgh' }],
    [{ text: '100' }, { text: 'b' }],
  ]
  assert.deepEqual(table(columns, rows, plain, 10, 'ruled'), [
    '  n  text',
    '---  -----',
    '  1  abcd…',
    '100  b',
  ])
})

test('ids are as long as it takes to tell them apart', () => {
  assert.equal(idLength([]), 8)
  assert.equal(idLength(['01a21855-aa', '01a21855-ab']), 11)
  assert.equal(idLength(['11111111-aa', '22222222-aa', '22222222-aa']), 8)
})

test('help has colours on a terminal alone, and the same words', () => {
  for (const text of [HELP, ...Object.values(HELP_OF)]) {
    assert.equal(colouredHelp(text, plain), text)
    const shown = colouredHelp(text, coloured)
    assert.notEqual(shown, text)
    assert.equal(bare(shown), text)
  }
  assert.equal(createPaint({ isTTY: true }, { NO_COLOR: '1' })('red', 'x'), 'x')
})
