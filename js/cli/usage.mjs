// What the command understands, and how it says no: help texts, `UsageError`, the nearest known word.

/** Exit statuses, as the help promises them. */
export const EXIT = { delivered: 0, threw: 1, usage: 2, failed: 3 }

/** Bad usage: the command line or a file it names. Its message says what to do; it has no stack to show. */
export class UsageError extends Error {}

/** The options of every command, for `parseArgs`. */
export const OPTIONS = /** @type {const} */ ({
  event: { type: 'string' },
  props: { type: 'string' },
  workflow: { type: 'string' },
  step: { type: 'string' },
  'data-dir': { type: 'string' },
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
  csv: { type: 'boolean' },
  json: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
  version: { type: 'boolean', short: 'v' },
})

/** The commands there are; `help` takes one as its argument. */
export const COMMANDS = ['run', 'serve', 'log', 'replay', 'sql', 'help']

/** The options that each command knows beside --help and --version. */
export const OPTIONS_OF = {
  run: ['event', 'props', 'workflow', 'step', 'data-dir', 'allow', 'timeout', 'json'],
  serve: [
    ...['data-dir', 'host', 'port', 'token', 'cors', 'public', 'public-url'],
    ...['allow', 'timeout'],
  ],
  log: [
    ...['data-dir', 'workflow', 'execution', 'step', 'destination', 'status', 'limit', 'before'],
    'json',
  ],
  replay: [
    ...['data-dir', 'workflow', 'execution', 'step', 'destination', 'limit', 'before'],
    ...['allow', 'timeout', 'json'],
  ],
  sql: ['data-dir', 'url', 'token', 'timeout', 'csv'],
}

export const HELP = `Usage: dollar-send <command> [options]

Commands:
  run <file>        Run one workflow step or component action and deliver what it sends
  serve             Serve streams, events and the log of a data directory over HTTP
  log               Show the deliveries that a data directory holds
  replay [id...]    Make failed deliveries of a data directory again
  sql <query>       Query the warehouse of a data directory
  help [command]    Explain a command

Options:
  -h, --help        Explain the command
  -v, --version     Print the version
`

export const RUN_HELP = `Usage: dollar-send run <file> [options]

Runs the default export of <file> (.mjs, .cjs or .js): a v1 step (event, steps, params, auths) => ...,
a component or action with run({ steps, $ }). Then delivers what it sent, and prints every delivery
with its request and response.

Options:
  --event <file>      The event as JSON; - reads standard input               (default: {})
  --props <file>      Props of a component, params of a v1 step, as JSON      (default: {})
  --workflow <id>     Workflow id in the log                                  (default: p_local)
  --step <name>       Step name in the log                                    (default: code)
  --allow <cidr>      Also deliver to this private host or network; repeatable
  --timeout <ms>      Deadline of one HTTP request                            (default: 5000)
  --data-dir <dir>    Keep journal and log there; they outlive the process    (default: in memory)
  --json              Print one JSON object instead of text
  -h, --help          Print this

Exit status: 0 all delivered, 1 the step threw (what it sent before is still delivered),
2 bad usage, 3 some delivery failed, 130 interrupted,
143 terminated.

Example:
  dollar-send run step.mjs --event event.json --allow 127.0.0.0/8
`

export const SERVE_HELP = `Usage: dollar-send serve [options]

Opens the server of a data directory: streams for browsers, emitted events, subscriptions, webhooks and
the log, by HTTP. What waits in the directory is delivered, as by every opening. It runs until it is
interrupted. A runner that has the directory open serves it itself: Engine.open({ dataDir, server }).

Options:
  --data-dir <dir>    The data directory                                      (default: in memory)
  --host <address>    Listen there; without tokens only on a loopback address (default: 127.0.0.1)
  --port <n>          Listen there; 0 for any that is free                    (default: 8787)
  --token <token>     What requests authorize themselves with; repeatable. Better: DOLLAR_SEND_TOKENS
                      in the environment, with commas between
  --cors <origin>     A page of this origin may read, or * for all; repeatable
  --public <id>       Everybody may read the streams of these workflows, such as p_*; repeatable
  --public-url <url>  How the server is reached from outside
  --allow <cidr>      Also deliver to this private host or network; repeatable
  --timeout <ms>      Deadline of one HTTP request                            (default: 5000)
  -h, --help          Print this

Exit status: 0 when it was interrupted, 2 bad usage.

Example:
  DOLLAR_SEND_TOKENS=$(openssl rand -hex 32) dollar-send serve --data-dir ./.dollar-send
`

export const SQL_HELP = `Usage: dollar-send sql <query> (--data-dir <dir> | --url <url>) [options]

Asks the warehouse that $send.sql fills, and prints a table. The query is one SELECT, WITH, SHOW
TABLES, DESCRIBE or EXPLAIN. A directory can be asked while no other process has it open; a runner that
has it open answers by its server: Engine.open({ dataDir, server }).

Options:
  --data-dir <dir>    The data directory
  --url <url>         The server, such as http://127.0.0.1:8787
  --token <token>     What the request authorizes itself with. Better: DOLLAR_SEND_TOKENS in the
                      environment
  --timeout <ms>      Deadline of the query in a directory                    (default: 60000)
  --csv               Print all rows as CSV instead of a table of the first 1,000
  -h, --help          Print this

Exit status: 0 when it was answered, 2 bad usage, 3 when it was not.

Example:
  dollar-send sql "SELECT event_type, count(*) FROM my_table GROUP BY 1" --data-dir ./.dollar-send
`

const FILTERS = `  --workflow <id>     Only of this workflow
  --execution <id>    Only of this execution
  --step <name>       Only of this step
  --destination <d>   Only to this destination: http, email, s3, sql, sse, emit`

export const LOG_HELP = `Usage: dollar-send log --data-dir <dir> [options]

Shows deliveries with their requests and responses, the newest last. Nothing is delivered, and the
directory may be in use by another process.

Options:
  --data-dir <dir>    The data directory
${FILTERS}
  --status <status>   Only in this status: pending, delivered, failed, discarded
  --limit <n>         At most this many, the newest                           (default: 100)
  --before <id>       Only older than the delivery with this id
  --json              Print a JSON array instead of text, the newest first
  -h, --help          Print this

Example:
  dollar-send log --data-dir ./.dollar-send --status failed
`

export const REPLAY_HELP = `Usage: dollar-send replay --data-dir <dir> [id...] [options]

Makes failed deliveries again, as new ones that name the old, and waits for them. Which ones: those
with the ids, or those that the filters find; without either, all failed ones. What else waits in the
directory is delivered too, as by every opening. No other process may have it open.

Options:
  --data-dir <dir>    The data directory
${FILTERS}
  --limit <n>         At most this many, the newest                           (default: all)
  --before <id>       Only older than the delivery with this id
  --allow <cidr>      Also deliver to this private host or network; repeatable
  --timeout <ms>      Deadline of one HTTP request                            (default: 5000)
  --json              Print one JSON object instead of text
  -h, --help          Print this

Exit status: 0 all delivered, 2 bad usage, 3 some delivery failed or could not be replayed.

Example:
  dollar-send replay --data-dir ./.dollar-send --workflow p_abc123
`

/** The help of each command. */
export const HELP_OF = {
  run: RUN_HELP,
  serve: SERVE_HELP,
  log: LOG_HELP,
  replay: REPLAY_HELP,
  sql: SQL_HELP,
}

/**
 * Edit distance of two words (Levenshtein).
 *
 * @param {string} a
 * @param {string} b
 * @returns {number}
 */
function distance(a, b) {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const change = row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1)
      next.push(Math.min(change, row[j] + 1, next[j - 1] + 1))
    }
    row = next
  }
  return row[b.length]
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
      edits: candidate.startsWith(word) && word ? 1 : distance(word, candidate),
    }))
    .sort((one, other) => one.edits - other.edits)
  const best = ranked[0]
  return best && best.edits <= Math.max(2, Math.floor(best.candidate.length / 3))
    ? best.candidate
    : undefined
}
