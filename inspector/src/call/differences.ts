// The differences of two calls, line by line.

import type { Call, Message } from '../types.ts'
import { prettyOf, rawOf } from './body.ts'

export interface Line {
  left: string | undefined
  right: string | undefined
}

export interface Part {
  title: string
  lines: Line[]
  /** True if only the first lines are compared. */
  isCut: boolean
}

/** Lines of a body that are compared. */
export const MAX_LINES = 400

export function partsOf(left: Call, right: Call): Part[] {
  const parts: [string, string[], string[]][] = [
    ['Result', resultLines(left), resultLines(right)],
    ['Request', headLines(left.request), headLines(right.request)],
    ['Request body', bodyLines(left, left.request), bodyLines(right, right.request)],
    ['Response', headLines(left.response), headLines(right.response)],
    ['Response body', bodyLines(left, left.response), bodyLines(right, right.response)],
  ]
  return parts.map(([title, a, b]) => ({
    title,
    lines: aligned(a.slice(0, MAX_LINES), b.slice(0, MAX_LINES)),
    isCut: Math.max(a.length, b.length) > MAX_LINES,
  }))
}

function resultLines(call: Call): string[] {
  const problem = call.error ?? call.lastError
  return [
    `status: ${call.status}`,
    `attempts: ${call.attempts}`,
    ...(problem ? [`error: ${problem.code} ${problem.message}`] : []),
    ...(call.response?.durationMs === undefined
      ? []
      : [`duration: ${call.response.durationMs} ms`]),
  ]
}

function headLines(message: Message | undefined): string[] {
  if (!message) return []
  const first = [message.method, message.url, message.status, message.statusText]
  const line = first.filter((part) => part !== undefined).join(' ')
  const headers = Object.entries(message.headers ?? {}).map(
    ([name, value]) => `${name}: ${[value].flat().join(', ')}`,
  )
  return line === '' && headers.length === 0 ? [] : [line, ...headers.sort()]
}

function bodyLines(call: Call, message: Message | undefined): string[] {
  if (!message) return []
  const body = call.destination === 'http' ? message.body : message
  const text = prettyOf(body) ?? rawOf(body)
  return text === '' ? [] : text.split('\n')
}

/** Returns two texts beside each other, equal lines at one height (a longest common subsequence). */
export function aligned(left: string[], right: string[]): Line[] {
  const lengths = commonLengths(left, right)
  const lines: Line[] = []
  let [i, j] = [0, 0]
  while (i < left.length || j < right.length) {
    if (i < left.length && j < right.length && left[i] === right[j]) {
      lines.push({ left: left[i++], right: right[j++] })
    } else if (
      j >= right.length ||
      (i < left.length && at(lengths, i + 1, j) >= at(lengths, i, j + 1))
    ) {
      lines.push({ left: left[i++], right: undefined })
    } else lines.push({ left: undefined, right: right[j++] })
  }
  return joined(lines)
}

function at(lengths: number[][], i: number, j: number): number {
  return lengths[i]?.[j] ?? 0
}

function commonLengths(left: string[], right: string[]): number[][] {
  const lengths = Array.from({ length: left.length + 1 }, () =>
    new Array<number>(right.length + 1).fill(0),
  )
  for (let i = left.length - 1; i >= 0; i--) {
    for (let j = right.length - 1; j >= 0; j--) {
      const row = lengths[i]
      if (!row) continue
      row[j] =
        left[i] === right[j]
          ? at(lengths, i + 1, j + 1) + 1
          : Math.max(at(lengths, i + 1, j), at(lengths, i, j + 1))
    }
  }
  return lengths
}

/** Puts lines that were replaced beside those that replace them. */
function joined(lines: Line[]): Line[] {
  const result: Line[] = []
  for (const line of lines) {
    const open =
      line.left === undefined
        ? result.findIndex((old, index) => old.right === undefined && isRun(result, index))
        : -1
    const old = result[open]
    if (old) result[open] = { left: old.left, right: line.right }
    else result.push(line)
  }
  return result
}

/** Returns whether no equal line is after this index. */
function isRun(lines: Line[], index: number): boolean {
  return lines.slice(index).every(({ left, right }) => left !== right)
}
