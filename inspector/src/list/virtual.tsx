// A scrolled list that has only its visible rows in the document.

import type { ComponentChildren } from 'preact'
import { useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks'

export interface Item {
  key: string
  height: number
  render: () => ComponentChildren
}

interface Names {
  label: string
  name?: string
  /** False if more rows may follow: their number is not known. */
  isComplete?: boolean
}

interface Properties extends Names {
  items: Item[]
  /** Called with the first and last visible item after each change. */
  onRange?: (first: number, last: number) => void
  /** Called with the distance from the top. */
  onScroll?: (top: number) => void
  children?: ComponentChildren
  /** A number that scrolls to the top when it changes. */
  top?: number
}

const OVERSCAN = 400

export function Virtual({ items, onRange, onScroll, children, top, ...names }: Properties) {
  const box = useRef<HTMLDivElement>(null)
  const [view, setView] = useState({ top: 0, height: 900 })
  const offsets = useMemo(() => offsetsOf(items), [items])
  useLayoutEffect(() => {
    const element = box.current
    if (!element) return
    const measure = () => setView({ top: element.scrollTop, height: element.clientHeight })
    const observer = new ResizeObserver(measure)
    observer.observe(element)
    return () => observer.disconnect()
  }, [])
  useLayoutEffect(() => {
    if (top !== undefined && box.current) box.current.scrollTop = 0
  }, [top])
  const first = indexAt(offsets, view.top - OVERSCAN)
  const last = Math.min(indexAt(offsets, view.top + view.height + OVERSCAN), items.length - 1)
  useLayoutEffect(() => onRange?.(first, last), [first, last, items])
  const scrolled = (event: Event & { currentTarget: HTMLElement }) => {
    const { scrollTop, clientHeight } = event.currentTarget
    setView({ top: scrollTop, height: clientHeight })
    onScroll?.(scrollTop)
  }
  return (
    <div
      class="virtual"
      ref={box}
      onScroll={scrolled}
      role="table"
      {...attributesOf(items.length, names)}
      tabIndex={-1}
    >
      {children}
      <div class="virtual-space" role="rowgroup" style={{ height: `${offsets.at(-1) ?? 0}px` }}>
        {items.slice(first, last + 1).map((item, index) => (
          <div
            key={item.key}
            class="virtual-item"
            role="presentation"
            style={{
              height: `${item.height}px`,
              transform: `translateY(${offsets[first + index] ?? 0}px)`,
            }}
          >
            {item.render()}
          </div>
        ))}
      </div>
    </div>
  )
}

function attributesOf(count: number, { label, name, isComplete = true }: Names) {
  return { 'aria-label': label, 'aria-rowcount': isComplete ? count : -1, 'data-rows': name }
}

/** Returns the offset of each item, and the height of all at the end. */
function offsetsOf(items: Item[]): number[] {
  const offsets = [0]
  let sum = 0
  for (const item of items) offsets.push((sum += item.height))
  return offsets
}

/** Returns the index of the item at a place, by bisection. */
function indexAt(offsets: number[], place: number): number {
  let low = 0
  let high = Math.max(0, offsets.length - 2)
  while (low < high) {
    const middle = Math.ceil((low + high) / 2)
    if ((offsets[middle] ?? 0) <= place) low = middle
    else high = middle - 1
  }
  return low
}
