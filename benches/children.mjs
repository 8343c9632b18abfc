// Every round runs in a child process of its own: its CPU time, its event loop and its memory are
// then the candidate's alone, and no round inherits the heap of the one before.

import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const ROUND_TIMEOUT_MS = 120_000

/**
 * Runs a program and gives the JSON of the last line it printed.
 *
 * @param {string} program
 * @param {string[]} args
 * @param {'killed'} [end] it ends itself with SIGKILL, as if the machine had failed
 * @param {number} [timeout] milliseconds
 */
export function runForJson(program, args, end, timeout = ROUND_TIMEOUT_MS) {
  return new Promise((resolve, reject) => {
    const options = { timeout, killSignal: 'SIGKILL', maxBuffer: 2 ** 26 }
    execFile(program, args, options, (error, stdout, stderr) => {
      if (error && !(end === 'killed' && error.signal === 'SIGKILL' && stdout))
        return reject(new Error(`${program} ${args.join(' ')}\n${stderr}`, { cause: error }))
      resolve(JSON.parse(stdout.trimEnd().split('\n').at(-1)))
    })
  })
}

/** Runs a script of `candidates/` in Node with one argument, an object. */
export function runCandidate(script, argument, end, { timeoutMs = ROUND_TIMEOUT_MS } = {}) {
  const path = fileURLToPath(new URL(`./candidates/${script}`, import.meta.url))
  return runForJson(
    process.execPath,
    ['--expose-gc', path, JSON.stringify(argument)],
    end,
    timeoutMs,
  )
}

/**
 * Runs the candidates A B C, A B C, …, and gives for each name its results, one per round.
 *
 * @param {number} rounds
 * @param {Record<string, () => Promise<object>>} candidates
 */
export async function interleave(rounds, candidates) {
  const results = Object.fromEntries(Object.keys(candidates).map((name) => [name, []]))
  for (let round = 0; round < rounds; round++) {
    for (const [name, run] of Object.entries(candidates)) results[name].push(await run())
  }
  return results
}

/** Whether the package can be loaded at all; when not, its figures are reported as not measured. */
export async function isBuilt(entry) {
  try {
    await runForJson(process.execPath, ['-p', `require(${JSON.stringify(entry)}); true`])
    return true
  } catch (error) {
    const [reason] = /^\w*Error: .*$/m.exec(error.message) ?? [error.message]
    console.error(`# ${entry} does not load, its figures are not measured: ${reason}`)
    return false
  }
}
