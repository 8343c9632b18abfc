// The present time, renewed each second while the page is seen.

import { signal } from '@preact/signals'

export const now = signal(Date.now())

setInterval(() => {
  if (!window.document.hidden) now.value = Date.now()
}, 1000)
