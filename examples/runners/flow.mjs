// A runner that honours `$.flow`: rerun, delay, suspend and exit. Each run that waits is a file in a folder, so that it
// goes on after a restart. A run in progress at a crash begins again at its last pause: its step may run twice.

import { randomUUID } from 'node:crypto'
import { mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'

const DAY_MS = 24 * 60 * 60 * 1000
const MAX_TIMER_MS = 2 ** 31 - 1
const MAX_RERUNS = 10

/** Runs one workflow: `{ id, steps }`. `url` is the address of the server that `createFlowServer` returns. */
export class FlowRunner {
  #engine
  #workflow
  #names
  #folder
  #url
  /** The runs in progress, by their ids. */
  #running = new Map()
  #timers = new Map()
  #isClosed = false

  constructor(engine, workflow, { folder, url }) {
    this.#engine = engine
    this.#workflow = workflow
    this.#names = Object.keys(workflow.steps)
    this.#folder = folder
    this.#url = url
    mkdirSync(folder, { recursive: true })
    const files = readdirSync(folder).filter((file) => file.endsWith('.json'))
    for (const file of files) this.#schedule(this.#read(file.slice(0, -'.json'.length)))
  }

  /** Begins a run. Resolves with its id when it ends or waits. */
  async start(event) {
    const run = { id: randomUUID(), event, at: 0, exports: {}, context: { runs: 1 } }
    await this.#advance(run)
    return run.id
  }

  /** Goes on with a run that waits. `request` is what called its `resume_url`. Returns false if it does not wait. */
  async resume(id, request) {
    // A link may be used before its step ends, or twice at once.
    while (this.#running.has(id)) await this.#running.get(id)
    const run = this.#read(id)
    if (!run) return false
    await this.#wake(run, request)
    return true
  }

  /** Ends a run that waits. */
  async cancel(id) {
    while (this.#running.has(id)) await this.#running.get(id)
    if (!this.#read(id)) return false
    this.#forget(id)
    return true
  }

  /** Resolves when no run is in progress. Runs that wait stay in the folder. */
  async close() {
    this.#isClosed = true
    for (const timer of this.#timers.values()) clearTimeout(timer)
    await Promise.allSettled(this.#running.values())
  }

  /** Runs the steps from `run.at` on, in an execution of their own. */
  #advance(run) {
    this.#write(run)
    const running = Promise.resolve()
      .then(() => this.#runToPause(run))
      .finally(() => this.#running.delete(run.id))
    this.#running.set(run.id, running)
    return running
  }

  async #runToPause(run) {
    let pause
    try {
      pause = await this.#runSteps(run)
    } catch (error) {
      report(run.id, error)
    }
    if (!pause) return this.#forget(run.id)
    const waiting = { ...run, ...pause }
    this.#write(waiting)
    this.#schedule(waiting)
  }

  /** Returns the pause that a step asked for, or undefined at the end of the workflow. */
  #runSteps(run) {
    return this.#engine.run({ workflowId: this.#workflow.id }, async (execution) => {
      for (const [index, name] of this.#names.entries()) {
        if (index < run.at) continue
        let pause
        const flow = this.#flowOf(run, index, (asked) => (pause = asked))
        const { step, ...own } = planned(this.#workflow.steps[name])
        const result = await execution.run(name, step, {
          ...own,
          event: run.event,
          steps: { ...run.exports },
          context: { run: run.context },
          flow,
        })
        run.exports[name] = result.exports
        run.context = { runs: 1 }
        if (result.status === 'threw') throw result.error
        if (pause) return pause
        // 'ended' by $end(), 'exited' by $.flow.exit().
        if (result.status !== 'returned') return undefined
      }
    })
  }

  /** The members of `$.flow` that pause. They return at once: the run pauses at the end of the step. */
  #flowOf(run, index, pause) {
    const urls = {
      resume_url: `${this.#url}/resume/${run.id}`,
      cancel_url: `${this.#url}/cancel/${run.id}`,
    }
    const wait = (kind, ms, more) => {
      pause({ kind, wakeAt: Date.now() + ms, paused: this.#names[index], at: index + 1, ...more })
      return urls
    }
    const { runs } = run.context
    return {
      suspend: (ms = DAY_MS) => wait('suspend', ms),
      delay: (ms) => wait('delay', ms),
      rerun: (ms, context = null, max = MAX_RERUNS) => {
        if (runs > max) throw new Error(`$.flow.rerun: the step ran ${runs} times`)
        return wait('rerun', ms, { at: index, context: { runs: runs + 1, context } })
      },
    }
  }

  /** Goes on with a run: its time is over, or a request came. */
  async #wake(run, request) {
    clearTimeout(this.#timers.get(run.id))
    const { kind, paused } = run
    if (kind === 'rerun') run.context = { ...run.context, callback_request: request ?? null }
    else if (request) run.exports[paused].$resume_data = request
    // A suspended run that was not resumed in time is cancelled.
    if (kind === 'suspend' && !request) this.#forget(run.id)
    else await this.#advance({ ...run, kind: 'running', wakeAt: 0 })
  }

  #schedule(run) {
    if (this.#isClosed) return
    const ms = (run.wakeAt ?? 0) - Date.now()
    const wake = () => {
      if (ms > MAX_TIMER_MS) this.#schedule(run)
      else this.#wake(run).catch((error) => report(run.id, error))
    }
    this.#timers.set(run.id, setTimeout(wake, Math.min(ms, MAX_TIMER_MS)))
  }

  #path(id) {
    return join(this.#folder, `${id}.json`)
  }

  #read(id) {
    try {
      // Ids come from URLs.
      return /^[\da-f-]{36}$/.test(id)
        ? JSON.parse(readFileSync(this.#path(id), 'utf8'))
        : undefined
    } catch (error) {
      if (error.code === 'ENOENT') return undefined
      throw error
    }
  }

  #write(run) {
    writeFileSync(`${this.#path(run.id)}.new`, JSON.stringify(run), { mode: 0o600, flush: true })
    renameSync(`${this.#path(run.id)}.new`, this.#path(run.id))
  }

  #forget(id) {
    clearTimeout(this.#timers.get(id))
    this.#timers.delete(id)
    rmSync(this.#path(id), { force: true })
  }
}

function report(id, error) {
  console.error(`Run ${id}: ${error?.stack ?? error}`)
}

/** A step of a workflow with the options of its own. */
function planned(entry) {
  return typeof entry === 'object' && 'step' in entry ? entry : { step: entry }
}

/** POST / begins a run with the body as its event; /resume/ID and /cancel/ID are the links of `$.flow`. */
export function createFlowServer(runner) {
  return createServer(async (request, response) => {
    const [, action, id] = new URL(request.url, 'http://localhost').pathname.split('/')
    const body = await text(request)
    const end = (status, value) => {
      response.writeHead(status, { 'content-type': 'application/json' })
      response.end(JSON.stringify(value))
    }
    try {
      if (request.method === 'POST' && action === '') {
        end(202, { id: await runner.start(JSON.parse(body)) })
      } else if (action === 'resume' || action === 'cancel') {
        const found = await runner[action](id, { method: request.method, body: parsed(body) })
        end(found ? 200 : 404, { [action]: found })
      } else end(404, {})
    } catch (error) {
      end(error instanceof SyntaxError ? 400 : 500, { error: error.message })
    }
  })
}

function parsed(body) {
  try {
    return JSON.parse(body)
  } catch {
    return body
  }
}
