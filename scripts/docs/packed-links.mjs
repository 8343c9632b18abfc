// The links of the documents in the package: to files of the package, or to the repository at the tag of the version.

import { posix } from 'node:path'

import { withoutCode } from './pages.mjs'

const LINK = /(\]\(|(?:src|srcset|href)=")(?!https?:|mailto:|#)([^)\s"#]+)/g

/** What a browser shows as a picture, which GitHub serves from another host than its pages. */
const IMAGE = /\.(webp|png|svg|jpe?g|gif)$/

/**
 * Returns the paths that a page links to, relative to the root of the package.
 *
 * @param {string} path of the page
 * @param {string} text
 */
function linksOf(path, text) {
  const prose = withoutCode(text).replace(/`[^`\n]*`/g, '``')
  return [...prose.matchAll(LINK)].map(([, , link]) => ({ link, target: targetOf(path, link) }))
}

/**
 * @param {string} path
 * @param {string} link
 */
function targetOf(path, link) {
  return posix.join(posix.dirname(path), link).replace(/\/$/, '')
}

/**
 * @param {string[]} files
 * @param {string} target a file or a folder
 */
function has(files, target) {
  return files.includes(target) || files.some((file) => file.startsWith(`${target}/`))
}

/**
 * Returns the relative links of a page of the package that lead to no file of it.
 *
 * @param {string} path
 * @param {string} text
 * @param {string[]} files of the package
 */
export function missingLinks(path, text, files) {
  return linksOf(path, text)
    .filter(({ target }) => !has(files, target))
    .map(({ link }) => link)
}

/**
 * Returns a page with links into the repository where the package does not have the file.
 *
 * @param {string} path
 * @param {string} text
 * @param {string[]} files of the package
 * @param {{ repository: { url: string }, version: string }} manifest
 */
export function withRepositoryLinks(path, text, files, { repository, version }) {
  const [, name] = /github\.com\/(.+?)\.git$/.exec(repository.url) ?? []
  const missing = new Set(missingLinks(path, text, files))
  return text.replace(LINK, (all, before, link) => {
    if (!missing.has(link)) return all
    const target = targetOf(path, link)
    return IMAGE.test(target)
      ? `${before}https://raw.githubusercontent.com/${name}/v${version}/${target}`
      : `${before}https://github.com/${name}/blob/v${version}/${target}`
  })
}
