// The rules for prose, and that they find what they forbid.

import assert from 'node:assert/strict'
import { it } from 'node:test'

import { pages } from '../../scripts/docs/pages.mjs'
import { faultsOf } from '../../scripts/docs/prose.mjs'

it('the prose of the documents keeps the rules', () => {
  assert.deepEqual(pages().flatMap(faultsOf), [])
})

/** Texts that break a rule, each with what is said of it. */
const BROKEN = {
  'Whether it works is open.': /begins with Whether/,
  'One. How it works.': /begins with How/,
  '- Who reads this.': /begins with Who/,
  '| a | What it is. |': /begins with What/,
  'A **bold** start. Where it is.': /begins with Where/,
  'Nobody was told.': /"Nobody"/,
  'The answer is a list.': /"The answer"/,
  [`a${' b'.repeat(80)}`]: /a line of 161 characters/,
}

for (const [text, fault] of Object.entries(BROKEN)) {
  it(`finds: ${text.slice(0, 40)}`, () => {
    const found = faultsOf({ path: 'docs/x.md', text })
    assert.equal(found.length, 1, found.join('\n'))
    assert.match(found[0], fault)
  })
}

it('allows headings, questions, code, and lines that continue a sentence', () => {
  const text = [
    '## What it is',
    'What is it?',
    '`nobody` calls it; it says',
    'What follows.',
    '```js',
    `const nobody = '${'x'.repeat(200)}'`,
    '```',
  ].join('\n')
  assert.deepEqual(faultsOf({ path: 'docs/x.md', text }), [])
})

it('measures the front page', () => {
  const [words, lines, ...others] = faultsOf({
    path: 'README.md',
    text: 'a b c d e f g\n'.repeat(201),
  })
  assert.match(words, /1407 words, more than 1300/)
  assert.match(lines, /201 lines, more than 200/)
  assert.deepEqual(others, [])
})
