// `dollar-send init`: a first step, its event, a configuration and a runner. The files are those of
// examples/getting-started.

import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join, relative } from 'node:path'

import { UsageError } from './usage.mjs'

const EXAMPLE = new URL('../../examples/getting-started/', import.meta.url)

/** The files, each with a few words for the list. */
const FILES = {
  'step.mjs': 'a first step, as in Pipedream',
  'event.json': 'an event for it',
  'dollar-send.config.mjs': 'options for the runner and the command',
  'runner.mjs': 'runs the step for each POST request',
}

/**
 * Writes the files into a folder. Writes none if one of them exists.
 *
 * @param {import('./arguments.mjs').InitSettings} settings
 * @returns {number} the exit status
 * @throws {UsageError}
 */
export function initCommand({ folder }) {
  const names = Object.keys(FILES)
  const existing = names.filter((name) => existsSync(join(folder, name)))
  if (existing.length > 0) {
    throw new UsageError(
      `${existing.map((name) => join(folder, name)).join(', ')} already exists, and nothing was written. Choose an empty folder: dollar-send init FOLDER.`,
    )
  }
  for (const name of names) write(folder, name)
  process.stdout.write(report(folder))
  return 0
}

/** @param {string} folder @param {string} name */
function write(folder, name) {
  const text = readFileSync(new URL(name, EXAMPLE), 'utf8')
  try {
    mkdirSync(folder, { recursive: true })
    writeFileSync(join(folder, name), text, { flag: 'wx' })
  } catch (error) {
    throw new UsageError(`${/** @type {Error} */ (error).message}.`)
  }
}

/** Returns the list of files and the next commands. @param {string} folder */
function report(folder) {
  const inside = relative('.', folder)
  const commands = [
    ...(inside ? [[`cd ${inside}`]] : []),
    ...(isInstalled(folder) ? [] : [['npm install dollar-send']]),
    ['node runner.mjs'],
    ['curl http://127.0.0.1:3000 --data @event.json', 'in a second terminal'],
    ['npx dollar-send log', 'shows what was sent'],
  ]
  const files = Object.entries(FILES).map(([name, text]) => [join(inside, name), text])
  return `Wrote\n${columns(files)}\nNext\n${columns(commands)}`
}

/** Returns whether a file of the folder could import this package. @param {string} folder */
function isInstalled(folder) {
  try {
    createRequire(join(process.cwd(), folder, 'runner.mjs')).resolve('dollar-send')
    return true
  } catch {
    return false
  }
}

/** @param {string[][]} rows */
function columns(rows) {
  const width = Math.max(...rows.map(([first]) => first.length))
  const lines = rows.map(([first, second]) =>
    second ? `  ${first.padEnd(width)}  ${second}\n` : `  ${first}\n`,
  )
  return lines.join('')
}
