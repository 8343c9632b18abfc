// The YAML that `dollar-send check` reads: what other programs write, and a line for what is refused.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { dump, CORE_SCHEMA } from 'js-yaml'

import { randomOf } from '../support/random.mjs'
import { parseYaml } from '../../js/cli/check/yaml.mjs'

/** Texts that need quotes, escapes or a block. */
const TEXTS = [
  '',
  'a',
  'it: is',
  '# no',
  'x #y',
  ' lead',
  'trail ',
  '- a',
  "o'clock",
  '"q"',
  'null',
  '12',
  '1.50',
]
TEXTS.push(
  '{a',
  '[b',
  '&c',
  '*d',
  '!e',
  '%f',
  '@g',
  'é\u2028',
  '~',
  'yes',
  'two\nlines',
  'a\n\n  b\n',
  '\tx',
  'x'.repeat(200),
)
TEXTS.push(
  `${'word '.repeat(40)}end`,
  'line one\n\n\nline two\n\n',
  'key: |\n  x',
  '? q',
  '>',
  '|',
  ':',
  'a:',
  '---',
)

test('reads what another program writes as YAML', () => {
  const next = randomOf(7)
  const keys = TEXTS.filter((text) => text.length < 100 && !text.includes('\n'))
  const one = (list) => list[Math.floor(next() * list.length)]
  const value = (depth) => {
    const kind = depth > 3 ? 0 : Math.floor(next() * 4)
    const count = Math.floor(next() * 4)
    if (kind === 2) return Array.from({ length: count }, () => value(depth + 1))
    if (kind === 3)
      return Object.fromEntries(Array.from({ length: count }, () => [one(keys), value(depth + 1)]))
    return one([...TEXTS, 0, -1.5, 1e21, true, false, null])
  }
  for (let run = 0; run < 2000; run++) {
    const given = { a: value(0), b: value(0) }
    const options = {
      schema: CORE_SCHEMA,
      noRefs: true,
      lineWidth: one([20, 80, -1]),
      flowLevel: one([-1, 1, 2]),
    }
    const text = dump(given, {
      ...options,
      indent: one([1, 2, 4]),
      noArrayIndent: one([true, false]),
      forceQuotes: one([true, false]),
    })
    assert.deepEqual(parseYaml(text), given, text)
  }
})

test('reads the YAML that such files are made of', () => {
  const yaml = [
    'a: 1',
    "\"b c\": [x, 'it''s', {k: v, n: null}]",
    'text: >-',
    '  one',
    '  two',
    '',
    '  three',
    'code: |',
    '  if (x) {',
    '    y()',
    '  }',
    '',
    'list:',
    '- - 1',
    '  - true',
    '-',
    '  k: "a\\n\\u00e9"',
    'long: plain text',
    '  goes on',
    'url: https://example.com/#x # comment',
    'empty:',
    '__proto__: {polluted: 1}',
    'last: ~',
  ]
  const value = parseYaml(yaml.join('\n'))
  assert.equal(Object.getPrototypeOf(value).polluted, undefined)
  assert.deepEqual(Object.keys(value).includes('__proto__'), true)
  delete value['__proto__']
  assert.deepEqual(value, {
    a: 1,
    'b c': ['x', "it's", { k: 'v', n: null }],
    text: 'one two\nthree',
    code: 'if (x) {\n  y()\n}\n',
    list: [[1, true], { k: 'a\né' }],
    long: 'plain text goes on',
    url: 'https://example.com/#x',
    empty: null,
    last: null,
  })
})

for (const [title, text, message] of [
  ['an anchor', 'a: &x 1', /line 1: anchors, aliases and tags/],
  ['an alias', 'a:\n  - *x', /line 2: anchors, aliases and tags/],
  ['a tag', 'a: !!binary x', /line 1: anchors, aliases and tags/],
  ['a long key', 'a:\n  ? x\n  : y', /line 2: keys with a question mark/],
  ['a tab', 'a:\n\tb: 1', /line 2: a tab/],
  ['an open list', 'a: [1, 2', /line 1/],
  ['a wrong indentation', 'a: 1\n   b: 2', /line 2/],
  ['a key twice', 'a: 1\na: 2', /line 2: the key "a" is there twice/],
  ['depth', `a: ${'['.repeat(500)}${']'.repeat(500)}`, /nested more than/],
]) {
  test(`refuses in YAML, with the line: ${title}`, () => {
    assert.throws(() => parseYaml(text), message)
  })
}
