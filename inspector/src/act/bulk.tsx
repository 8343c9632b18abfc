// Acts on everything that a search of calls finds.

import { mayAct } from '../session.ts'
import { actOnFilter } from './acts.ts'

export function BulkActs({ q }: { q: string }) {
  if (!mayAct()) return null
  const filter = { status: 'failed', ...(q === '' ? {} : { search: q }) }
  return (
    <>
      <button type="button" onClick={() => actOnFilter('replay', filter)}>
        Replay all failed …
      </button>
      <button type="button" onClick={() => actOnFilter('dismiss', filter)}>
        Dismiss all failed …
      </button>
    </>
  )
}
