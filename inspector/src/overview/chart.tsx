// Deliveries by hour as bars, own SVG.

import { dayName, duration, number, shortTime } from '../format.ts'
import type { Hour } from './figures.ts'

const HEIGHT = 100

export function HourChart({ hours, isKnown }: { hours: Hour[]; isKnown: boolean }) {
  const most = Math.max(0, ...hours.map(({ delivered, failed }) => delivered + failed))
  const busiest = isKnown ? `${number(most)} in the busiest` : ''
  const first = hours[0]
  const last = hours.at(-1)
  return (
    <figure class="chart">
      <div class="line-with-button">
        <h2>Deliveries by hour</h2>
        <span class="quiet">{busiest}</span>
      </div>
      <svg
        viewBox={`0 0 ${hours.length * 10} ${HEIGHT}`}
        preserveAspectRatio="none"
        role="img"
        aria-label={`Deliveries by hour, ${busiest}`}
      >
        {hours.map((hour, index) => (
          <Bar key={hour.time} hour={hour} x={index * 10} most={most || 1} />
        ))}
      </svg>
      <figcaption class="quiet">
        <span>{first && `${dayName(first.time)} ${shortTime(first.time)}`}</span>
        <span>{last && `${dayName(last.time)} ${shortTime(last.time)}`}</span>
      </figcaption>
    </figure>
  )
}

function wordsOf({ time, delivered, failed, statuses, p50, p95 }: Hour): string {
  const parts = [`${number(delivered)} delivered`, `${number(failed)} failed`]
  for (const [name, count] of Object.entries(statuses)) parts.push(`${name} ${number(count)}`)
  if (typeof p50 === 'number') parts.push(`p50 ${duration(p50)}`)
  if (typeof p95 === 'number') parts.push(`p95 ${duration(p95)}`)
  return `${dayName(time)} ${shortTime(time)}: ${parts.join(', ')}`
}

function Bar({ hour, x, most }: { hour: Hour; x: number; most: number }) {
  const good = (HEIGHT * hour.delivered) / most
  const bad = (HEIGHT * hour.failed) / most
  const words = wordsOf(hour)
  return (
    <g>
      <title>{words}</title>
      <rect class="hit" x={x} width="10" height={HEIGHT} />
      <rect class="good" x={x + 1} width="8" y={HEIGHT - good} height={good} />
      <rect class="bad" x={x + 1} width="8" y={HEIGHT - good - bad} height={bad} />
    </g>
  )
}
