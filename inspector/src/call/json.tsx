// JSON with its names, texts and numbers in colour.

import { useSignal } from '@preact/signals'

import { number } from '../format.ts'
import { Marked } from './shown.tsx'

const TOKEN = /("(?:[^"\\]|\\.)*"(?=\s*:))|("(?:[^"\\]|\\.)*")|(-?\d[\d.eE+-]*|true|false|null)/g
/** Characters that are coloured at once. */
const FIRST = 20_000

export function Json({ text }: { text: string }) {
  const isWhole = useSignal(false)
  const isCut = text.length > FIRST
  if (isCut && isWhole.value) return <Marked text={text} />
  return (
    <>
      {tokens(isCut ? text.slice(0, FIRST) : text)}
      {isCut && (
        <button type="button" class="more" onClick={() => (isWhole.value = true)}>
          … show all {number(text.length)} characters
        </button>
      )}
    </>
  )
}

function tokens(text: string) {
  const parts = []
  let at = 0
  for (const found of text.matchAll(TOKEN)) {
    const [token, name, value] = found
    const kind = name ? 'j-name' : value ? 'j-text' : 'j-value'
    if (found.index > at) parts.push(text.slice(at, found.index))
    parts.push(
      <span key={found.index} class={kind}>
        <Marked text={token} />
      </span>,
    )
    at = found.index + token.length
  }
  parts.push(text.slice(at))
  return parts
}
