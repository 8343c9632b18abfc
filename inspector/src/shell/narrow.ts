// The width of the window, as far as the layout of rows depends on it.

import { signal } from '@preact/signals'

const query = matchMedia('(max-width: 720px)')

export const isNarrow = signal(query.matches)

query.addEventListener('change', () => (isNarrow.value = query.matches))
