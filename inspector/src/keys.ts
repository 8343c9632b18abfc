// The keyboard: j and k move in the list, / searches, r replays, ? explains, Esc goes back.

import { signal } from '@preact/signals'

import { go, place } from './route.ts'

export const isHelpOpen = signal(false)

/** The action of the key `r`, set by the screen that has one. */
export const replayAction = signal<(() => void) | undefined>(undefined)

const ACTIONS: Record<string, () => void> = {
  j: () => move(1),
  k: () => move(-1),
  '/': () => window.document.querySelector<HTMLInputElement>('[data-search]')?.focus(),
  r: () => replayAction.value?.(),
  '?': () => (isHelpOpen.value = true),
  Escape: back,
}

export function listenForKeys(): void {
  addEventListener('keydown', (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return
    const { target } = event
    if (target instanceof Element && target.closest('input, textarea, select, dialog')) return
    // An open menu closes first.
    if (event.key === 'Escape' && window.document.querySelector(':popover-open')) return
    const action = ACTIONS[event.key]
    if (!action) return
    event.preventDefault()
    action()
  })
}

/** Moves the focus to the next or previous row of the list. */
function move(step: number): void {
  const list = window.document.querySelector('[data-rows="pane"]') ?? window.document
  const rows = [...list.querySelectorAll<HTMLElement>('[data-row]')]
  const focused = window.document.activeElement
  const at = rows.findIndex((row) => row === focused)
  const open = rows.findIndex((row) => row.getAttribute('aria-current') === 'true')
  const from = at >= 0 ? at : open
  const next = rows[from < 0 ? 0 : from + step]
  next?.focus({ preventScroll: true })
  next?.scrollIntoView({ block: 'nearest' })
}

/** Goes from a comparison to its call, from there to the run, and from there to the list. */
export function back(): void {
  const at = place.value
  if (at.with !== '') go({ ...at, with: '' })
  else if (at.call !== '' && at.run !== '') go({ ...at, call: '' })
  else if (at.run !== '') go({ ...at, run: '', attempt: '', call: '' })
  else if (at.q !== '' || at.replayed !== '') go({ ...at, q: '', replayed: '' })
}
