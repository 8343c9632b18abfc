#!/usr/bin/env node
// The command `dollar-send`: reads the command line, dispatches, ends the process with the status.

import { readFileSync } from 'node:fs'
import { inspect } from 'node:util'

import { decide } from './arguments.mjs'
import { colouredHelp, HELP, HELP_OF } from './help.mjs'
import { createPaint, harmless } from './paint.mjs'
import { ServerError } from './server.mjs'
import { EXIT, UsageError } from './usage.mjs'

/** @param {string[]} args @returns {Promise<number>} */
async function main(args) {
  const decision = decide(args)
  if (decision.command === 'version') {
    const file = new URL('../../package.json', import.meta.url)
    process.stdout.write(`${JSON.parse(readFileSync(file, 'utf8')).version}\n`)
    return 0
  }
  if (decision.command === 'help') {
    const text = HELP_OF[/** @type {keyof typeof HELP_OF} */ (decision.topic)] ?? HELP
    const stream = decision.asked ? process.stdout : process.stderr
    stream.write(colouredHelp(text, createPaint(stream)))
    return decision.asked ? 0 : EXIT.usage
  }
  // The native addon loads only when there is something to run, so that help works without it.
  switch (decision.command) {
    case 'init':
      return (await import('./init.mjs')).initCommand(decision.settings)
    case 'log':
      return (await import('./log.mjs')).logCommand(decision.settings)
    case 'runs':
      return (await import('./runs.mjs')).runsCommand(decision.settings)
    case 'serve':
      return (await import('./serve.mjs')).serveCommand(decision.settings)
    case 'sql':
      return (await import('./sql.mjs')).sqlCommand(decision.settings)
    case 'replay':
      return (await import('./replay.mjs')).replayCommand(decision.settings)
    case 'pause':
    case 'resume':
      return (await import('./control.mjs')).pauseCommand(decision.command, decision.settings)
    case 'retry-now':
      return (await import('./control.mjs')).retryCommand(decision.settings)
    case 'migrate':
      return (await import('./migrate.mjs')).migrateCommand(decision.settings)
    case 'check':
      return (await import('./check/command.mjs')).checkCommand(decision.settings)
    default:
      return (await import('./run.mjs')).runCommand(decision.settings)
  }
}

/** @param {unknown} error @returns {number} */
function report(error) {
  const command = process.argv[2] ?? ''
  if (error instanceof UsageError) {
    process.stderr.write(
      `dollar-send: ${error.message}\nSee: dollar-send help${command in HELP_OF ? ` ${command}` : ''}\n`,
    )
    return EXIT.usage
  }
  if (error instanceof ServerError) {
    process.stderr.write(`dollar-send: ${harmless(error.message)}\n`)
    return EXIT.failed
  }
  const isAddon = /** @type {NodeJS.ErrnoException} */ (error)?.code === 'ERR_SEND_ADDON'
  const text = isAddon ? `dollar-send: ${/** @type {Error} */ (error).message}` : inspect(error)
  process.stderr.write(`${harmless(text)}\n`)
  return EXIT.threw
}

// Whoever reads our output may stop early (`| head`); that is no failure of the run.
process.stdout.on('error', (error) => {
  if (/** @type {NodeJS.ErrnoException} */ (error).code !== 'EPIPE') throw error
})

main(process.argv.slice(2))
  .catch(report)
  .then((status) => {
    // A step may leave timers or servers behind; they do not keep the command alive. Output goes first.
    process.stdout.write('', () => process.stderr.write('', () => process.exit(status)))
  })
