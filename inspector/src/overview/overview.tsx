// The overview: what was delivered by hour and by host, what waits, and the warehouse.

import { useSignal } from '@preact/signals'
import { useEffect } from 'preact/hooks'

import { get, sentenceOf } from '../api.ts'
import { duration, exactTime, number } from '../format.ts'
import { onChange } from '../live.ts'
import { go, place } from '../route.ts'
import { now } from '../shell/clock.ts'
import { HourChart } from './chart.tsx'
import { allHours, type Overview, statusesOf } from './figures.ts'
import { Hosts } from './hosts.tsx'
import { QueryBox } from './query.tsx'
import { Queues } from './queues.tsx'
import { Replays } from './replays.tsx'
import { Streams } from './streams.tsx'

/** The figures until they are known: the page keeps its layout. */
const NOTHING: Overview = {
  since: new Date(Date.now() - 86_400_000).toISOString(),
  hours: [],
  hosts: [],
  queues: [],
  streams: [],
  waiting: 0,
  sampled: false,
}

/** The figures of many deliveries are work for the server. */
const BREATH_MS = 5000

const PERIODS = ['24h', '72h', '7d']

export function OverviewScreen() {
  const since = PERIODS.find((period) => period === place.value.period) ?? '24h'
  const figures = useSignal<Overview | undefined>(undefined)
  const problem = useSignal<string | undefined>(undefined)
  useEffect(() => {
    const read = async () => {
      try {
        figures.value = await get<Overview>('overview', { since })
        problem.value = undefined
      } catch (error) {
        problem.value = sentenceOf(error)
      }
    }
    void read()
    return onChange(read, BREATH_MS)
  }, [since])
  return (
    <main class="overview">
      <div class="bar">
        <h1>Overview</h1>
        <span class="spring" />
        <div class="toggle" role="group" aria-label="Period">
          {PERIODS.map((period) => (
            <button
              type="button"
              key={period}
              aria-pressed={period === since}
              onClick={() => go({ ...place.peek(), period }, { replace: true })}
            >
              {period}
            </button>
          ))}
        </div>
      </div>
      {problem.value !== undefined && <p class="notice bad">{problem.value}</p>}
      {(figures.value || problem.value === undefined) && (
        <Content figures={figures.value ?? NOTHING} />
      )}
      <Queues />
      <Replays />
      {figures.value && <Streams streams={figures.value.streams} />}
      <QueryBox />
    </main>
  )
}

function Content({ figures }: { figures: Overview }) {
  const hours = allHours(figures, Date.now())
  const shown = (count: number) => (figures === NOTHING ? '–' : number(count))
  // A sample is a part of what there is.
  const more = figures.sampled ? '+' : ''
  const sum = (name: 'delivered' | 'failed') =>
    shown(hours.reduce((all, hour) => all + hour[name], 0)) + more
  const { oldestWaitingAt } = figures
  return (
    <>
      <dl class="tiles">
        <Tile name="Delivered" value={sum('delivered')} />
        <Tile name="Failed" value={sum('failed')} />
        <Tile name="Waiting" value={shown(figures.waiting)} />
        <Tile
          name="Oldest waiting"
          value={
            oldestWaitingAt ? duration(wholeSeconds(now.value - Date.parse(oldestWaitingAt))) : '–'
          }
        />
        {statusesOf(hours).map(([name, count]) => (
          <Tile key={name} name={name} value={number(count) + more} />
        ))}
      </dl>
      {figures.sampled && (
        <p class="notice">
          Only the newest 50,000 deliveries since {exactTime(figures.since)} are counted, by hour
          and by host.
        </p>
      )}
      <section class="card">
        <HourChart hours={hours} isKnown={figures !== NOTHING} />
      </section>
      <Hosts figures={figures} />
    </>
  )
}

/** Returns milliseconds without those that only flicker. */
function wholeSeconds(ms: number): number {
  return 1000 * Math.max(0, Math.floor(ms / 1000))
}

function Tile({ name, value }: { name: string; value: string }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{value}</dd>
    </div>
  )
}
