// Texts of the log: only ever text nodes, with invisible characters and redactions marked.

import { useSignal } from '@preact/signals'

import { number, visible } from '../format.ts'

const REDACTED = /(\[redacted\]|%5Bredacted%5D)/gi

/** A text of the log, with a button for what is beyond `max` characters. */
export function Shown({ text, max }: { text: string; max: number }) {
  const isWhole = useSignal(false)
  const shown = isWhole.value ? text : text.slice(0, max)
  return (
    <>
      <bdi class="shown">
        <Marked text={shown} />
      </bdi>
      {shown.length < text.length && (
        <button type="button" class="more" onClick={() => (isWhole.value = true)}>
          … show all {number(text.length)} characters
        </button>
      )}
    </>
  )
}

export function Marked({ text }: { text: string }) {
  const parts = text.split(REDACTED)
  if (parts.length === 1) return <>{visible(text)}</>
  return (
    <>
      {parts.map((part, index) =>
        index % 2 === 1 ? (
          <mark key={index} class="redacted" title="A secret, which the log does not keep">
            redacted
          </mark>
        ) : (
          visible(part)
        ),
      )}
    </>
  )
}
