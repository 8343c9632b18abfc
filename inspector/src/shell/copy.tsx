// A button that copies a text.

import { useSignal } from '@preact/signals'

interface Properties {
  label: string
  text: () => string
  children?: string
  isSmall?: boolean
}

export function CopyButton({ label, text, children, isSmall = false }: Properties) {
  const done = useSignal(false)
  const copy = async () => {
    await toClipboard(text())
    done.value = true
    setTimeout(() => (done.value = false), 1500)
  }
  const word = children ?? 'Copy'
  return (
    <button
      type="button"
      class={children === undefined || isSmall ? 'plain small' : ''}
      aria-label={done.value ? 'Copied' : label}
      onClick={() => void copy()}
    >
      {done.value ? 'Copied' : word}
    </button>
  )
}

async function toClipboard(text: string): Promise<void> {
  // There is no clipboard API on pages over HTTP of another machine.
  if ('clipboard' in navigator && window.isSecureContext) {
    await navigator.clipboard.writeText(text)
    return
  }
  const area = window.document.createElement('textarea')
  area.value = text
  const host = window.document.querySelector('dialog[open]') ?? window.document.body
  host.append(area)
  area.select()
  // eslint-disable-next-line @typescript-eslint/no-deprecated -- nothing else copies there
  window.document.execCommand('copy')
  area.remove()
}
