// The replays of the engine: those under way, and the last ones that ended.

import { useSignal } from '@preact/signals'
import { useEffect } from 'preact/hooks'

import { listReplays, progressOf, resultOf } from '../act/replays.ts'
import { sentenceOf } from '../api.ts'
import { ago } from '../format.ts'
import { onChange } from '../live.ts'
import { href, place } from '../route.ts'
import { now } from '../shell/clock.ts'
import { Badge, type Tone } from '../shell/status.tsx'
import type { ReplayRun } from '../types.ts'

const MOST = 10
const BREATH_MS = 2000

const STATES: Record<ReplayRun['status'], { tone: Tone; word: string }> = {
  running: { tone: 'busy', word: 'Under way' },
  done: { tone: 'good', word: 'Done' },
  cancelled: { tone: 'calm', word: 'Cancelled' },
  failed: { tone: 'bad', word: 'Failed' },
}

export function Replays() {
  const runs = useSignal<ReplayRun[]>([])
  const problem = useSignal<string | undefined>(undefined)
  useEffect(() => {
    const read = async () => {
      try {
        runs.value = await listReplays()
        problem.value = undefined
      } catch (error) {
        problem.value = sentenceOf(error)
      }
    }
    void read()
    return onChange(read, BREATH_MS)
  }, [])
  if (runs.value.length === 0 && problem.value === undefined) return null
  return (
    <section class="card">
      <h2>Replays</h2>
      {problem.value !== undefined && <p class="notice bad">{problem.value}</p>}
      <ul class="replays">
        {runs.value.slice(0, MOST).map((run) => (
          <li key={run.id}>
            <Badge {...STATES[run.status]} />
            <a data-go href={href({ ...place.value, replay: run.id })}>
              {run.status === 'running' ? progressOf(run) : resultOf(run)}
            </a>
            <time class="quiet" dateTime={run.startedAt}>
              {ago(run.startedAt, now.value)}
            </time>
          </li>
        ))}
      </ul>
      {runs.value.length > MOST && <p class="quiet">The newest {MOST} are listed.</p>}
    </section>
  )
}
