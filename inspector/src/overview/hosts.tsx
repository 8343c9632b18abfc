// The hosts of the period, and those that calls wait for.

import { duration, number, visible } from '../format.ts'
import { href } from '../route.ts'
import { quoted } from '../search/language.ts'
import { isNarrow } from '../shell/narrow.ts'
import { type Host, type Overview, waitingByHost } from './figures.ts'

const COLUMNS = ['Delivered', 'Failed', 'Waiting', 'p50', 'p95']

export function Hosts({ figures }: { figures: Overview }) {
  const waiting = waitingByHost(figures)
  const hosts = [...figures.hosts, ...unknownHosts(figures.hosts, waiting)]
  if (hosts.length === 0) return null
  // Where there is no room for one, a host has a line of its own.
  const narrow = isNarrow.value
  const columns = narrow ? COLUMNS : ['Host', ...COLUMNS]
  return (
    <section class="card">
      <h2>Hosts</h2>
      <table class={`figures ${narrow ? 'stacked' : ''}`}>
        <thead>
          <tr>
            {columns.map((name) => (
              <th scope="col" key={name}>
                {name}
              </th>
            ))}
          </tr>
        </thead>
        {hosts.map((host) => (
          <tbody key={host.host}>
            {narrow && (
              <tr>
                <th scope="rowgroup" colSpan={columns.length}>
                  <HostLink host={host.host} />
                </th>
              </tr>
            )}
            <tr>
              {!narrow && (
                <th scope="row">
                  <HostLink host={host.host} />
                </th>
              )}
              <Cells host={host} waiting={waiting.get(host.host) ?? 0} />
            </tr>
          </tbody>
        ))}
      </table>
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

/** A cell with a number; zeros stay in the background. */
export function Count({ value, tone = '' }: { value: number; tone?: string }) {
  return <td class={value === 0 ? 'quiet' : tone}>{number(value)}</td>
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
