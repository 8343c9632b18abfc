// What the figures were measured on: without it a number means nothing.

import os from 'node:os'

export function machine() {
  const cpus = os.cpus()
  return {
    cpu: cpus[0]?.model.trim() ?? 'unknown',
    cores: cpus.length,
    memoryGiB: Math.round(os.totalmem() / 2 ** 30),
    kernel: `${os.type()} ${os.release()} ${os.arch()}`,
    node: process.version,
    loadBefore: os.loadavg()[0],
    date: new Date().toISOString(),
  }
}

export function machineLine(where) {
  const hardware = `${where.cpu}, ${where.cores} cores, ${where.memoryGiB} GiB`
  const load = `load ${where.loadBefore.toFixed(1)} before the run`
  return `${hardware}; ${where.kernel}; node ${where.node}; ${load}; ${where.date}`
}
