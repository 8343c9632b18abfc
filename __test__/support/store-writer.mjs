// A process that writes entries into a store of a data directory: folder, store, prefix, count.

import { createRequire } from 'node:module'

const { openStore } = createRequire(import.meta.url)('../../js/runner/stores.cjs')
const [, , folder, name, prefix, count] = process.argv
const store = openStore(folder, name)
for (let n = 0; n < Number(count); n++) {
  store.set(`${prefix}-${n}`, { n })
  store.set('shared', `${prefix}-${n}`.repeat(1000))
  if (typeof store.get('shared') !== 'string') throw new Error('half an entry')
}
