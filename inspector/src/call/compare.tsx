// Two calls side by side, their differences marked.

import { useMemo } from 'preact/hooks'

import { exactTime } from '../format.ts'
import { href, place } from '../route.ts'
import { Badge, callState } from '../shell/status.tsx'
import type { Call } from '../types.ts'
import { type Line, MAX_LINES, partsOf } from './differences.ts'
import { Marked } from './shown.tsx'

export function Compare({ left, right }: { left: Call; right: Call }) {
  const parts = useMemo(() => partsOf(left, right), [left, right])
  return (
    <article class="compare">
      <header class="call-head">
        <h2>Two calls side by side</h2>
        <span class="spring" />
        <a data-go class="button" href={href({ ...place.value, with: '' })}>
          Close
        </a>
      </header>
      <table>
        <thead>
          <tr>
            {[left, right].map((call) => (
              <th key={call.id} scope="col">
                <Badge {...callState(call)} />{' '}
                <span class="quiet">{exactTime(call.recordedAt)}</span>
              </th>
            ))}
          </tr>
        </thead>
        {parts.map(
          ({ title, lines, isCut }) =>
            lines.length > 0 && (
              <tbody key={title}>
                <tr>
                  <th colSpan={2} scope="rowgroup">
                    {title}
                  </th>
                </tr>
                {lines.map((line, index) => (
                  <DiffRow key={index} line={line} />
                ))}
                {isCut && (
                  <tr>
                    <td colSpan={2} class="quiet">
                      The first {MAX_LINES} lines are compared.
                    </td>
                  </tr>
                )}
              </tbody>
            ),
        )}
      </table>
    </article>
  )
}

function DiffRow({ line: { left, right } }: { line: Line }) {
  const isEqual = left === right
  return (
    <tr class={isEqual ? '' : 'differs'}>
      <td class={isEqual || left === undefined ? '' : 'removed'}>
        <Side text={left} />
      </td>
      <td class={isEqual || right === undefined ? '' : 'added'}>
        <Side text={right} />
      </td>
    </tr>
  )
}

function Side({ text }: { text: string | undefined }) {
  if (text === undefined) return null
  return (
    <bdi>
      <Marked text={text.length > 2000 ? `${text.slice(0, 2000)} …` : text} />
    </bdi>
  )
}
