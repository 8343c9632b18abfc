// Lists of the members of interfaces, from the declarations and their comments.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'

import ts from 'typescript'

import { ROOT } from './pages.mjs'
import { flat, wrapped } from './text.mjs'

/** @typedef {{ name: string, type: string, text: string }} Member */

const FILES = ['index.d.ts', 'js/calls.d.ts', 'js/log.d.ts', 'js/send.d.ts', 'js/steps.d.ts']

/** Options whose members have a section of their own. */
const APART = ['RetryOptions']

const source = Object.fromEntries(
  FILES.map((file) => {
    const text = readFileSync(join(ROOT, file), 'utf8')
    return [file, ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true)]
  }),
)

/** Returns the declaration of an interface. @param {string} name */
function declaration(name) {
  for (const file of Object.values(source)) {
    const found = file.statements.find(
      (node) => ts.isInterfaceDeclaration(node) && node.name.text === name,
    )
    if (found) return /** @type {ts.InterfaceDeclaration} */ (found)
  }
  return undefined
}

/**
 * Returns the members of an interface.
 *
 * @param {string} name
 * @returns {Member[]}
 */
export function membersOf(name) {
  const found = declaration(name)
  if (!found) throw new Error(`There is no interface ${name}`)
  return found.members.filter(ts.isPropertySignature).map((member) => ({
    name: member.name.getText(),
    type: member.type?.getText().replace(/\s+/g, ' ') ?? 'any',
    text: commentOf(member),
  }))
}

/** @param {ts.Node} node */
function commentOf(node) {
  const text = node.getSourceFile().text
  const range = ts.getLeadingCommentRanges(text, node.pos)?.at(-1)
  return range ? flat(text.slice(range.pos, range.end)) : ''
}

/** Returns the type as people write it. @param {string} type */
const shown = (type) =>
  type
    .replace('string | { readonly href: string }', 'string | URL')
    .replaceAll(' | (string & {})', '')

/**
 * Returns an option as an item of a list.
 *
 * @param {string} path
 * @param {Member} member
 */
function item(path, { type, text }) {
  const [, meaning, rest = ''] = /^(.*?)(?: ?Default: (.*))?$/.exec(text) ?? []
  // The default ends with its sentence: a full stop that something or nothing follows.
  const [, value = rest, more = ''] = /^(.*?)\.(?: ([A-Z].*))?$/.exec(rest) ?? []
  const facts = [`\`${shown(type)}\``, value && `default: ${value}`].filter(Boolean).join('; ')
  return wrapped(`- **\`${path}\`** (${facts}). ${[meaning, more].filter(Boolean).join(' ')}`, '  ')
}

/**
 * Returns the options of an interface, those of its own groups included.
 *
 * @param {string} name
 * @param {string} [prefix]
 * @returns {Array<[path: string, member: Member]>}
 */
export function optionsOf(name, prefix = '') {
  return membersOf(name).flatMap((member) => {
    const path = `${prefix}${member.name}`
    const isGroup = !APART.includes(member.type) && declaration(member.type)
    return isGroup ? optionsOf(member.type, `${path}.`) : [[path, member]]
  })
}

/** The options of `Engine.open()` that have a section of their own in their page. */
const SECTIONS = [
  ...readFileSync(join(ROOT, 'docs/reference/options.md'), 'utf8').matchAll(
    /<!-- begin: options \w+ (\w+) -->/g,
  ),
].map(([, group]) => group)

/**
 * Returns the list of a section: `general` for what is in no other one.
 *
 * @param {string} interfaceName
 * @param {string} [group] the option that holds them
 */
export function optionsSection(interfaceName, group = '') {
  const all = optionsOf(interfaceName, group && `${group}.`)
  const isRoot = interfaceName === 'EngineOptions'
  const own = isRoot ? all.filter(([path]) => !SECTIONS.includes(path.split('.')[0])) : all
  return own.map(([path, member]) => item(path, member)).join('\n')
}

/** Returns the members of an interface as a list. @param {string} name */
export function interfaceSection(name) {
  return membersOf(name)
    .map((member) => item(member.name, member))
    .join('\n')
}
