// States in colour and in words.

import { pauseOf } from '../runs/waits.ts'
import type { Call, CallStatus, Run, RunStatus } from '../types.ts'

export type Tone = 'good' | 'bad' | 'busy' | 'calm' | 'warn'

const CALL_TONES: Record<CallStatus, Tone> = {
  recorded: 'calm',
  pending: 'busy',
  batched: 'busy',
  'in-flight': 'busy',
  delivered: 'good',
  failed: 'bad',
  discarded: 'calm',
}

const CALL_WORDS: Record<CallStatus, string> = {
  recorded: 'Recorded',
  pending: 'Waiting',
  batched: 'In a batch',
  'in-flight': 'Sending',
  delivered: 'Delivered',
  failed: 'Failed',
  discarded: 'Discarded',
}

interface State {
  tone: Tone
  word: string
}

export function callState(call: Call): State {
  if (call.status === 'failed' && call.resolvedBy) return { tone: 'calm', word: 'Resolved' }
  if (call.status === 'failed' && call.dismissedAt) return { tone: 'calm', word: 'Dismissed' }
  if (pauseOf(call)) return { tone: 'warn', word: 'Paused' }
  if (call.status === 'pending' && call.lastError) return { tone: 'warn', word: 'Retrying' }
  return { tone: CALL_TONES[call.status], word: CALL_WORDS[call.status] }
}

const RUN_TONES: Record<RunStatus, Tone> = {
  running: 'busy',
  completed: 'good',
  failed: 'bad',
  discarded: 'calm',
}

/** Returns the state of a run together with its calls: a run is well when all of it arrived. */
export function runState(run: Run): State {
  if (run.status === 'failed') return { tone: 'bad', word: 'Step failed' }
  if (run.failed > 0) return { tone: 'bad', word: 'Call failed' }
  if (run.status === 'running') return { tone: 'busy', word: 'Running' }
  if (run.pending > 0) return { tone: 'busy', word: 'Waiting' }
  if (run.status === 'discarded') return { tone: 'calm', word: 'Discarded' }
  return { tone: RUN_TONES[run.status], word: 'Done' }
}

export function Badge({ tone, word }: State) {
  return (
    <span class={`badge ${tone}`}>
      <i aria-hidden="true" />
      {word}
    </span>
  )
}
