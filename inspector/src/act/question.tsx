// The dialog of an act without a plan: it asks once, and says what was done.

import { signal } from '@preact/signals'
import { useRef } from 'preact/hooks'

import { sentenceOf } from '../api.ts'
import { useModal } from './modal.ts'

export interface Question {
  title: string
  text: string
  /** The word on the button. */
  verb: string
  /** Acts; returns the sentence that says what was done. */
  perform: () => Promise<string>
}

interface Asked extends Question {
  result?: string
  problem?: string
  isBusy?: boolean
}

const asked = signal<Asked | undefined>(undefined)

export function ask(question: Question): void {
  asked.value = question
}

async function answer(question: Asked): Promise<void> {
  asked.value = { ...question, isBusy: true }
  try {
    asked.value = { ...question, result: await question.perform() }
  } catch (error) {
    asked.value = { ...question, problem: sentenceOf(error) }
  }
}

const close = () => (asked.value = undefined)

export function QuestionDialog() {
  const dialog = useRef<HTMLDialogElement>(null)
  const current = asked.value
  const isOpen = current !== undefined
  const isOver = current?.result !== undefined || current?.problem !== undefined
  useModal(dialog, isOpen, isOver)
  return (
    <dialog
      ref={dialog}
      aria-labelledby="question-title"
      onCancel={(event) => {
        // The browser would close it now and say so later, when another question may be asked.
        event.preventDefault()
        close()
      }}
      onClose={({ currentTarget }) => {
        if (!currentTarget.open) close()
      }}
    >
      {current && <Content current={current} />}
    </dialog>
  )
}

function Content({ current }: { current: Asked }) {
  const { title, text, verb, result, problem, isBusy = false } = current
  const isOver = result !== undefined || problem !== undefined
  return (
    <>
      <h2 id="question-title">{title}</h2>
      {!isOver && <p>{text}</p>}
      {result !== undefined && <p role="status">{result}</p>}
      {problem !== undefined && (
        <p class="notice bad" role="alert">
          {problem}
        </p>
      )}
      <div class="buttons">
        <button type="button" onClick={close}>
          {isOver ? 'Close' : 'Cancel'}
        </button>
        {!isOver && (
          <button
            type="button"
            class="primary"
            autofocus
            disabled={isBusy}
            onClick={() => void answer(current)}
          >
            {verb}
          </button>
        )}
      </div>
    </>
  )
}
