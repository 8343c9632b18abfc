// The hosts of the period, and those that calls wait for.

import { duration, visible } from '../format.ts'
import { href } from '../route.ts'
import { type Host, type Overview, searchFor, type Waiting, waitingByHost } from './figures.ts'
import { Count, Figures, Named } from './table.tsx'

const COLUMNS = ['Delivered', 'Failed', 'Waiting', 'p50', 'p95']

export function Hosts({ figures }: { figures: Overview }) {
  const waiting = waitingByHost(figures)
  const hosts = [...figures.hosts, ...unknownHosts(figures.hosts, waiting)]
  if (hosts.length === 0) return null
  return (
    <section class="card">
      <h2>Hosts</h2>
      <Figures name="Host" columns={COLUMNS}>
        {hosts.map((host) => (
          <Named key={searchFor(host)} name={<HostLink host={host} />}>
            <Cells host={host} waiting={waiting.get(searchFor(host))?.count ?? 0} />
          </Named>
        ))}
      </Figures>
    </section>
  )
}

function HostLink({ host }: { host: Host }) {
  return (
    <a data-go href={href({ screen: 'calls', q: searchFor(host) })}>
      <bdi>{visible(host.host)}</bdi>
    </a>
  )
}

function Cells({ host, waiting }: { host: Host; waiting: number }) {
  const ms = (value: number | null | undefined) =>
    typeof value === 'number' ? duration(value) : '–'
  return (
    <>
      <Count value={host.delivered} />
      <Count value={host.failed} tone="bad-text" />
      <Count value={waiting} tone="busy-text" />
      <td>{ms(host.p50)}</td>
      <td>{ms(host.p95)}</td>
    </>
  )
}

/** Returns the hosts that have calls which wait, and none that ended in the period. */
function unknownHosts(hosts: Host[], waiting: Map<string, Waiting>): Host[] {
  const known = new Set(hosts.map(searchFor))
  const others = [...waiting].filter(([search, { count }]) => count > 0 && !known.has(search))
  return others.map(([, { place }]) => ({ ...place, delivered: 0, failed: 0 }))
}
