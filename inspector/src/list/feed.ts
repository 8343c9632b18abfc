// A list of the log, newest first, of which only the pages near the reader are in memory.

import { computed, signal } from '@preact/signals'

import { sentenceOf } from '../api.ts'
import type { Page } from '../types.ts'
import { PAGE_SIZE, type Total, totalOf } from './page.ts'

/** Pages whose rows are kept; those of others are dropped, and loaded again when they are seen. */
const MAX_LOADED = 8

interface Part<T> {
  after: string | undefined
  end: string | undefined
  count: number
  isLast: boolean
  /** Undefined if they were dropped. */
  rows: T[] | undefined
}

export type Load<T> = (after: string | undefined, abort: AbortSignal) => Promise<Page<T>>

export class Feed<T> {
  readonly parts = signal<Part<T>[]>([])
  readonly total = signal<Total | undefined>(undefined)
  readonly error = signal<string | undefined>(undefined)
  readonly isLoading = signal(false)
  /** Rows that came since the first page was loaded. */
  readonly fresh = signal(0)
  readonly isComplete = computed(() => {
    const last = this.parts.value.at(-1)
    return last !== undefined && (last.isLast || last.end === undefined)
  })
  readonly #load: Load<T>
  readonly #idOf: (row: T) => string
  #abort = new AbortController()
  /** True if the next page was asked for while another read was under way. */
  #wantsMore = false
  /** The order in which pages were seen, the latest last. */
  #seen: number[] = []

  constructor(load: Load<T>, idOf: (row: T) => string) {
    this.#load = load
    this.#idOf = idOf
  }

  /** Loads the first page in place of all pages. */
  async reset(): Promise<void> {
    this.#abort.abort()
    this.#abort = new AbortController()
    this.#wantsMore = false
    this.#seen = [0]
    await this.#guard(async (abort) => {
      const page = await this.#load(undefined, abort)
      this.parts.value = [partOf(undefined, page)]
      this.total.value = totalOf(page.page_info)
      this.fresh.value = 0
    })
  }

  /** Loads the next page, after the read that is under way. */
  async more(): Promise<void> {
    if (this.isLoading.value) {
      this.#wantsMore = true
      return
    }
    if (this.isComplete.value) return
    const last = this.parts.value.at(-1)
    if (!last?.end) return
    const { end } = last
    await this.#guard(async (abort) => {
      const page = await this.#load(end, abort)
      if (this.parts.value.at(-1) !== last && this.parts.value.at(-1)?.end !== end) return
      this.parts.value = [...this.parts.value, partOf(end, page)]
    })
  }

  /** Loads the dropped pages among those that are seen, and drops the rows of those seen longest ago. */
  see(indexes: number[]): void {
    this.#seen = [...this.#seen.filter((index) => !indexes.includes(index)), ...indexes]
    const kept = this.#seen.slice(-MAX_LOADED)
    const parts = this.parts.value
    const isSurplus = (part: Part<T>, index: number) =>
      part.rows !== undefined && !kept.includes(index)
    if (parts.filter((part) => part.rows).length > MAX_LOADED && parts.some(isSurplus)) {
      this.parts.value = parts.map((part, index) =>
        isSurplus(part, index) ? { ...part, rows: undefined } : part,
      )
    }
    for (const index of indexes) if (parts[index] && !parts[index].rows) void this.#fill(index)
  }

  /** Reads the visible pages again; rows change in place, none is added. Counts the new rows. */
  async refresh(indexes: number[]): Promise<void> {
    await this.#guard(async (abort) => {
      const first = await this.#load(undefined, abort)
      this.total.value = totalOf(first.page_info)
      this.#count(first.data)
      this.#update(first.data)
      for (const index of indexes) {
        const after = this.parts.value[index]?.after
        if (after !== undefined) this.#update((await this.#load(after, abort)).data)
      }
    })
  }

  close(): void {
    this.#abort.abort()
  }

  async #fill(index: number): Promise<void> {
    const part = this.parts.value[index]
    if (!part || part.rows) return
    await this.#guard(async (abort) => {
      const page = await this.#load(part.after, abort)
      this.parts.value = this.parts.value.map((old, at) =>
        at === index ? { ...old, rows: page.data.slice(0, old.count) } : old,
      )
    })
  }

  #count(newest: T[]): void {
    const known = this.parts.value[0]?.rows?.[0]
    if (known === undefined) {
      this.fresh.value = this.parts.value.length > 0 ? newest.length : 0
      return
    }
    const id = this.#idOf(known)
    const at = newest.findIndex((row) => this.#idOf(row) === id)
    this.fresh.value = at < 0 ? newest.length : at
  }

  #update(rows: T[]): void {
    const byId = new Map(rows.map((row) => [this.#idOf(row), row]))
    const isTouched = (part: Part<T>) => part.rows?.some((row) => byId.has(this.#idOf(row)))
    if (!this.parts.value.some(isTouched)) return
    this.parts.value = this.parts.value.map((part) =>
      isTouched(part)
        ? { ...part, rows: (part.rows ?? []).map((row) => byId.get(this.#idOf(row)) ?? row) }
        : part,
    )
  }

  async #guard(act: (abort: AbortSignal) => Promise<void>): Promise<void> {
    const { signal: abort } = this.#abort
    this.isLoading.value = true
    try {
      await act(abort)
      if (!abort.aborted) this.error.value = undefined
    } catch (error) {
      if (!abort.aborted) this.error.value = sentenceOf(error)
    } finally {
      if (!abort.aborted) this.isLoading.value = false
    }
    if (abort.aborted || !this.#wantsMore) return
    this.#wantsMore = false
    if (this.error.value === undefined) await this.more()
  }
}

function partOf<T>(after: string | undefined, page: Page<T>): Part<T> {
  const { end_cursor, count } = page.page_info
  // Rows that the log forgot meanwhile may be missing.
  const isLast = count < PAGE_SIZE
  return { after, end: end_cursor ?? undefined, count: page.data.length, isLast, rows: page.data }
}
