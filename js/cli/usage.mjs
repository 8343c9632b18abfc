// What the command understands, and how it says no: its options, `UsageError`, the nearest known word.

import suggest from '../suggest.cjs'

/** Exit statuses, as the help promises them. */
export const EXIT = { delivered: 0, threw: 1, usage: 2, failed: 3 }

/** Bad usage: the command line or a file it names. Its message says what to do; it has no stack to show. */
export class UsageError extends Error {}

/** The options of every command, for `parseArgs`. */
export const OPTIONS = /** @type {const} */ ({
  event: { type: 'string' },
  props: { type: 'string' },
  steps: { type: 'string' },
  auths: { type: 'string' },
  'env-file': { type: 'string' },
  workflow: { type: 'string' },
  step: { type: 'string' },
  'data-dir': { type: 'string' },
  config: { type: 'string' },
  deliver: { type: 'boolean' },
  open: { type: 'boolean' },
  allow: { type: 'string', multiple: true },
  timeout: { type: 'string' },
  execution: { type: 'string' },
  destination: { type: 'string' },
  status: { type: 'string' },
  limit: { type: 'string' },
  before: { type: 'string' },
  host: { type: 'string' },
  port: { type: 'string' },
  token: { type: 'string', multiple: true },
  cors: { type: 'string', multiple: true },
  public: { type: 'string', multiple: true },
  'public-url': { type: 'string' },
  url: { type: 'string' },
  write: { type: 'string' },
  wait: { type: 'string' },
  all: { type: 'boolean' },
  code: { type: 'string' },
  from: { type: 'string' },
  to: { type: 'string' },
  schema: { type: 'string' },
  ca: { type: 'string' },
  plan: { type: 'boolean' },
  yes: { type: 'boolean', short: 'y' },
  follow: { type: 'boolean', short: 'f' },
  csv: { type: 'boolean' },
  json: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
  verbose: { type: 'boolean', short: 'v' },
  version: { type: 'boolean', short: 'V' },
})

/** The commands there are; `help` takes one as its argument. */
export const COMMANDS = [
  ...['init', 'run', 'check', 'serve', 'log', 'runs', 'replay', 'pause', 'resume', 'retry-now'],
  ...['sql', 'migrate', 'help'],
]

const PLACES = ['config', 'data-dir', 'url', 'token']

/** The options that each command knows beside --help and --version. */
export const OPTIONS_OF = {
  init: /** @type {string[]} */ ([]),
  run: [
    ...['event', 'props', 'steps', 'auths', 'env-file', 'workflow', 'step'],
    ...['config', 'data-dir', 'allow', 'timeout', 'wait', 'verbose', 'json'],
  ],
  check: ['write', 'json'],
  serve: [
    ...['config', 'data-dir', 'deliver', 'host', 'port', 'token', 'cors', 'public', 'public-url'],
    ...['open', 'allow', 'timeout'],
  ],
  log: [
    ...['config', 'data-dir', 'url', 'token', 'workflow', 'execution', 'step', 'destination'],
    ...['status', 'limit', 'before', 'follow', 'verbose', 'json'],
  ],
  runs: ['config', 'data-dir', 'url', 'token', 'workflow', 'limit', 'before', 'json'],
  replay: [
    ...['config', 'data-dir', 'url', 'token', 'workflow', 'execution', 'step', 'destination'],
    ...['limit', 'before', 'allow', 'timeout', 'wait', 'yes', 'verbose', 'json'],
  ],
  pause: [...PLACES, 'host', 'destination', 'workflow', 'all', 'json'],
  resume: [...PLACES, 'host', 'destination', 'workflow', 'all', 'json'],
  'retry-now': [
    ...[...PLACES, 'host', 'destination', 'workflow', 'execution', 'step', 'code', 'all', 'json'],
  ],
  sql: ['config', 'data-dir', 'url', 'token', 'timeout', 'csv'],
  migrate: ['from', 'to', 'schema', 'ca', 'config', 'plan', 'yes', 'json'],
}

/** Words longer than this are no typing mistakes, and comparing them would take long. */
const MAX_WORD = 40

/**
 * The known word that was probably meant.
 *
 * @param {string} word
 * @param {string[]} known
 * @returns {string | undefined}
 */
export function nearest(word, known) {
  if (word.length > MAX_WORD) return undefined
  const ranked = known
    .map((candidate) => ({
      candidate,
      edits: candidate.startsWith(word) && word ? 1 : suggest.distance(word, candidate),
    }))
    .sort((one, other) => one.edits - other.edits)
  const best = ranked[0]
  return best && best.edits <= Math.max(2, Math.floor(best.candidate.length / 3))
    ? best.candidate
    : undefined
}
