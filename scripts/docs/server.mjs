// The routes and the metrics, as a running engine shows them.

import { flat, wrapped } from './text.mjs'

/** @type {Promise<{ document: any, metrics: string }> | undefined} */
let asked

/** Opens an engine with a server, and asks it. */
async function ask() {
  const { Engine } = await import('../../js/index.mjs')
  const engine = await Engine.open({ server: { port: 0 } })
  try {
    const { url } = engine.address() ?? {}
    const document = await (await fetch(`${url}/openapi.json`)).json()
    const metrics = await (await fetch(`${url}/metrics`)).text()
    return { document, metrics }
  } finally {
    await engine.close()
  }
}

/** Returns the OpenAPI document and the metrics. */
export function served() {
  asked ??= ask()
  return asked
}

/** Returns the metrics as a list. */
export async function metricsSection() {
  const { metrics } = await served()
  const types = Object.fromEntries(
    [...metrics.matchAll(/^# TYPE (\w+) (\w+)$/gm)].map(([, name, type]) => [name, type]),
  )
  return [...metrics.matchAll(/^# HELP (\w+) (.*)$/gm)]
    .map(([, name, text]) => {
      const sample = types[name] === 'counter' ? `${name}_total` : name
      return `- **\`${sample}\`** (${types[name]}). ${text}`
    })
    .join('\n')
}

const METHODS = ['get', 'post', 'put', 'patch', 'delete']

/**
 * Returns the routes of the OpenAPI document.
 *
 * @param {any} document
 * @returns {Array<{ method: string, path: string, operation: any }>}
 */
export function routesOf(document) {
  return Object.entries(document.paths).flatMap(([path, item]) =>
    METHODS.filter((method) => method in item).map((method) => ({
      method: method.toUpperCase(),
      path: path.replaceAll(/\{(\w+)\}/g, ':$1'),
      operation: item[method],
    })),
  )
}

/** @param {any} document @param {any} schema */
function resolved(document, schema) {
  const name = schema?.$ref?.split('/').at(-1)
  return name ? document.components.schemas[name] : schema
}

/** @param {any} document @param {any} operation */
function membersOfBody(document, operation) {
  const schema = resolved(document, operation.requestBody?.content?.['application/json']?.schema)
  return Object.entries(schema?.properties ?? {}).map(([name, { description = '' }]) => ({
    name,
    in: 'body',
    description,
  }))
}

/** Adds the full stop that a sentence needs. @param {string} text */
const sentence = (text) => (text && !/[.:]$/.test(text) ? `${text}.` : text)

/** @param {any} document @param {ReturnType<typeof routesOf>[number]} route */
function routeText(document, { method, path, operation }) {
  const parameters = [...(operation.parameters ?? []), ...membersOfBody(document, operation)]
  const statuses = Object.keys(operation.responses).join(', ')
  const text = [operation.summary, operation.description ?? ''].map(flat).map(sentence).join(' ')
  return [
    `### \`${method} ${path}\``,
    wrapped(text.trim()),
    parameters
      .map(({ name, in: place, description = '' }) =>
        wrapped(`- **\`${name}\`** (${place}). ${sentence(flat(description))}`.trim(), '  '),
      )
      .join('\n'),
    `Status: ${statuses}.`,
  ]
    .filter(Boolean)
    .join('\n\n')
}

/** Returns the routes, by their tags. */
export async function restSection() {
  const { document } = await served()
  const routes = routesOf(document)
  const tags = [...new Set(routes.flatMap(({ operation }) => operation.tags ?? []))].sort()
  return tags
    .map((tag) => {
      const own = routes.filter(({ operation }) => operation.tags?.includes(tag))
      const title = `## ${tag[0].toUpperCase()}${tag.slice(1)}`
      return [title, ...own.map((route) => routeText(document, route))].join('\n\n')
    })
    .join('\n\n')
}
