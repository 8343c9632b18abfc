// Runs programs for scripts: their output is shown, and a failure ends the script with a sentence.

import { spawnSync } from 'node:child_process'

import { ROOT } from './targets.mjs'

/**
 * @param {string} program
 * @param {string[]} args
 * @param {{ cwd?: string, env?: NodeJS.ProcessEnv, advice?: string }} [options]
 */
export function run(program, args, { cwd = ROOT, env = process.env, advice } = {}) {
  // npm and napi are scripts, which Windows starts by its shell alone.
  const shell = process.platform === 'win32' && program !== process.execPath
  const { status, error } = spawnSync(program, args, { cwd, env, shell, stdio: 'inherit' })
  if (error) fail(`${program} could not be started: ${error.message}. ${advice ?? ''}`)
  if (status !== 0) fail(`${program} ${args.slice(0, 3).join(' ')} … failed. ${advice ?? ''}`)
}

/**
 * Runs a program that prints JSON.
 *
 * @param {string} program
 * @param {string[]} args
 * @param {{ cwd?: string }} [options]
 */
export function json(program, args, { cwd = ROOT } = {}) {
  const shell = process.platform === 'win32' && program !== process.execPath
  const { status, stdout, stderr } = spawnSync(program, args, { cwd, shell, encoding: 'utf8' })
  if (status !== 0) fail(`${program} ${args.slice(0, 3).join(' ')} … failed: ${stderr}`)
  return JSON.parse(stdout)
}

/**
 * @param {string} message
 * @returns {never}
 */
export function fail(message) {
  console.error(`\n${message.trim()}`)
  process.exit(1)
}
