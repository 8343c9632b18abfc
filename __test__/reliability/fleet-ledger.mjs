// The ledger of a fleet: what was promised, what arrived, and what of it breaks a guarantee.

/** Milliseconds in which the fleet delivers what a fault held up. */
export const TAKE_OVER = 15_000
/** Milliseconds for which shards move after that. */
export const SETTLING = 5000

/** @typedef {{ host: string, line: string, turn: number, key: string, at: number }} Arrival */

export class Ledger {
  /** Turns that were promised, by their line. @type {Map<string, Set<number>>} */
  promised = new Map()
  /** Turns that were refused first: another node may have begun with them. @type {Set<string>} */
  refused = new Set()
  /** All arrivals of a call. @type {Map<string, Arrival[]>} */
  arrived = new Map()
  /** The youngest turn that arrived at a host, by line. @type {Map<string, number>} */
  #youngest = new Map()
  /** When faults were under way. @type {{ name: string, from: number, to: number }[]} */
  faults = []
  /** @type {string[]} */
  violations = []
  repeated = 0
  untold = 0
  /** Calls that arrived after a younger one of their line. @type {{ call: string, at: number }[]} */
  overtaken = []

  /** @param {string} line @param {number} turn */
  keep(line, turn) {
    const turns = this.promised.get(line) ?? new Set()
    this.promised.set(line, turns.add(turn))
  }

  /** Notes a request. @param {Arrival} arrival */
  note(arrival) {
    const { host, line, turn, key } = arrival
    const call = `${host}/${line}/${turn}`
    const earlier = this.arrived.get(call)
    if (earlier) return this.#repeat(call, earlier, arrival)
    this.arrived.set(call, [arrival])
    const lane = `${host}/${line}`
    const youngest = this.#youngest.get(lane) ?? -1
    if (turn < youngest) this.overtaken.push({ call, at: arrival.at })
    this.#youngest.set(lane, Math.max(turn, youngest))
    if (!key) this.violations.push(`${call} has no Idempotency-Key`)
  }

  /** @param {string} call @param {Arrival[]} earlier @param {Arrival} again */
  #repeat(call, earlier, again) {
    this.repeated++
    const isNew = earlier[0].key !== again.key
    if (isNew && !this.refused.has(`${again.line}/${again.turn}`))
      this.violations.push(`${call} has a second Idempotency-Key`)
    earlier.push(again)
  }

  /** Returns the number of promised calls that have not arrived, or less. @param {string[]} hosts */
  onTheirWay(hosts) {
    const turns = [...this.promised.values()].reduce((sum, turns) => sum + turns.size, 0)
    return turns * hosts.length - this.arrived.size
  }

  /** Returns the promised calls that have not arrived. @param {string[]} hosts */
  missing(hosts) {
    return [...this.promised].flatMap(([line, turns]) =>
      [...turns].flatMap((turn) =>
        hosts.map((host) => `${host}/${line}/${turn}`).filter((call) => !this.arrived.has(call)),
      ),
    )
  }

  /**
   * Adds the violations that show when all has ended.
   *
   * @param {string[]} hosts
   * @param {{ rows: any[], records: any[], log: any[] }} found
   */
  judge(hosts, { rows, records, log }) {
    for (const call of this.missing(hosts)) this.violations.push(`${call} was lost`)
    for (const [call, arrivals] of this.arrived)
      if (arrivals.length > 1 && !this.#isExcused(arrivals))
        this.violations.push(`${call} was repeated without a fault`)
    // A take-over reads what waited while new calls of its node leave already.
    for (const { call, at } of this.overtaken)
      if (!this.#isDisturbed(at)) this.violations.push(`${call} was overtaken without a fault`)
    this.#judgeStored('row', rows)
    this.#judgeStored('record', records)
    this.#countUntold(hosts, log)
    for (const { id, call_index: index, times, delivered } of log)
      if ((times !== 1 && !this.refused.has(id.replace(/-(\d+)$/, '/$1'))) || times !== delivered)
        this.violations.push(`${id}/${index} is ${times} times in the log, ${delivered} delivered`)
  }

  /**
   * Each promised turn is stored once.
   *
   * @param {string} what
   * @param {{ line: string, turn: number }[]} all
   */
  #judgeStored(what, all) {
    /** @type {Map<string, number>} */
    const stored = new Map()
    for (const { line, turn } of all) {
      const name = `${line}/${turn}`
      stored.set(name, (stored.get(name) ?? 0) + 1)
    }
    for (const [name, times] of stored)
      if (times !== 1 && !this.refused.has(name))
        this.violations.push(`${what} ${name} was stored ${times} times`)
    for (const [line, turns] of this.promised)
      for (const turn of turns)
        if (!stored.has(`${line}/${turn}`)) this.violations.push(`${what} ${line}/${turn} was lost`)
  }

  /**
   * Counts the repetitions that the log does not tell: of requests whose beginning was not written yet.
   *
   * @param {string[]} hosts
   * @param {{ id: string, call_index: number, is_repeated: boolean }[]} log
   */
  #countUntold(hosts, log) {
    for (const { id, call_index: index, is_repeated: isTold } of log) {
      const turn = id.replace(/-(\d+)$/, '/$1')
      const times = this.arrived.get(`${hosts[index]}/${turn}`)?.length ?? 0
      if (times > 1 && !isTold && !this.refused.has(turn)) this.untold++
    }
  }

  seen() {
    const { violations, arrived, repeated, untold, overtaken } = this
    return { violations, calls: arrived.size, repeated, untold, overtaken: overtaken.length }
  }

  /** Returns whether each repetition follows a fault. @param {Arrival[]} arrivals */
  #isExcused(arrivals) {
    return arrivals.slice(1).every(({ at }) => this.#isDisturbed(at))
  }

  /** Returns whether a fault was under way, or was not made good yet. @param {number} at */
  #isDisturbed(at) {
    return this.faults.some(({ from, to }) => at >= from && at <= to + SETTLING)
  }
}
