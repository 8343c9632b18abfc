// The figures of the Inspector, which the machine's load moves: by hand, on a quiet machine.
//
//   node scripts/inspector-figures.mjs list [DELIVERIES]    the first paint of the list in a large log
//   node scripts/inspector-figures.mjs memory [MINUTES]     the page's memory while deliveries arrive
//   node scripts/inspector-figures.mjs cost [PAIRS]         the engine's CPU with and without an open page

/* global document, MutationObserver, requestAnimationFrame, window -- in the page */

import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { Engine } from '../js/index.mjs'
import { createJournal } from './inspector/journal.mjs'
import { writeLarge } from './inspector/large.mjs'
import { openBrowser } from './inspector/page.mjs'

const SELF = fileURLToPath(import.meta.url)
const pause = (/** @type {number} */ ms) => new Promise((resolve) => setTimeout(resolve, ms))
const median = (/** @type {number[]} */ values) =>
  [...values].sort((a, b) => a - b)[values.length >> 1] ?? NaN

const LOG = { maxExecutionsPerWorkflow: 1_000_000, maxAgeDays: 36_500 }

/** Milliseconds from the navigation to the first row, of several loads. @param {number} count @param {string | undefined} kept */
async function list(count, kept) {
  const dataDir = kept ?? mkdtempSync(join(tmpdir(), 'dollar-send-large-'))
  if (!existsSync(join(dataDir, 'journal.sqlite'))) {
    await createJournal(dataDir)
    writeLarge(dataDir, count, Date.now())
  }
  const engine = await Engine.open({ dataDir, deliver: false, log: LOG, server: { port: 0 } })
  const { url } = /** @type {{ url: string }} */ (engine.address())
  const browser = await openBrowser()
  const page = await browser.newPage()
  await page.addInitScript(noteFirstRow)
  for (const address of ['/', '/?view=calls', '/?view=calls&q=status:failed', '/?q=api7.example']) {
    const times = []
    for (let load = 0; load < 7; load++) {
      await page.goto('about:blank')
      await page.goto(url + address, { waitUntil: 'commit' })
      await page.waitForFunction(() => 'firstRow' in window)
      times.push(await page.evaluate(() => /** @type {any} */ (window).firstRow))
    }
    console.log(
      `${address}: median ${median(times).toFixed(0)} ms, of ${times.map((time) => time.toFixed(0)).join(', ')}`,
    )
  }
  await requests(url)
  await browser.close()
  await engine.close({ timeoutMs: 0 })
  if (!kept) rmSync(dataDir, { recursive: true, force: true })
}

/** Keeps the time of the first frame that has a row. */
function noteFirstRow() {
  const observer = new MutationObserver(() => {
    if (!document.querySelector('.row')) return
    observer.disconnect()
    requestAnimationFrame(() => {
      setTimeout(() => Object.assign(window, { firstRow: performance.now() }))
    })
  })
  observer.observe(document, { childList: true, subtree: true })
}

/** Milliseconds of the requests behind the list. @param {string} url */
async function requests(url) {
  const paths = [
    'v1/executions?limit=50',
    'v1/deliveries?limit=50',
    'v1/deliveries?limit=50&search=status:failed',
    'v1/deliveries?limit=50&search=things/123456',
    'v1/executions?limit=50&search=api7.example',
    'overview',
  ]
  for (const path of paths) {
    const times = []
    for (let asked = 0; asked < 9; asked++) {
      const begun = performance.now()
      await (await fetch(`${url}/${path}`)).text()
      times.push(performance.now() - begun)
    }
    console.log(`GET /${path}: median ${median(times).toFixed(1)} ms`)
  }
}

/** Makes deliveries without a network at a rate, until `isOver`. @param {any} engine @param {number} rate @param {() => boolean} isOver */
async function deliver(engine, rate, isOver) {
  const begun = performance.now()
  const each = 20
  let made = 0
  for (; !isOver(); made += each) {
    const execution = engine.execution({ workflowId: `p_${made % 7}`, trigger: 'POST /hook' })
    const { $send } = execution.step('s')
    for (let count = 0; count < each; count++) $send.emit({ number: made + count })
    await execution.complete()
    await pause(Math.max(0, begun + (1000 * made) / rate - performance.now()))
  }
  await engine.flush()
  return made
}

/** @param {number} minutes */
async function memory(minutes) {
  const engine = await Engine.open({ log: { maxExecutionsPerWorkflow: 1000 }, server: { port: 0 } })
  const { url } = /** @type {{ url: string }} */ (engine.address())
  const browser = await openBrowser()
  const page = await browser.newPage()
  await page.goto(`${url}/?view=calls`)
  const end = Date.now() + minutes * 60_000
  const making = deliver(engine, 200, () => Date.now() > end)
  const session = await page.context().newCDPSession(page)
  await session.send('HeapProfiler.enable')
  for (let turn = 0; Date.now() < end; turn++) {
    for (let wheels = 0; wheels < 40 && Date.now() < end; wheels++) {
      await page.mouse.wheel(0, turn % 2 === 0 ? 400 : -400)
      await pause(500)
    }
    await session.send('HeapProfiler.collectGarbage')
    const { usedSize } = await session.send('Runtime.getHeapUsage')
    const { nodes } = await session.send('Memory.getDOMCounters')
    const at = Math.round((minutes * 60_000 - (end - Date.now())) / 1000)
    console.log(`${at} s: heap ${(usedSize / 1e6).toFixed(2)} MB, ${nodes} nodes`)
  }
  await making
  await browser.close()
  await engine.close({ timeoutMs: 0 })
}

const MEASURED_MS = 15_000
const RATE = 2000

/** The CPU of one process that makes 2,000 deliveries a second, perhaps with a page open. @param {boolean} hasPage */
async function costOnce(hasPage) {
  const engine = await Engine.open({ log: { maxExecutionsPerWorkflow: 1000 }, server: { port: 0 } })
  const { url } = /** @type {{ url: string }} */ (engine.address())
  const browser = hasPage ? await openBrowser() : undefined
  const page = await browser?.newPage()
  let isOver = false
  const making = deliver(engine, RATE, () => isOver)
  await page?.goto(`${url}/?view=calls`)
  await page?.locator('.row').first().waitFor()
  await pause(3000)
  const [before, made] = [process.cpuUsage(), engine.stats().delivered]
  await pause(MEASURED_MS)
  const { user, system } = process.cpuUsage(before)
  const delivered = engine.stats().delivered - made
  isOver = true
  await making
  await browser?.close()
  await engine.close({ timeoutMs: 0 })
  console.log(JSON.stringify({ ms: (user + system) / 1000, delivered }))
}

/** @param {number} pairs */
function cost(pairs) {
  const ratios = []
  for (let pair = 0; pair < pairs; pair++) {
    const [without, with_] = ['without', 'with'].map((kind) => {
      const { stdout } = spawnSync(process.execPath, ['--no-warnings', SELF, 'cost-once', kind], {
        encoding: 'utf8',
      })
      return JSON.parse(stdout)
    })
    const each = (/** @type {any} */ run) => (1000 * run.ms) / run.delivered
    ratios.push(each(with_) / each(without) - 1)
    console.log(
      `without ${each(without).toFixed(1)} µs of CPU a delivery (${without.delivered}), with ${each(with_).toFixed(1)} µs (${with_.delivered}): ${(100 * (ratios.at(-1) ?? 0)).toFixed(1)} %`,
    )
  }
  console.log(`median: ${(100 * median(ratios)).toFixed(1)} %`)
}

const [figure, argument, folder] = process.argv.slice(2)
if (figure === 'list') await list(Number(argument ?? 1_000_000), folder)
else if (figure === 'memory') await memory(Number(argument ?? 10))
else if (figure === 'cost') cost(Number(argument ?? 5))
else if (figure === 'cost-once') await costOnce(argument === 'with')
else console.log('Give one of: list, memory, cost')
process.exit()
