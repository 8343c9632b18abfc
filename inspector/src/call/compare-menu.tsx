// The choice of the call that the open one is compared with.

import { exactTime } from '../format.ts'
import { go, place } from '../route.ts'
import { callState } from '../shell/status.tsx'
import type { Call } from '../types.ts'
import { targetOf, verbOf } from './target.ts'

const MAX_OFFERS = 50

export function CompareMenu({ call, calls }: { call: Call; calls: Call[] }) {
  const own = calls.filter(({ id, index }) => id !== call.id && index === call.index)
  const others = calls.filter(
    ({ id, index, destination }) =>
      id !== call.id && index !== call.index && destination === call.destination,
  )
  const offers = [...own, ...others].slice(0, MAX_OFFERS)
  if (offers.length === 0) return null
  return (
    <select
      aria-label="Compare with another call"
      value=""
      onChange={(event) => go({ ...place.value, with: event.currentTarget.value })}
    >
      <option value="">Compare with …</option>
      {offers.map((other) => (
        <option key={other.id} value={other.id}>
          {own.includes(other)
            ? `the same call, ${callState(other).word.toLowerCase()}, ${exactTime(other.recordedAt)}`
            : `${verbOf(other)} ${targetOf(other).slice(0, 60)}`}
        </option>
      ))}
    </select>
  )
}
