// The keys, and the language of the search.

import { useEffect, useRef } from 'preact/hooks'

import { isHelpOpen } from '../keys.ts'
import { NAMES } from '../search/language.ts'

const KEYS = [
  ['j  k', 'next, previous row'],
  ['Enter', 'open the row'],
  ['/', 'search'],
  ['r', 'replay the open call, or what failed of the run'],
  ['Esc', 'go back'],
  ['?', 'this help'],
]

export function Help() {
  const dialog = useRef<HTMLDialogElement>(null)
  const isOpen = isHelpOpen.value
  useEffect(() => {
    if (isOpen) dialog.current?.showModal()
    else dialog.current?.close()
  }, [isOpen])
  return (
    <dialog
      ref={dialog}
      aria-labelledby="help-title"
      onClose={({ currentTarget }) => (isHelpOpen.value = currentTarget.open)}
    >
      <h2 id="help-title">Keyboard and search</h2>
      <div class="columns">
        <dl>
          {KEYS.map(([key = '', meaning]) => (
            <div key={key}>
              <dt>
                <kbd>{key}</kbd>
              </dt>
              <dd>{meaning}</dd>
            </div>
          ))}
        </dl>
        <dl>
          {Object.entries(NAMES).map(([name, meaning]) => (
            <div key={name}>
              <dt>
                <code>{name}:</code>
              </dt>
              <dd>{meaning}</dd>
            </div>
          ))}
        </dl>
      </div>
      <div class="buttons">
        <button type="button" onClick={() => (isHelpOpen.value = false)}>
          Close
        </button>
      </div>
    </dialog>
  )
}
