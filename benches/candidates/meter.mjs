// What one round costs its process: wall time, CPU time of all threads, and the part of the time in
// which the main thread was busy.

import { performance } from 'node:perf_hooks'

/** Runs `work` and tells what it took. */
export async function metered(work) {
  // Event-loop utilisation counts from the loop's first turn, which top-level code has not seen yet.
  await new Promise((resolve) => setImmediate(resolve))
  const loop = performance.eventLoopUtilization()
  const cpu = process.cpuUsage()
  const start = process.hrtime.bigint()
  await work()
  const elapsedMs = Number(process.hrtime.bigint() - start) / 1e6
  const { user, system } = process.cpuUsage(cpu)
  const busyMs = performance.eventLoopUtilization(loop).active
  return { elapsedMs, cpuUs: user + system, busyMs }
}
