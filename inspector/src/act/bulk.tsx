// Acts on everything that a search of calls finds.

import { useRef } from 'preact/hooks'

import { mayAct } from '../session.ts'
import { actOnSearch } from './acts.ts'
import type { Kind } from './plan.ts'

/** The width of the menu in pixels. */
const WIDTH = 216

const OTHERS: [Kind, string][] = [
  ['dismiss', 'Dismiss all failed …'],
  ['retry', 'Retry all waiting now …'],
  ['pause', 'Pause hosts of waiting …'],
  ['resume', 'Resume hosts of waiting …'],
]

export function BulkActs({ q }: { q: string }) {
  const menu = useRef<HTMLDivElement>(null)
  if (!mayAct()) return null
  const begin = (kind: Kind) => {
    menu.current?.hidePopover()
    actOnSearch(kind, q)
  }
  return (
    <span class="pair">
      <button type="button" onClick={() => begin('replay')}>
        Replay all failed …
      </button>
      <button
        type="button"
        popovertarget="more-acts"
        aria-label="More acts on what is found"
        title="More acts on what is found"
      >
        ⋯
      </button>
      <div id="more-acts" class="menu" popover="auto" ref={menu} onBeforeToggle={placed}>
        {OTHERS.map(([kind, words]) => (
          <button type="button" class="plain" key={kind} onClick={() => begin(kind)}>
            {words}
          </button>
        ))}
      </div>
    </span>
  )
}

/** Puts a menu below its button before it opens. */
function placed({ currentTarget }: Event & { currentTarget: HTMLElement }): void {
  const { bottom, right } =
    currentTarget.previousElementSibling?.getBoundingClientRect() ?? new DOMRect()
  currentTarget.style.top = `${bottom + 4}px`
  currentTarget.style.left = `${Math.max(8, right - WIDTH)}px`
}
