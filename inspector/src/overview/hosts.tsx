// The hosts of the period, and those that calls wait for.

import { DESTINATIONS } from '../destinations.ts'
import { duration, visible } from '../format.ts'
import { href } from '../route.ts'
import { quoted } from '../search/language.ts'
import { type Host, type Overview, waitingByHost } from './figures.ts'
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
          <Named key={host.host} name={<HostLink host={host.host} />}>
            <Cells host={host} waiting={waiting.get(host.host) ?? 0} />
          </Named>
        ))}
      </Figures>
    </section>
  )
}

function HostLink({ host }: { host: string }) {
  return (
    <a data-go href={href({ screen: 'calls', q: searchFor(host) })}>
      <bdi>{visible(host)}</bdi>
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
function unknownHosts(hosts: Host[], waiting: Map<string, number>): Host[] {
  const known = new Set(hosts.map(({ host }) => host))
  const others = [...waiting].filter(([host, count]) => count > 0 && !known.has(host))
  return others.map(([host]) => ({ host, delivered: 0, failed: 0 }))
}

/** The destinations whose calls have no host: they are shown by the name of the destination. */
const WITHOUT_HOST = new Set(DESTINATIONS.filter((name) => name !== 'http'))

function searchFor(host: string): string {
  return WITHOUT_HOST.has(host) ? `destination:${host}` : `host:${quoted(host)}`
}
