// The buttons that begin an act.

import { post } from '../api.ts'
import { plural } from '../format.ts'
import type { Call } from '../types.ts'
import { dismissSelection, replaySelection } from './acts.ts'
import { ask } from './question.tsx'

export function replayButton(calls: Call[], after: () => Promise<void>, word: string) {
  return (
    <button type="button" class="primary" onClick={() => replaySelection(calls, after)}>
      {word}
    </button>
  )
}

export function dismissButton(calls: Call[], after: () => Promise<void>) {
  return (
    <button type="button" onClick={() => dismissSelection(calls, after)}>
      Dismiss
    </button>
  )
}

export function retryButton(call: Call, after: () => Promise<void>) {
  const perform = async () => {
    const { data } = await post<{ data: { retried: number } }>('v1/queues/retry-now', {
      ids: [call.id],
    })
    await after()
    return `Attempting ${plural(data.retried, 'call')} now.`
  }
  const text = 'Its next attempt is made at once, and counts as an attempt.'
  const question = { title: 'Retry the call now?', text, verb: 'Retry now', perform }
  return (
    <button type="button" class="primary" onClick={() => ask(question)}>
      Retry now
    </button>
  )
}
