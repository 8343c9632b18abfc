// The form for a token of the server.

import { useState } from 'preact/hooks'

import { sentenceOf } from '../api.ts'
import { signIn } from '../session.ts'

export function SignIn() {
  const [problem, setProblem] = useState('')
  const [isBusy, setBusy] = useState(false)
  const submit = async (event: SubmitEvent & { currentTarget: HTMLFormElement }) => {
    event.preventDefault()
    const token = new FormData(event.currentTarget).get('token')
    if (typeof token !== 'string') return
    setBusy(true)
    try {
      await signIn(token)
    } catch (error) {
      setProblem(sentenceOf(error))
      setBusy(false)
    }
  }
  return (
    <main class="sign-in">
      <form onSubmit={(event) => void submit(event)}>
        <h1>
          <span class="mark" aria-hidden="true">
            $
          </span>
          Inspector
        </h1>
        <label for="token">Token of the server</label>
        <input
          id="token"
          name="token"
          type="password"
          required
          autocomplete="current-password"
          autofocus
          aria-describedby="token-problem"
        />
        <p id="token-problem" class="bad-text" role="alert">
          {problem}
        </p>
        <button class="primary" disabled={isBusy}>
          Sign in
        </button>
        <p class="quiet">It is one of `server.tokens`.</p>
      </form>
    </main>
  )
}
