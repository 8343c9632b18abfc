// The site of the documents: the Markdown of the repository, where it lies. Links to files that are no
// pages lead to the repository.

import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

import { defineConfig } from 'vitepress'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const SITE = join(ROOT, 'site')

/** @type {typeof import('../../js/destinations/built-in.cjs')} */
const { NAMES } = createRequire(import.meta.url)('../../js/destinations/built-in.cjs')

const REPOSITORY = 'https://github.com/dollar-send/dollar-send'

/** The pages besides those of docs; README.md is the front page. */
const PAGES = ['README.md', 'CHANGELOG.md', 'CONTRIBUTING.md', 'SECURITY.md', 'docs/**/*.md']
const EXAMPLES = ['examples/README.md', 'examples/runners/README.md', 'examples/deploy/README.md']

/** Returns whether a file of the repository is a page of the site. @param {string} path */
const isPage = (path) =>
  (/^docs\/.*\.md$/.test(path) || [...PAGES, ...EXAMPLES].includes(path)) && !path.includes('*')

/**
 * Turns links to files of the repository that are no pages into links to the repository.
 *
 * @param {import('markdown-it')} markdown
 */
function linkFiles(markdown) {
  markdown.core.ruler.push('repository-links', (state) => {
    const here = dirname(join(ROOT, state.env.relativePath ?? ''))
    const tokens = state.tokens.flatMap(({ children }) => children ?? [])
    for (const token of tokens.filter(({ type }) => type === 'link_open')) {
      const href = token.attrGet('href') ?? ''
      if (/^([a-z]+:|#|\/)/.test(href)) continue
      const [file, anchor] = href.split('#')
      const path = relative(ROOT, join(here, file))
      if (path === 'README.md') token.attrSet('href', `/${anchor ? `#${anchor}` : ''}`)
      if (isPage(path)) continue
      if (!existsSync(join(ROOT, path))) throw new Error(`${state.env.relativePath}: ${href}`)
      token.attrSet('href', `${REPOSITORY}/blob/main/${path}${anchor ? `#${anchor}` : ''}`)
    }
  })
}

/** The pages lie outside of this folder; what they import lies in its packages. */
const packagesOfSite = {
  name: 'packages-of-site',
  enforce: /** @type {const} */ ('pre'),
  resolveId(id, importer, options) {
    if (!/^vue(\/|$)/.test(id) || !importer || importer.startsWith(SITE)) return null
    return this.resolve(id, join(SITE, 'package.json'), { ...options, skipSelf: true })
  },
}

const page = (text, link) => ({ text, link: `/docs/${link}` })

export default defineConfig({
  title: 'dollar-send',
  description: '$send for JavaScript workflow steps',
  head: [['link', { rel: 'icon', href: 'data:,' }]],
  base: process.env.SITE_BASE ?? '/',
  srcDir: '..',
  srcExclude: [
    '**/node_modules/**',
    'target/**',
    'site/**',
    'benches/**',
    '__test__/**',
    'inspector/**',
  ],
  rewrites: { 'README.md': 'index.md' },
  outDir: './dist',
  cacheDir: './.vitepress/cache',
  cleanUrls: true,
  lastUpdated: false,
  markdown: { config: linkFiles, languageAlias: { console: 'shellsession' } },
  vite: { build: { chunkSizeWarningLimit: 2000 }, plugins: [packagesOfSite] },
  themeConfig: {
    search: { provider: 'local' },
    outline: [2, 3],
    socialLinks: [{ icon: 'github', link: REPOSITORY }],
    editLink: { pattern: `${REPOSITORY}/edit/main/:path` },
    nav: [
      page('Start', 'getting-started'),
      page('Moving from Pipedream', 'migrating-from-pipedream'),
      page('Options', 'reference/options'),
      page('Guarantees', 'guarantees'),
    ],
    sidebar: [
      {
        text: 'Start',
        items: [
          { text: 'Overview', link: '/' },
          page('Getting started', 'getting-started'),
          page('Moving from Pipedream', 'migrating-from-pipedream'),
          { text: 'Examples', link: '/examples/README' },
        ],
      },
      {
        text: 'Destinations',
        items: [
          ...NAMES.map((name) => page(name, `destinations/${name}`)),
          page('custom', 'destinations/custom'),
          page('Differences from axios', 'destinations/axios-differences'),
        ],
      },
      {
        text: 'Run',
        items: [
          page('Runners', 'running/runner'),
          page('Steps', 'running/steps'),
          page('TypeScript', 'running/typescript'),
          page('Tests', 'running/testing'),
          page('Your stack', 'running/your-stack'),
        ],
      },
      {
        text: 'Operate',
        items: [
          page('Deployment', 'operating/deploy'),
          page('The data directory', 'operating/data-directory'),
          page('Sizing', 'operating/sizing'),
          page('Many machines', 'operating/many-machines'),
          page('Retries and replay', 'operating/retries-and-replay'),
          page('The Inspector', 'operating/inspector'),
          page('Metrics', 'operating/metrics'),
          page('Security', 'operating/security'),
          page('Upgrades', 'operating/upgrade'),
        ],
      },
      {
        text: 'Reference',
        items: [
          page('Options', 'reference/options'),
          page('Errors', 'reference/errors'),
          page('Events', 'reference/events'),
          page('Commands', 'reference/cli'),
          page('REST API', 'reference/rest'),
        ],
      },
      {
        text: 'Understand',
        items: [
          page('Guarantees', 'guarantees'),
          page('Performance', 'performance'),
          page('Reliability', 'reliability'),
          page('Architecture', 'design/architecture'),
          page('Decisions', 'design/decisions'),
          page('Format of the journal', 'design/journal-format'),
          page('Steps', 'design/step-files'),
          page('Simulations', 'design/simulations'),
        ],
      },
      {
        text: 'Project',
        items: [
          { text: 'Changelog', link: '/CHANGELOG' },
          { text: 'Contributing', link: '/CONTRIBUTING' },
          { text: 'Security', link: '/SECURITY' },
        ],
      },
    ],
  },
})
