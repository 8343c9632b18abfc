// Tables of figures by name. Where there is no room for a column of names, each has a line of its own.

import type { ComponentChildren } from 'preact'

import { number } from '../format.ts'
import { isNarrow } from '../shell/narrow.ts'

interface Properties {
  /** The heading of the names. */
  name: string
  columns: string[]
  children: ComponentChildren
}

export function Figures({ name, columns, children }: Properties) {
  const narrow = isNarrow.value
  return (
    <table class={`figures ${narrow ? 'stacked' : ''}`}>
      <thead>
        <tr>
          {(narrow ? columns : [name, ...columns]).map((head) => (
            <th scope="col" key={head} class={head === 'State' ? 'words' : ''}>
              {head}
            </th>
          ))}
        </tr>
      </thead>
      {children}
    </table>
  )
}

/** The line of one name, with its cells as children. */
export function Named({
  name,
  children,
}: {
  name: ComponentChildren
  children: ComponentChildren
}) {
  if (!isNarrow.value) {
    return (
      <tbody>
        <tr>
          <th scope="row">{name}</th>
          {children}
        </tr>
      </tbody>
    )
  }
  return (
    <tbody>
      <tr>
        <th scope="rowgroup" colSpan={20}>
          {name}
        </th>
      </tr>
      <tr>{children}</tr>
    </tbody>
  )
}

/** A cell with a number; zeros stay in the background. */
export function Count({ value, tone = '' }: { value: number; tone?: string }) {
  return <td class={value === 0 ? 'quiet' : tone}>{number(value)}</td>
}
