// Counts by name, the largest first.

import { number, plural, visible } from '../format.ts'

const MAX_LINES = 8

export function Counts({ title, counts }: { title: string; counts: Record<string, number> }) {
  const lines = Object.entries(counts).sort((a, b) => b[1] - a[1])
  const others = lines.slice(MAX_LINES)
  if (lines.length === 0) return null
  return (
    <table>
      <caption>{title}</caption>
      <tbody>
        {lines.slice(0, MAX_LINES).map(([name, count]) => (
          <tr key={name}>
            <th scope="row">
              <bdi>{visible(name)}</bdi>
            </th>
            <td>{number(count)}</td>
          </tr>
        ))}
        {others.length > 0 && (
          <tr>
            <th scope="row" class="quiet">
              {plural(others.length, 'other', 'others')}
            </th>
            <td>{number(others.reduce((sum, [, count]) => sum + count, 0))}</td>
          </tr>
        )}
      </tbody>
    </table>
  )
}

/** The calls that are not sent again, by reason. */
export function Skips({ reasons }: { reasons: Record<string, number> }) {
  return <Counts title="Skipped" counts={shortened(reasons)} />
}

/** Returns the reasons without their advice for programs. */
function shortened(reasons: Record<string, number>): Record<string, number> {
  return Object.fromEntries(
    Object.entries(reasons).map(([reason, count]) => [reason.replace(/;.*| \(.*/s, ''), count]),
  )
}
