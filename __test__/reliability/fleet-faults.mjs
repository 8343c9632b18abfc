// The faults that a fleet lives through: of its processes, its network and its database.

import { setTimeout as wait } from 'node:timers/promises'

/** The lease of the nodes, in milliseconds. */
export const LEASE = 2000
/** How long a fault lasts that outlives a lease. */
const LONGER = LEASE * 1.5

/**
 * @typedef {object} Fleet
 * @property {import('./fleet.mjs').Member[]} members
 * @property {Awaited<ReturnType<typeof import('../support/postgres.mjs').postgresServer>>} database
 */

/**
 * Each fault ends before its promise resolves.
 *
 * @type {Record<string, (fleet: Fleet, random: () => number) => Promise<unknown>>}
 */
export const FAULTS = {
  async kill({ members }, random) {
    await one(members, random).replace()
  },
  async stop({ members }, random) {
    const { node } = one(members, random)
    node.signal('SIGSTOP')
    await wait(LONGER)
    node.signal('SIGCONT')
  },
  async cut({ members }, random) {
    const some = random() < 0.3 ? members : [one(members, random)]
    some.forEach(({ way }) => way.cut())
    await wait(LONGER * random())
    some.forEach(({ way }) => way.mend())
  },
  // Packets are lost: the ends of a connection hear nothing of each other.
  async silence({ members }, random) {
    const some = random() < 0.3 ? members : [one(members, random)]
    some.forEach(({ way }) => way.silence())
    await wait(LONGER * random())
    // Connections that lost something end when packets pass again: a stream has no gaps.
    some.forEach(({ way }) => way.cut())
    some.forEach(({ way }) => way.mend())
  },
  async restart({ database }, random) {
    await database.stop()
    await wait(LONGER * random())
    await database.start()
  },
  async terminate({ database }, random) {
    const share = random() < 0.5 ? 1 : 0.5
    await database.psql(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity
      WHERE usename = 'loader' AND random() < ${share}`)
  },
  async exhaust({ database }, random) {
    await database.psql(`ALTER ROLE loader CONNECTION LIMIT ${Math.floor(random() * 3)}`)
    await database.psql(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity
      WHERE usename = 'loader'`)
    await wait(LONGER * random())
    await database.psql('ALTER ROLE loader CONNECTION LIMIT -1')
  },
}

/**
 * Returns one of these.
 *
 * @template T
 * @param {T[]} all
 * @param {() => number} random
 */
export const one = (all, random) => all[Math.floor(random() * all.length)]
