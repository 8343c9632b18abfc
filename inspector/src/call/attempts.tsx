// The attempts of a call: one line for each, the phases of one as a waterfall, or of two side by side.

import { clockTime, duration, exactTime, visible } from '../format.ts'
import { go, href, place } from '../route.ts'
import type { Call, Try } from '../types.ts'

export interface Phase {
  name: string
  kind: string
  from: number
  ms: number
}

const ORDER = ['queue', 'dns', 'connect', 'tls', 'wait', 'body']

/** Returns the attempts that are known: those of the log, or the only one. */
export function triesOf(call: Call): Try[] {
  if (call.attemptLog) return call.attemptLog
  const { durationMs, status, timings } = call.response ?? {}
  if (durationMs === undefined || call.settledAt === undefined) return []
  const started = Date.parse(call.settledAt) - durationMs
  const queued = call.attempts <= 1 ? started - Date.parse(call.recordedAt) : 0
  return [
    {
      attempt: call.attempts,
      startedAt: new Date(started).toISOString(),
      queueMs: Math.max(0, queued),
      durationMs,
      status,
      timings,
      error: call.error,
    },
  ]
}

/** Returns the phases of an attempt, from when it could begin. */
export function phasesOf({ queueMs, durationMs, timings = {} }: Try): Phase[] {
  const phases: Phase[] = []
  let at = 0
  const add = (name: string, kind: string, ms: number | undefined) => {
    if (ms === undefined || ms <= 0) return
    phases.push({ name, kind, from: at, ms })
    at += ms
  }
  add('Queue', 'queue', queueMs)
  const began = at
  add('DNS', 'dns', timings.dnsMs)
  add('Connect', 'connect', timings.connectMs)
  add('TLS', 'tls', timings.tlsMs)
  const connected = at - began
  if (timings.firstByteMs === undefined) add('Delivery', 'wait', durationMs - connected)
  else add('First byte', 'wait', timings.firstByteMs - connected)
  add('Body', 'body', timings.bodyMs)
  return phases
}

/** Returns the warnings that are not about an attempt of the log. */
function othersOf(call: Call): string[] {
  const isShown = (warning: string) =>
    call.attemptLog?.some(({ attempt }) => warning.startsWith(`attempt ${attempt} failed: `))
  return call.warnings.filter((warning) => !isShown(warning))
}

export function Attempts({ call }: { call: Call }) {
  const tries = triesOf(call)
  const at = place.value
  const chosen = tries.find(({ attempt }) => String(attempt) === at.try) ?? tries.at(-1)
  const other = tries.find(({ attempt }) => String(attempt) === at.against)
  const missing = call.attempts - (tries.at(-1)?.attempt ?? 0) + (tries[0]?.attempt ?? 1) - 1
  return (
    <section class="attempt-list" aria-label="Attempts">
      {tries.length > 1 && missing > 0 && call.settledAt && (
        <p class="quiet">The log keeps the newest {tries.length} attempts.</p>
      )}
      {tries.length > 1 && <h3>Attempts</h3>}
      {tries.length > 1 && (
        <ol class="earlier">
          {tries.map((made) => (
            <Line key={made.attempt} made={made} isChosen={made === chosen && tries.length > 1} />
          ))}
        </ol>
      )}
      {chosen && tries.length > 1 && <Against tries={tries} chosen={chosen} other={other} />}
      {chosen && other && other !== chosen ? (
        <SideBySide left={other} right={chosen} />
      ) : (
        chosen && <Waterfall made={chosen} />
      )}
      {othersOf(call).map((warning) => (
        <p class="notice" key={warning}>
          <bdi>{visible(warning)}</bdi>
        </p>
      ))}
    </section>
  )
}

function Line({ made, isChosen }: { made: Try; isChosen: boolean }) {
  const { attempt, error, status, startedAt, nextAttemptAt } = made
  return (
    <li>
      <a
        data-go
        href={href({ ...place.value, try: String(attempt) })}
        aria-current={isChosen ? 'true' : undefined}
        title={`Attempt ${attempt}, ${exactTime(startedAt)}`}
      >
        {attempt}
      </a>
      <span class={error ? 'bad-text' : 'good-text'}>
        <bdi>{visible(error?.message ?? `delivered${status ? ` (${status})` : ''}`)}</bdi>
      </span>
      <span class="quiet">
        {nextAttemptAt ? `again at ${clockTime(nextAttemptAt)}` : `at ${clockTime(startedAt)}`}
      </span>
    </li>
  )
}

interface Choice {
  tries: Try[]
  chosen: Try
  other: Try | undefined
}

function Against({ tries, chosen, other }: Choice) {
  return (
    <select
      aria-label="Compare with another attempt"
      value={other && other !== chosen ? String(other.attempt) : ''}
      onChange={(event) => go({ ...place.value, against: event.currentTarget.value })}
    >
      <option value="">Compare attempt {chosen.attempt} with …</option>
      {tries
        .filter((made) => made !== chosen)
        .map(({ attempt, error }) => (
          <option key={attempt} value={String(attempt)}>
            attempt {attempt}, {error ? error.code : 'delivered'}
          </option>
        ))}
    </select>
  )
}

function Waterfall({ made }: { made: Try }) {
  const phases = phasesOf(made)
  const total = endOf(phases)
  if (phases.length === 0) return null
  return (
    <table class="waterfall">
      <caption>
        Attempt {made.attempt} <span class="quiet">{duration(total)}</span>
      </caption>
      <tbody>
        {phases.map((phase) => (
          <tr key={phase.kind}>
            <th scope="row">{phase.name}</th>
            <Fall phase={phase} total={total} />
          </tr>
        ))}
      </tbody>
    </table>
  )
}

/** Two attempts, each phase beside the other on one scale, and what else differs. */
function SideBySide({ left, right }: { left: Try; right: Try }) {
  const both = [left, right].map(phasesOf)
  const total = Math.max(...both.map(endOf))
  const all = both.flat()
  const shown = ORDER.flatMap((kind) => all.find((phase) => phase.kind === kind) ?? [])
  const results: [string, (made: Try) => string][] = [
    ['Status', ({ status }) => String(status ?? '–')],
    ['Error', ({ error }) => error?.code ?? '–'],
    ['Message', ({ error }) => error?.message ?? '–'],
    ['In all', (made) => duration(endOf(phasesOf(made)))],
  ]
  return (
    <table class="waterfall both">
      <colgroup>
        <col class="name" />
        <col />
        <col class="ms" />
        <col />
        <col class="ms" />
      </colgroup>
      <thead>
        <tr>
          <td />
          {[left, right].map(({ attempt }) => (
            <th key={attempt} scope="col" colSpan={2}>
              Attempt {attempt}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {shown.map(({ kind, name }) => (
          <tr key={kind}>
            <th scope="row">{name}</th>
            {both.map((phases, index) => (
              <Fall key={index} phase={phases.find((one) => one.kind === kind)} total={total} />
            ))}
          </tr>
        ))}
        {results.map(([name, of]) => (
          <tr key={name} class={of(left) === of(right) ? '' : 'differs'}>
            <th scope="row">{name}</th>
            {[left, right].map((made) => (
              <td key={made.attempt} colSpan={2}>
                <bdi>{visible(of(made))}</bdi>
              </td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  )
}

function endOf(phases: Phase[]): number {
  const last = phases.at(-1)
  return last ? last.from + last.ms : 0
}

function Fall({ phase, total }: { phase: Phase | undefined; total: number }) {
  const share = (ms: number) => (100 * ms) / (total || 1)
  return (
    <>
      <td class="fall">
        <svg aria-hidden="true">
          {phase && (
            <rect
              class={`phase-${phase.kind}`}
              x={`${Math.min(share(phase.from), 99.5)}%`}
              width={`${Math.max(share(phase.ms), 0.5)}%`}
              height="100%"
              rx="2"
            />
          )}
        </svg>
      </td>
      <td class="ms">{phase ? duration(phase.ms) : '–'}</td>
    </>
  )
}
