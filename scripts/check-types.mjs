// Refuses the type `any` in the package's JavaScript and declarations: `node scripts/check-types.mjs`.
//
// Invariant: `any` is written once, in the definition of `Untyped`, and only declarations that users see
// use that name.

import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

import ts from 'typescript'

const root = fileURLToPath(new URL('..', import.meta.url))

/** The only name that may mean `any`, the file that defines it, and the names that are for declarations alone. */
const ALIAS = 'Untyped'
const ALIAS_FILE = 'js/steps.d.ts'
const PUBLIC = [ALIAS, 'UntypedRecord']

const PLACES = ['js', 'types', 'index.d.ts', 'global.d.ts', 'testing.d.ts']

/** The forms of `any`, in TypeScript and in JSDoc. */
const ANY = new Map([
  [ts.SyntaxKind.AnyKeyword, 'any'],
  [ts.SyntaxKind.JSDocAllType, '*'],
  [ts.SyntaxKind.JSDocUnknownType, '?'],
])

/**
 * Returns a sentence for each `any` in a file.
 *
 * @param {string} file its path from the root of the repository
 * @param {string} text
 * @returns {string[]}
 */
export function faultsOf(file, text) {
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true, kindOf(file))
  const isDeclaration = source.isDeclarationFile
  /** @type {string[]} */
  const faults = []
  /** @param {ts.Node} node */
  const visit = (node) => {
    const fault = faultOf(node, file, isDeclaration)
    if (fault) {
      const { line, character } = source.getLineAndCharacterOfPosition(node.getStart(source))
      faults.push(`${file}:${line + 1}:${character + 1}: ${fault}`)
    }
    // `forEachChild` leaves out the JSDoc of a node.
    for (const doc of /** @type {{ jsDoc?: ts.JSDoc[] }} */ (node).jsDoc ?? []) visit(doc)
    ts.forEachChild(node, visit)
  }
  visit(source)
  return [...new Set(faults)]
}

/** @param {string} file */
function kindOf(file) {
  return file.endsWith('ts') ? ts.ScriptKind.TS : ts.ScriptKind.JS
}

/** @param {ts.Node} node @param {string} file @param {boolean} isDeclaration */
function faultOf(node, file, isDeclaration) {
  const found = ANY.get(node.kind)
  if (found && !(file === ALIAS_FILE && definesAlias(node.parent))) {
    return `the type ${found}: use unknown and narrow it, the interface of the value, or a type parameter`
  }
  if (isDeclaration || !ts.isIdentifier(node) || !PUBLIC.includes(node.text)) return undefined
  return `${node.text} is for public declarations: use unknown and narrow it`
}

/** @param {ts.Node} node */
function definesAlias(node) {
  return ts.isTypeAliasDeclaration(node) && node.name.text === ALIAS
}

/** @returns {string[]} the files to check, from the root of the repository */
function files() {
  const words = ['ls-files', '--cached', '--others', '--exclude-standard', ...PLACES]
  const { stdout } = spawnSync('git', words, { cwd: root, encoding: 'utf8' })
  const found = stdout.split('\n').filter((file) => /\.([cm]?js|[cm]?ts)$/.test(file))
  if (found.length === 0) throw new Error(`no files were found in ${PLACES.join(', ')}`)
  return found
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const faults = files().flatMap((file) => faultsOf(file, readFileSync(join(root, file), 'utf8')))
  for (const fault of faults) console.error(fault)
  if (faults.length > 0) process.exitCode = 1
}
