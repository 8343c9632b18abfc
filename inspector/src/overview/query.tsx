// The query box of the warehouse.

import { useSignal } from '@preact/signals'

import { post, sentenceOf } from '../api.ts'
import { plural, visible } from '../format.ts'

/** Rows that a response has at most. */
const PREVIEW = 1000

interface Answer {
  resultSet?: { Rows: { Data: { VarCharValue?: string }[] }[] }
  resultsFilename?: string
  error?: { toDisplay: string }
}

export function QueryBox() {
  const query = useSignal('SHOW TABLES')
  const answer = useSignal<Answer | undefined>(undefined)
  const problem = useSignal('')
  const isBusy = useSignal(false)
  /** True if the result is the list of tables. */
  const isTables = useSignal(false)
  const choose = (table: string) => {
    query.value = `SELECT * FROM "${table.replaceAll('"', '""')}" LIMIT 100`
    void ask()
  }
  const ask = async () => {
    isBusy.value = true
    problem.value = ''
    try {
      const found = await post<Answer>('sql', { query: query.value })
      answer.value = found
      isTables.value = /^\s*show\s+tables\s*;?\s*$/i.test(query.value)
      problem.value = found.error?.toDisplay ?? ''
    } catch (error) {
      problem.value = sentenceOf(error)
    }
    isBusy.value = false
  }
  const pressed = (event: KeyboardEvent) => {
    if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) void ask()
  }
  return (
    <section class="card">
      <h2>Warehouse</h2>
      <textarea
        aria-label="Query to the warehouse"
        rows={3}
        spellcheck={false}
        value={query.value}
        onInput={(event) => (query.value = event.currentTarget.value)}
        onKeyDown={pressed}
      />
      <div class="buttons">
        <span class="quiet">Ctrl + Enter runs it. It only reads.</span>
        <span class="spring" />
        <button type="button" class="primary" disabled={isBusy.value} onClick={() => void ask()}>
          {isBusy.value ? 'Running …' : 'Run'}
        </button>
      </div>
      {problem.value !== '' && (
        <p class="notice warn" role="alert">
          {visible(problem.value)}
        </p>
      )}
      {answer.value?.resultSet && (
        <Rows answer={answer.value} choose={isTables.value ? choose : undefined} />
      )}
    </section>
  )
}

interface RowsProperties {
  answer: Answer
  /** Shows a table, if each row names one. */
  choose: ((table: string) => void) | undefined
}

function Rows({ answer, choose }: RowsProperties) {
  const [head, ...rows] = answer.resultSet?.Rows ?? []
  return (
    <>
      <div class="scroll" tabIndex={0} role="region" aria-label="Result of the query">
        <table>
          <thead>
            <tr>
              {head?.Data.map(({ VarCharValue }, index) => (
                <th scope="col" key={index}>
                  {visible(VarCharValue ?? '')}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {rows.map(({ Data }, index) => (
              <tr key={index}>
                {Data.map(({ VarCharValue }, column) => (
                  <td key={column}>
                    <Cell value={VarCharValue} choose={column === 0 ? choose : undefined} />
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <p class="quiet">
        {rows.length >= PREVIEW && 'The first '}
        {plural(rows.length, 'row')}
        {answer.resultsFilename && (
          <>
            {' · '}
            <a href={`sql/csv/${encodeURIComponent(answer.resultsFilename)}`}>All rows as CSV</a>
          </>
        )}
      </p>
    </>
  )
}

function Cell({ value, choose }: { value: string | undefined; choose: RowsProperties['choose'] }) {
  if (value === undefined) return <i class="quiet">null</i>
  if (!choose) return <>{visible(value)}</>
  return (
    <button type="button" class="small" onClick={() => choose(value)}>
      {visible(value)}
    </button>
  )
}
