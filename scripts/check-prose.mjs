// Checks the prose of the documents: `node scripts/check-prose.mjs`.

import { pages } from './docs/pages.mjs'
import { faultsOf } from './docs/prose.mjs'

const faults = pages().flatMap(faultsOf)
for (const fault of faults) console.error(fault)
if (faults.length > 0) process.exitCode = 1
