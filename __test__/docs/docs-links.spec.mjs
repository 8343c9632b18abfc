// The links between the documents.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { it } from 'node:test'

import { anchors, brokenLinks, pages, ROOT } from '../../scripts/docs/pages.mjs'

const { NAMES } = createRequire(import.meta.url)('../../js/destinations/built-in.cjs')

it('every relative link leads to a file, and every anchor to a heading', () => {
  const all = pages()
  assert.ok(all.length > 35)
  const broken = all.flatMap((page) => brokenLinks(page).map((link) => `${page.path}: ${link}`))
  assert.deepEqual(broken, [])
})

it('a link to a missing file or heading is found, one inside of code is not', () => {
  const text =
    '# A b\n[1](no.md) [2](#a-b) [3](#no) [4](README.md#no) `[5](no.md)` <img src="no.png">\n```\n[6](no)\n```\n'
  assert.deepEqual(brokenLinks({ path: 'x.md', text }), ['no.md', '#no', 'README.md#no', 'no.png'])
})

it('every page of docs is linked from another one', () => {
  const all = pages()
  const linked = new Set(
    all.flatMap(({ path, text }) =>
      [...text.matchAll(/\]\(([^)#\s]+)/g)].map(([, link]) =>
        new URL(link, `file:///${path}`).pathname.slice(1),
      ),
    ),
  )
  const alone = all.map(({ path }) => path).filter((path) => path.startsWith('docs/'))
  assert.deepEqual(
    alone.filter((path) => !linked.has(path)),
    [],
  )
})

it('every page of docs is in the sidebar of the site, and no other', () => {
  const config = readFileSync(join(ROOT, 'site/.vitepress/config.mjs'), 'utf8')
  const [, sidebar] = config.split('sidebar: [')
  const pagesOf = /page\('[^']+', '([^']+)'\)/g
  const listed = [...sidebar.matchAll(pagesOf)].map(([, link]) => link)
  assert.match(sidebar, /\.\.\.NAMES\.map\(\(name\) => page\(name, `destinations\/\$\{name\}`\)\)/)
  listed.push(...NAMES.map((name) => `destinations/${name}`))
  const existing = pages()
    .filter(({ path }) => path.startsWith('docs/'))
    .map(({ path }) => path.slice('docs/'.length, -'.md'.length))
  assert.deepEqual(listed.sort(), existing.sort())
})

it('the ids of headings are those of GitHub', () => {
  const text = '# `$send.s3`: batches, in S3\n## A [link](x.md)\n## Same\n## Same\n'
  assert.deepEqual(anchors(text), ['sends3-batches-in-s3', 'a-link', 'same', 'same-1'])
})
