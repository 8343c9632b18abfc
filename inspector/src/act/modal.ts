// A modal dialog: it opens and closes with its state, and the keyboard is where the next step is.

import type { RefObject } from 'preact'
import { useLayoutEffect, useRef } from 'preact/hooks'

/**
 * Opens or closes a dialog. At each new stage the focus goes to its main button, or else to the last one;
 * at the end it goes back to where it came from.
 */
export function useModal(
  dialog: RefObject<HTMLDialogElement | null>,
  isOpen: boolean,
  stage: string | boolean | undefined,
): void {
  const opener = useRef<Element | null>(null)
  useLayoutEffect(() => {
    if (isOpen) {
      opener.current = window.document.activeElement
      dialog.current?.showModal()
    } else {
      dialog.current?.close()
      restore(opener.current)
    }
  }, [isOpen])
  useLayoutEffect(() => {
    if (!isOpen) return
    const buttons = [...(dialog.current?.querySelectorAll('button') ?? [])]
    const main = buttons.find((button) => button.classList.contains('primary')) ?? buttons.at(-1)
    main?.focus()
  }, [isOpen, stage])
}

/** Moves the focus to an element; if the act removed it, to the beginning of the screen. */
function restore(opener: Element | null): void {
  if (opener === null) return
  if (opener instanceof HTMLElement && opener.isConnected) opener.focus()
  const main = window.document.querySelector('main')
  if (opener.isConnected || !main) return
  main.tabIndex = -1
  main.focus({ preventScroll: true })
}
