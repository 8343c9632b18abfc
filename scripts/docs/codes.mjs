// Lists of codes, from the comments of the union types that declare them.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'

import { ROOT } from './pages.mjs'
import { flat, wrapped } from './text.mjs'

/**
 * Returns the members of a union of texts, with their comments.
 *
 * @param {string} type
 * @returns {Array<{ code: string, text: string }>}
 */
export function codesOf(type) {
  const declarations = readFileSync(join(ROOT, 'js/codes.d.ts'), 'utf8')
  const [, union] =
    new RegExp(`^export type ${type} =\\n([^]*?)\\n(?:\\n|(?![^]))`, 'm').exec(declarations) ?? []
  if (union === undefined) throw new Error(`There is no type ${type}`)
  const members = [...union.matchAll(/(?:(\/\*\*[^]*?\*\/)\s*)?\| '(\w+)'/g)]
  return members.map(([, comment = '', code]) => ({ code, text: flat(comment) }))
}

/** @param {string} type */
function list(type) {
  return codesOf(type)
    .map(({ code, text }) => {
      const [, where = '', meaning = '', action = ''] =
        /^(?:(Thrown|Log|Thrown, log): )?(.*?)(?: To do: (.*))?$/.exec(text) ?? []
      const place = where && ` (${where.toLowerCase()})`
      const advice = action && ` *Action:* ${action}`
      return wrapped(`- **\`${code}\`**${place}. ${meaning}${advice}`, '  ')
    })
    .join('\n')
}

/** Returns the codes of errors as a list. */
export const errorsSection = () => list('ErrorCode')

/** Returns the codes of warnings as a list. */
export const warningsSection = () => list('WarningCode')
