// A box for the text of a step: its calls of `$send.http` become test calls.

import { useSignal } from '@preact/signals'

import { plural, visible } from '../format.ts'
import { draft, draftsIn } from './draft.ts'

const EXAMPLE = `$send.http({
  method: "POST",
  url: "https://api.example.com/hook",
  data: { name: "Luke Skywalker" },
})`

export function ExampleBox() {
  const source = useSignal('')
  const found = draftsIn(source.value)
  return (
    <details class="card example">
      <summary>From a step</summary>
      <p class="quiet" id="example-hint">
        Paste a step, or its call of $send.http. It is read, not run: what is no literal stands in
        ‹…›, for you to replace.
      </p>
      <textarea
        aria-label="Text of a step"
        aria-describedby="example-hint"
        rows={6}
        spellcheck={false}
        placeholder={EXAMPLE}
        value={source.value}
        onInput={(event) => (source.value = event.currentTarget.value)}
      />
      {source.value.trim() !== '' && (
        <p class="quiet" role="status">
          {found.length === 0 ? 'No call of $send.http was found.' : plural(found.length, 'call')}
        </p>
      )}
      <div class="examples">
        {found.slice(0, 20).map((call, index) => (
          <button type="button" key={index} onClick={() => (draft.value = call)}>
            Use {call.method} {visible(call.url.slice(0, 60))}
          </button>
        ))}
      </div>
    </details>
  )
}
