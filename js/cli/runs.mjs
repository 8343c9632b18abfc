// `dollar-send runs`: executions of a data directory or of a running engine.

import { configuration } from './config.mjs'
import { Directory } from './directory.mjs'
import { executionLines } from './lines.mjs'
import { createPaint, harmlessJson } from './paint.mjs'
import { Server } from './server.mjs'
import { terminalWidth } from './table.mjs'

/**
 * Prints the executions that the settings ask for, the newest last.
 *
 * @param {import('./arguments.mjs').LogSettings} settings
 * @returns {Promise<number>} the exit status
 */
export async function runsCommand(settings) {
  const { filter, json, url, token } = settings
  const source = url ? new Server(url, token) : new Directory(await configuration(settings))
  const found = await source.executions(filter)
  if (json) process.stdout.write(`${harmlessJson(found)}\n`)
  else if (found.length === 0) process.stdout.write('No such executions.\n')
  else {
    const paint = createPaint(process.stdout)
    process.stdout.write(executionLines(found.reverse(), paint, terminalWidth(process.stdout)))
  }
  return 0
}
