// The queues with work, what is paused, and the acts on both.

import { useSignal } from '@preact/signals'
import { useEffect } from 'preact/hooks'

import { ask } from '../act/question.tsx'
import { get, post, sentenceOf } from '../api.ts'
import { ago, visible } from '../format.ts'
import { onChange } from '../live.ts'
import { mayAct } from '../session.ts'
import { now } from '../shell/clock.ts'
import {
  type Pause,
  pauseName,
  pauseTarget,
  type Queue,
  type Queues as QueueState,
  queueTarget,
  type Target,
} from './pauses.ts'
import { Count, Figures, Named } from './table.tsx'

export function Queues() {
  const state = useSignal<QueueState | undefined>(undefined)
  const problem = useSignal<string | undefined>(undefined)
  const read = async () => {
    try {
      state.value = (await get<{ data: QueueState }>('v1/queues')).data
      problem.value = undefined
    } catch (error) {
      problem.value = sentenceOf(error)
    }
  }
  useEffect(() => {
    void read()
    return onChange(read)
  }, [])
  const { queues = [], pauses = [] } = state.value ?? {}
  return (
    <section class="card">
      <h2>Queues</h2>
      {problem.value !== undefined && <p class="notice bad">{problem.value}</p>}
      {pauses.map((pause) => (
        <PauseLine key={pause.since + pauseName(pause)} pause={pause} read={read} />
      ))}
      {state.value && queues.length === 0 && <p class="quiet">No queue has work.</p>}
      {queues.length > 0 && <Table queues={queues} read={read} />}
    </section>
  )
}

interface LineProperties {
  pause: Pause
  read: () => Promise<void>
}

function PauseLine({ pause, read }: LineProperties) {
  const name = pauseName(pause)
  const resume = () =>
    ask({
      title: `Resume ${name}?`,
      text: 'What waits there is attempted again.',
      verb: 'Resume',
      perform: () => change('resume', pauseTarget(pause), `Resumed ${name}.`, read),
    })
  return (
    <p class="notice warn line-with-button">
      <span>
        <b>
          <bdi>{name}</bdi>
        </b>{' '}
        was paused {ago(pause.since, now.value)}
      </span>
      {mayAct() && (
        <button type="button" onClick={resume}>
          Resume
        </button>
      )}
    </p>
  )
}

function Table({ queues, read }: { queues: Queue[]; read: () => Promise<void> }) {
  const columns = ['State', 'Sending', 'Waiting', ...(mayAct() ? ['Act'] : [])]
  return (
    <Figures name="Queue" columns={columns}>
      {queues.map((queue) => (
        <Row key={`${queue.destination} ${queue.lane}`} queue={queue} read={read} />
      ))}
    </Figures>
  )
}

const BREAKERS = { closed: 'Working', open: 'Breaker open', 'half-open': 'Being probed' }

function Row({ queue, read }: { queue: Queue; read: () => Promise<void> }) {
  const { destination, lane, inFlight, waiting, breaker, paused } = queue
  const isWell = breaker === 'closed' && !paused
  const name = (
    <>
      <span class="tag">{visible(destination)}</span>{' '}
      <bdi>{visible(lane.replace(/^https?:\/\//, ''))}</bdi>
    </>
  )
  return (
    <Named name={name}>
      <td class={`words ${isWell ? 'good-text' : 'warn-text'}`}>
        {paused ? 'Paused' : BREAKERS[breaker]}
      </td>
      <Count value={inFlight} />
      <Count value={waiting} />
      {mayAct() && <td>{!paused && <PauseButton queue={queue} read={read} />}</td>}
    </Named>
  )
}

function PauseButton({ queue, read }: { queue: Queue; read: () => Promise<void> }) {
  const target = queueTarget(queue)
  const name = visible(target.host ?? queue.destination)
  const pause = () =>
    ask({
      title: `Pause ${name}?`,
      text: 'Nothing is attempted there until it is resumed. Attempts under way go on.',
      verb: 'Pause',
      perform: () => change('pause', target, `Paused ${name}.`, read),
    })
  return (
    <button type="button" class="small" aria-label={`Pause ${name}`} onClick={pause}>
      Pause
    </button>
  )
}

async function change(
  verb: 'pause' | 'resume',
  target: Target,
  sentence: string,
  read: () => Promise<void>,
): Promise<string> {
  await post(`v1/queues/${verb}`, target)
  await read()
  return sentence
}
