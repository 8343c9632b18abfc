// The state of the page, which is in its address: every view can be shared.

import { computed, signal } from '@preact/signals'

export const SCREENS = ['runs', 'calls', 'overview', 'try'] as const

export type Screen = (typeof SCREENS)[number]

export interface Place {
  screen: Screen
  /** The text of the search. */
  q: string
  /** The open run, and its attempt. */
  run: string
  attempt: string
  /** The open call. */
  call: string
  /** The call that the open one is compared with. */
  with: string
  /** The shown attempt of the call, and the one that it is compared with. */
  try: string
  against: string
  /** The period of the overview. */
  period: string
  /** The replay whose progress is shown. */
  replay: string
  /** The replay whose calls are listed. */
  replayed: string
}

const NOWHERE: Place = {
  screen: 'runs',
  q: '',
  run: '',
  attempt: '',
  call: '',
  with: '',
  try: '',
  against: '',
  period: '',
  replay: '',
  replayed: '',
}

function read(): Place {
  const query = new URLSearchParams(location.search)
  const view = query.get('view')
  return {
    screen: SCREENS.find((name) => name === view) ?? 'runs',
    q: query.get('q') ?? '',
    run: query.get('run') ?? '',
    attempt: query.get('attempt') ?? '',
    call: query.get('call') ?? '',
    with: query.get('with') ?? '',
    try: query.get('try') ?? '',
    against: query.get('against') ?? '',
    period: query.get('period') ?? '',
    replay: query.get('replay') ?? '',
    replayed: query.get('replayed') ?? '',
  }
}

export const place = signal<Place>(read())
export const screen = computed(() => place.value.screen)
export const search = computed(() => place.value.q)

addEventListener('popstate', () => {
  place.value = read()
})

const MEMBERS = [
  'q',
  'run',
  'attempt',
  'call',
  'with',
  'try',
  'against',
  'period',
  'replay',
  'replayed',
] as const

/** Returns the list that the page is at, or that it came from. */
export function listPlace(): Partial<Place> {
  const { screen, q, replayed } = place.value
  return { screen, q, replayed }
}

/** Returns the address of a place; members that are not given are empty. */
export function href(next: Partial<Place>): string {
  const to = { ...NOWHERE, ...next }
  const query = new URLSearchParams()
  if (to.screen !== 'runs') query.set('view', to.screen)
  for (const name of MEMBERS) {
    if (to[name] !== '') query.set(name, to[name])
  }
  return query.size > 0 ? `?${query}` : location.pathname
}

export function go(next: Partial<Place>, { replace = false } = {}): void {
  const address = href(next)
  if (replace) history.replaceState(null, '', address)
  else history.pushState(null, '', address)
  place.value = { ...NOWHERE, ...next }
}

/** Follows links within the page without loading it again. */
export function follow(event: MouseEvent): void {
  if (event.defaultPrevented || event.button !== 0) return
  if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return
  const link = event.target instanceof Element ? event.target.closest('a[data-go]') : null
  if (!(link instanceof HTMLAnchorElement)) return
  event.preventDefault()
  history.pushState(null, '', link.href)
  place.value = read()
}
