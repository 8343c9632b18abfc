// Times, durations, sizes and texts of the log, for people.

const DAY = 86_400_000
const clock = new Intl.DateTimeFormat(undefined, { timeStyle: 'medium' })
const fine = new Intl.DateTimeFormat(undefined, {
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
  fractionalSecondDigits: 3,
})
const short = new Intl.DateTimeFormat(undefined, { timeStyle: 'short' })
const weekday = new Intl.DateTimeFormat(undefined, {
  weekday: 'short',
  day: 'numeric',
  month: 'short',
})
const dated = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium' })
const exact = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium' })
const numbers = new Intl.NumberFormat('en')

export function clockTime(time: string): string {
  return clock.format(new Date(time))
}

/** Returns a time of day to the millisecond. */
export function fineTime(time: string): string {
  return fine.format(new Date(time))
}

export function shortTime(time: string): string {
  return short.format(new Date(time))
}

export function exactTime(time: string): string {
  return exact.format(new Date(time))
}

/** Returns the number of a day in local time, the same for all times of one day. */
export function dayOf(time: string): number {
  const date = new Date(time)
  return Date.UTC(date.getFullYear(), date.getMonth(), date.getDate()) / DAY
}

export function dayName(time: string, now = new Date()): string {
  const ago = dayOf(now.toISOString()) - dayOf(time)
  if (ago === 0) return 'Today'
  if (ago === 1) return 'Yesterday'
  return (ago < 7 && ago > 0 ? weekday : dated).format(new Date(time))
}

/** Returns a duration in at most four digits, such as `12.4 ms`. */
export function duration(ms: number): string {
  if (ms < 9.995) return `${Number(ms.toFixed(2))} ms`
  if (ms < 999.5) return `${Math.round(ms)} ms`
  if (ms < 59_950) return `${Number((ms / 1000).toFixed(ms < 10_000 ? 2 : 1))} s`
  const seconds = Math.round(ms / 1000)
  const minutes = Math.floor(seconds / 60)
  if (minutes < 60) return `${minutes} min ${seconds % 60} s`
  const hours = Math.floor(minutes / 60)
  return hours < 48
    ? `${hours} h ${minutes % 60} min`
    : `${Math.floor(hours / 24)} d ${hours % 24} h`
}

export function between(from: string, to: string): number {
  return Math.max(0, Date.parse(to) - Date.parse(from))
}

export function ago(time: string, now: number): string {
  const ms = now - Date.parse(time)
  if (ms < 5000) return 'just now'
  const units = duration(ms).split(' ')
  return `${Math.round(Number(units[0]))} ${units[1] ?? ''} ago`
}

export function bytes(count: number): string {
  if (count < 1000) return `${count} B`
  const units = ['kB', 'MB', 'GB', 'TB']
  let value = count
  let unit = 'B'
  while (value >= 1000 && units.length > 0) {
    value /= 1000
    unit = units.shift() ?? unit
  }
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ${unit}`
}

export function number(value: number): string {
  return numbers.format(value)
}

export function plural(count: number, one: string, many = `${one}s`): string {
  return `${number(count)} ${count === 1 ? one : many}`
}

// Characters that change the order or the look of others: controls except tabs and line ends, marks
// of direction, and those without a width.
const HIDDEN = /[\p{Cc}\p{Cf}]/gu
const PLAIN = new Set(['\t', '\n'])

/** Returns a text of the log with its invisible characters as visible codes. */
export function visible(text: string): string {
  return text.replace(HIDDEN, (character) => {
    if (PLAIN.has(character)) return character
    if (character === '\r') return '␍'
    const code = (character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')
    return `⟨U+${code}⟩`
  })
}
