// The overview: what was delivered by hour and by host, what waits, and the warehouse.

import { useSignal } from '@preact/signals'
import { useEffect } from 'preact/hooks'

import { get, sentenceOf } from '../api.ts'
import { duration, exactTime, number, visible } from '../format.ts'
import { onChange } from '../live.ts'
import { href } from '../route.ts'
import { quoted } from '../search/language.ts'
import { now } from '../shell/clock.ts'
import { HourChart } from './chart.tsx'
import { allHours, type Host, type Overview, statusesOf, waitingByHost } from './figures.ts'
import { QueryBox } from './query.tsx'
import { Queues } from './queues.tsx'
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
  const since = useSignal('24h')
  const figures = useSignal<Overview | undefined>(undefined)
  const problem = useSignal<string | undefined>(undefined)
  useEffect(() => {
    const read = async () => {
      try {
        figures.value = await get<Overview>('overview', { since: since.value })
        problem.value = undefined
      } catch (error) {
        problem.value = sentenceOf(error)
      }
    }
    void read()
    return onChange(read, BREATH_MS)
  }, [since.value])
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
              aria-pressed={period === since.value}
              onClick={() => (since.value = period)}
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
      {figures.value && <Streams streams={figures.value.streams} />}
      <QueryBox />
    </main>
  )
}

function Content({ figures }: { figures: Overview }) {
  const hours = allHours(figures, Date.now())
  const shown = (count: number) => (figures === NOTHING ? '–' : number(count))
  const sum = (name: 'delivered' | 'failed') =>
    shown(hours.reduce((all, hour) => all + hour[name], 0))
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
            oldestWaitingAt ? duration(Math.max(0, now.value - Date.parse(oldestWaitingAt))) : '–'
          }
        />
        {statusesOf(hours).map(([name, count]) => (
          <Tile key={name} name={name} value={number(count)} />
        ))}
      </dl>
      {figures.sampled && (
        <p class="notice">
          The newest 50,000 deliveries since {exactTime(figures.since)} are counted.
        </p>
      )}
      <section class="card">
        <h2>Deliveries by hour</h2>
        <HourChart hours={hours} />
      </section>
      <Hosts figures={figures} />
    </>
  )
}

function Tile({ name, value }: { name: string; value: string }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{value}</dd>
    </div>
  )
}

function Hosts({ figures }: { figures: Overview }) {
  const waiting = waitingByHost(figures)
  const hosts = [...figures.hosts, ...unknownHosts(figures.hosts, waiting)]
  if (hosts.length === 0) return null
  const ms = (value: number | null | undefined) =>
    typeof value === 'number' ? duration(value) : '–'
  return (
    <section class="card">
      <h2>Hosts</h2>
      <table class="figures">
        <thead>
          <tr>
            {['Host', 'Delivered', 'Failed', 'Waiting', 'p50', 'p95'].map((name) => (
              <th scope="col" key={name}>
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {hosts.map(({ host, delivered, failed, p50, p95 }) => (
            <tr key={host}>
              <th scope="row">
                <a data-go href={href({ screen: 'calls', q: searchFor(host) })}>
                  <bdi>{visible(host)}</bdi>
                </a>
              </th>
              <td>{number(delivered)}</td>
              <td class={failed > 0 ? 'bad-text' : ''}>{number(failed)}</td>
              <td class={waiting.get(host) ? 'busy-text' : ''}>{number(waiting.get(host) ?? 0)}</td>
              <td>{ms(p50)}</td>
              <td>{ms(p95)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  )
}

/** Returns the hosts that have calls which wait, and none that ended in the period. */
function unknownHosts(hosts: Host[], waiting: Map<string, number>): Host[] {
  const known = new Set(hosts.map(({ host }) => host))
  const others = [...waiting].filter(([host, count]) => count > 0 && !known.has(host))
  return others.map(([host]) => ({ host, delivered: 0, failed: 0 }))
}

const DESTINATIONS = new Set(['email', 's3', 'sql', 'sse', 'emit'])

function searchFor(host: string): string {
  return DESTINATIONS.has(host) ? `destination:${host}` : `host:${quoted(host)}`
}
