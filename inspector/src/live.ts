// Changes of the log, over the server's stream; without one, by asking every two seconds.

import { signal } from '@preact/signals'

import { isOnline } from './api.ts'

/** False while the reader has paused the list. */
export const isLive = signal(true)

const POLL_MS = 2000
/** The least time between two reports to one listener. */
const BREATH_MS = 700

const listeners = new Set<() => void>()
let stop: (() => void) | undefined

/**
 * Calls a function after changes of the log, at most once in `breathMs`, until the result is called.
 */
export function onChange(listener: () => Promise<void>, breathMs = BREATH_MS): () => void {
  const calm = calmed(listener, breathMs)
  listeners.add(calm)
  stop ??= start()
  return () => {
    listeners.delete(calm)
    if (listeners.size > 0) return
    stop?.()
    stop = undefined
  }
}

function report(): void {
  if (window.document.hidden) return
  for (const listener of listeners) listener()
}

function start(): () => void {
  let end = follow(() => (end = poll()))
  window.document.addEventListener('visibilitychange', report)
  return () => {
    end()
    window.document.removeEventListener('visibilitychange', report)
  }
}

function poll(): () => void {
  const timer = setInterval(report, POLL_MS)
  return () => clearInterval(timer)
}

/** Follows the stream; calls `refused` if the server does not open it, as with too many open ones. */
function follow(refused: () => void): () => void {
  const source = new EventSource('log/stream')
  for (const name of ['change', 'lagged']) source.addEventListener(name, report)
  source.addEventListener('open', () => {
    isOnline.value = true
    report()
  })
  source.addEventListener('error', () => {
    if (source.readyState === EventSource.CLOSED) refused()
    // The next request shows whether the server is gone.
    report()
  })
  return () => source.close()
}

/** Returns a function that runs another one at once, and once more for all calls during its breath. */
function calmed(act: () => Promise<void>, breathMs: number): () => void {
  let isBusy = false
  let isWanted = false
  const run = async () => {
    if (isBusy) {
      isWanted = true
      return
    }
    isBusy = true
    await act()
    setTimeout(() => {
      isBusy = false
      if (!isWanted) return
      isWanted = false
      void run()
    }, breathMs)
  }
  return () => void run()
}
