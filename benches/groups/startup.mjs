// What the package costs before it does anything: time to load, size on disk.

import { execFileSync } from 'node:child_process'
import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { interleave, isBuilt, runCandidate } from '../children.mjs'
import { detail, figure } from '../table.mjs'

const PROCESSES_PER_ROUND = 5
const MEGABYTE = 1_000_000

export async function startup(settings) {
  if (!(await isBuilt(settings.entry))) return { details: [], figures: figuresOf() }
  const run = () => runCandidate('startup.cjs', { entry: settings.entry })
  const { rounds } = await interleave(settings.rounds * PROCESSES_PER_ROUND, { rounds: run })
  const addon = rounds[0].addons[0]
  if (!addon) throw new Error('the package loaded no addon')
  const size = (await stat(addon)).size / MEGABYTE
  return {
    details: [detail('the addon as it lies there', 'MB', [size])],
    figures: figuresOf(
      rounds.map((round) => round.elapsedMs),
      [(await strippedSize(addon)) / MEGABYTE],
    ),
  }
}

function figuresOf(times, sizes) {
  return [
    figure("require('dollar-send')", '<=', 15, 'ms', times),
    figure('the stripped addon, with every destination that there is', '<=', 18, 'MB', sizes),
  ]
}

/** The size after `strip`; where binutils are missing, the size as it is. */
async function strippedSize(addon) {
  const directory = await mkdtemp(join(tmpdir(), 'dollar-send-bench-'))
  const stripped = join(directory, 'stripped.node')
  try {
    execFileSync('strip', ['-o', stripped, addon])
    return (await stat(stripped)).size
  } catch {
    return (await stat(addon)).size
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}
