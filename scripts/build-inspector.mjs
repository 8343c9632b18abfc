// Builds the Inspector, the page of a running engine, into inspector/dist: each file compressed, for
// build.rs to embed. Ends with an error above the page's budget.

import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'

import { fail } from './run.mjs'
import { ROOT } from './targets.mjs'

const SOURCE = join(ROOT, 'inspector')
const DIST = join(SOURCE, 'dist')
/** Compressed bytes that all files together may have. */
const BUDGET = 60_000

/** Builds the page; returns the size of its files together, compressed. */
export async function buildInspector() {
  const vite = await import('vite').catch(() => fail('Vite is not installed. Run: npm ci'))
  await vite.build({
    root: SOURCE,
    base: './',
    configFile: false,
    logLevel: 'warn',
    oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
    build: {
      target: 'es2022',
      outDir: DIST,
      emptyOutDir: true,
      assetsInlineLimit: 0,
      modulePreload: { polyfill: false },
    },
  })
  const size = compress()
  if (size > BUDGET) {
    fail(`The Inspector has ${size} bytes compressed, and its budget is ${BUDGET}.`)
  }
  console.log(`inspector/dist: ${(size / 1000).toFixed(1)} kB compressed`)
  return size
}

/** Replaces each built file by its compressed form. */
function compress() {
  let size = 0
  const entries = readdirSync(DIST, { recursive: true, withFileTypes: true })
  for (const entry of entries.filter((found) => found.isFile())) {
    const path = join(entry.parentPath ?? entry.path, entry.name)
    const packed = gzipSync(readFileSync(path), { level: 9 })
    writeFileSync(`${path}.gz`, packed)
    rmSync(path)
    size += packed.length
  }
  return size
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await buildInspector()
