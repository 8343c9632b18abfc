// `dollar-send sql`: where it finds the warehouse.

import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath, pathToFileURL } from 'node:url'

import { runNode } from '../support/child.mjs'
import { dataDirectory } from '../support/data-dir.mjs'
import { openWarehouse } from '../support/sql.mjs'

const CLI = fileURLToPath(new URL('../../js/cli/main.mjs', import.meta.url))

test('dollar-send sql finds the warehouse by a path, a URL or the text of a URL', async (t) => {
  const dataDir = dataDirectory(t)
  const { engine, load } = await openWarehouse(t, { dataDir })
  await load('t', [{ id: 1 }])
  await engine.close()

  const file = join(dataDir, 'warehouse', 'warehouse.duckdb')
  const config = join(dataDir, 'options.mjs')
  const url = pathToFileURL(file)
  for (const options of [
    ...[`${JSON.stringify(file)}`, `new URL('${url}')`, `'${url}'`].map(
      (it) => `sql: { duckdb: { file: ${it} } }`,
    ),
    `dataDir: '${pathToFileURL(dataDir)}'`,
  ]) {
    writeFileSync(config, `export default { ${options} }`)
    const args = [CLI, 'sql', 'SELECT id FROM t', '--config', config, '--csv']
    const { stdout, stderr, code } = await runNode(args)
    assert.deepEqual([stdout, stderr, code], ['id\n1\n', '', 0], options)
  }
})
