// Live and pause, with the number of rows that came in the meantime.

import type { Feed } from '../list/feed.ts'
import { PAGE_SIZE } from '../list/page.ts'
import { isLive } from '../live.ts'

export function LiveButton() {
  const live = isLive.value
  return (
    <button
      type="button"
      class={`live ${live ? 'on' : ''}`}
      aria-pressed={live}
      aria-label={live ? 'Live: pause the list' : 'Paused: go live'}
      onClick={() => (isLive.value = !live)}
    >
      <i aria-hidden="true" />
      {live ? 'Live' : 'Paused'}
    </button>
  )
}

interface FreshProperties<T> {
  feed: Feed<T>
  noun: string
  show: () => void
}

/** Offers the rows that came while the reader was elsewhere in the list, or had paused it. */
export function FreshRows<T>({ feed, noun, show }: FreshProperties<T>) {
  const count = feed.fresh.value
  const shown = count >= PAGE_SIZE ? `${PAGE_SIZE}+` : String(count)
  return (
    <div class="fresh" role="status">
      {count > 0 && (
        <button type="button" onClick={show}>
          ↑ {shown} new {count === 1 ? noun : `${noun}s`}
        </button>
      )}
    </div>
  )
}
