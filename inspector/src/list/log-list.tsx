// A list of the log by day, which follows the log while it is live.

import { useSignal } from '@preact/signals'
import type { ComponentChildren } from 'preact'
import { useCallback, useEffect, useMemo, useRef } from 'preact/hooks'

import { isOnline } from '../api.ts'
import { dayName, dayOf } from '../format.ts'
import { isLive, onChange } from '../live.ts'
import { isNarrow } from '../shell/narrow.ts'
import { FreshRows } from '../shell/live-button.tsx'
import { Feed, type Load } from './feed.ts'
import type { Total } from './page.ts'
import { type Item, Virtual } from './virtual.tsx'

interface Properties<T> {
  noun: string
  label: string
  /** Reads a page; a new function starts a new list. */
  load: Load<T>
  idOf: (row: T) => string
  timeOf: (row: T) => string
  row: (row: T) => ComponentChildren
  head: ComponentChildren
  empty: ComponentChildren
  onTotal?: (total: Total | undefined) => void
}

const DAY_HEIGHT = 34

export function LogList<T>(properties: Properties<T>) {
  const { noun, label, load, idOf, timeOf, row, head, empty, onTotal } = properties
  const feed = useMemo(() => new Feed<T>(load, idOf), [load])
  const seen = useRef<number[]>([0])
  const scrolled = useRef(0)
  const top = useSignal(0)
  useFollowing(feed, seen, scrolled)
  const total = feed.total.value
  useEffect(() => onTotal?.(total), [total])
  const height = isNarrow.value ? 58 : 38
  const parts = feed.parts.value
  const { items, partOf } = useMemo(
    () => itemsOf(parts, row, { idOf, timeOf, height }),
    [parts, row, height],
  )
  const onRange = useCallback(
    (first: number, last: number) => {
      seen.current = [...new Set(partOf.slice(first, last + 1))]
      feed.see(seen.current)
      if (last >= items.length - 20) void feed.more()
    },
    [feed, items],
  )
  const show = () => {
    top.value += 1
    scrolled.current = 0
    void feed.reset()
  }
  const isEmpty = parts.length > 0 && items.length === 0
  const isRefused = parts.length === 0 && feed.error.value !== undefined
  return (
    <>
      <FreshRows feed={feed} noun={noun} show={show} />
      {feed.error.value !== undefined && isOnline.value && (
        <p class="notice bad" role="alert">
          {feed.error.value}
        </p>
      )}
      {isEmpty && <div class="empty">{empty}</div>}
      {!isEmpty && !isRefused && (
        <Virtual
          items={items}
          label={label}
          onRange={onRange}
          onScroll={(at) => (scrolled.current = at)}
          top={top.value}
          isComplete={feed.isComplete.value}
        >
          {head}
        </Virtual>
      )}
    </>
  )
}

/** Loads the list, and reads it again after changes: anew at its top, in place elsewhere. */
function useFollowing<T>(
  feed: Feed<T>,
  seen: { current: number[] },
  scrolled: { current: number },
): void {
  useEffect(() => {
    void feed.reset()
    const end = onChange(async () => {
      const isAtTop = scrolled.current < 40 && isLive.peek()
      await (isAtTop && feed.parts.peek().length <= 2 ? feed.reset() : feed.refresh(seen.current))
    })
    const live = isLive.subscribe((isOn) => {
      if (isOn && scrolled.current < 40 && feed.parts.peek().length > 0) void feed.reset()
    })
    return () => {
      end()
      live()
      feed.close()
    }
  }, [feed])
}

interface Shape<T> {
  idOf: (row: T) => string
  timeOf: (row: T) => string
  height: number
}

/** Returns the rows with the heading of each day, and the page of each item. */
function itemsOf<T>(
  parts: { count: number; rows: T[] | undefined }[],
  row: (row: T) => ComponentChildren,
  { idOf, timeOf, height }: Shape<T>,
) {
  const items: Item[] = []
  const partOf: number[] = []
  let day: number | undefined
  const add = (part: number, item: Item) => {
    items.push(item)
    partOf.push(part)
  }
  for (const [index, part] of parts.entries()) {
    if (!part.rows) {
      add(index, { key: `gap-${index}`, height: part.count * height, render: () => null })
      continue
    }
    for (const entry of part.rows) {
      const time = timeOf(entry)
      const itsDay = dayOf(time)
      if (itsDay !== day) {
        day = itsDay
        add(index, { key: `day-${itsDay}`, height: DAY_HEIGHT, render: () => <Day time={time} /> })
      }
      add(index, { key: idOf(entry), height, render: () => row(entry) })
    }
  }
  return { items, partOf }
}

function Day({ time }: { time: string }) {
  return (
    <div class="day" role="row">
      <b role="rowheader">{dayName(time)}</b>
    </div>
  )
}
