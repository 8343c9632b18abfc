// Folders with step files and packages that they import.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

const PACKAGES = {
  'node_modules/greeter/package.json':
    '{ "name": "greeter", "version": "1.2.3", "main": "main.js" }',
  'node_modules/greeter/main.js': "module.exports = (name) => 'Hello ' + name",
  'node_modules/greeter/sub.js': "module.exports = 'sub'",
  'node_modules/@acme/tool/package.json':
    '{ "name": "@acme/tool", "version": "2.0.1", "type": "module", "exports": { "import": "./tool.js" } }',
  'node_modules/@acme/tool/tool.js': 'export const seven = 7\nexport default () => seven',
}

/** A folder with files, its name with spaces and letters beyond ASCII; it ends with the test. */
export function folderWith(t, files) {
  const folder = mkdtempSync(join(tmpdir(), 'steps äß ☂ '))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  for (const [name, content] of Object.entries({ ...PACKAGES, ...files })) {
    mkdirSync(dirname(join(folder, name)), { recursive: true })
    writeFileSync(join(folder, name), content)
  }
  return folder
}
