// The help of the command.

import { createRequire } from 'node:module'

/** @type {typeof import('../destinations/built-in.cjs')} */
const { NAMES } = createRequire(import.meta.url)('../destinations/built-in.cjs')
const DESTINATIONS = `${NAMES.join(', ')}, or one of your own`

export const HELP = `Usage: dollar-send <command> [options]

Commands:
  init [folder]     Write a first step, a configuration and a runner
  run <file...>     Run workflow steps or component actions and deliver what they send
  check <path...>   Show which steps run as they are, and what they need
  serve             Serve streams, events and the log of a data directory over HTTP
  log               Show the deliveries of a data directory or a running engine
  runs              Show the executions of a data directory or a running engine
  replay [id...]    Make failed deliveries again
  pause             Attempt nothing of a host, a destination, a workflow or everything
  resume            End a pause
  retry-now [id...] Attempt now what waits for its next attempt
  sql <query>       Query the warehouse of a data directory
  migrate           Move a data directory into the journal that many machines share
  help [command]    Explain a command

Options:
  -h, --help        Explain the command
  -V, --version     Print the version
`

const RUN_HELP = `Usage: dollar-send run <file...> [options]

Runs steps as they stand in Pipedream's editor, then delivers what they sent, and prints one line for
every delivery. A file is a module that exports a function (event, steps, params, auths)
or a component with run({ steps, $ }); or it is such a function, such a component, or the body of a
function, and nothing else. Several files are one workflow: each step finds what the earlier ones export.

Options:
  --event <file>      The event as JSON; - reads standard input               (default: {})
  --props <file>      Props of a component, params of a v1 step, as JSON; with several files by the
                      names of the steps, which are those of the files        (default: {})
  --steps <file>      Exports of earlier steps by their names, as JSON        (default: {})
  --auths <file>      Accounts by prop or app, as JSON                        (default: {})
  --env-file <file>   Environment variables, one NAME=value a line
  --workflow <id>     Workflow id in the log                                  (default: p_local)
  --step <name>       Step name in the log                                    (default: code)
  --allow <cidr>      Also deliver to this private host or network; repeatable
  --timeout <ms>      Deadline of one HTTP request                            (default: 5000)
  --data-dir <dir>    Keep journal and log there; they outlive the process; also DOLLAR_SEND_DATA_DIR
                                                                              (default: in memory)
  --config <file>     Options of Engine.open(), those of the runner  (default: dollar-send.config.mjs)
  --wait <seconds>    Wait this long for the deliveries                       (default: 60)
  -v, --verbose       Show requests and responses with headers and bodies
  --json              Print one JSON object instead of text
  -h, --help          Print this

Exit status: 0 all delivered, 1 a step threw (what it sent before is still delivered),
2 bad usage, 3 some delivery failed or is not done, 130 interrupted,
143 terminated.

Example:
  dollar-send run step.mjs --event event.json --allow 127.0.0.0/8
`

const INIT_HELP = `Usage: dollar-send init [folder]

Writes a first step (step.mjs), its event (event.json), the options of Engine.open()
(dollar-send.config.mjs) and a runner (runner.mjs), and prints the next commands. Existing files are
not replaced: if one of the four exists, nothing is written.

Options:
  -h, --help          Print this

Exit status: 0 when the files were written, 2 bad usage.

Example:
  dollar-send init my-workflow
`

const CHECK_HELP = `Usage: dollar-send check <path...> [options]

Reads step files, folders of them, and the ZIP, JSON and workflow.yaml files of Pipedream. Prints for each
step its form, the destinations it sends by, what it needs of the runner, and what is not supported. A
workflow.yaml has the order of the step files in its folder. Nothing of a step runs, and nothing is sent.

Options:
  --write <dir>       Write the steps as files that run, and a workflow.mjs for each workflow
  --json              Print one JSON object instead of text
  -h, --help          Print this

Exit status: 0 all steps run as they are, 1 something is not supported or was not understood,
2 bad usage.

Example:
  dollar-send check export.zip --write ./workflows
`

const SERVE_HELP = `Usage: dollar-send serve [options]

Opens the server of a data directory: streams for browsers, emitted events, subscriptions, webhooks and
the log, by HTTP, and a page that shows the log. It runs until it is interrupted. With a configuration,
waiting calls are delivered; without one they keep waiting, and nothing is lost. A runner that has the
directory open serves it itself: Engine.open({ dataDir, server }).

Options:
  --data-dir <dir>    The data directory; also DOLLAR_SEND_DATA_DIR  (default: ./.dollar-send)
  --config <file>     Options of Engine.open(), those of the runner  (default: dollar-send.config.mjs)
  --deliver           Deliver without a configuration, with the defaults of Engine.open()
  --host <address>    Listen there; without tokens only on a loopback address (default: 127.0.0.1)
  --port <n>          Listen there; 0 for any that is free                    (default: 8787)
  --token <token>     What requests authorize themselves with; repeatable. Better: DOLLAR_SEND_TOKENS
                      in the environment, with commas between
  --cors <origin>     A page of this origin may read, or * for all; repeatable
  --public <id>       Everybody may read the streams of these workflows, such as p_*; repeatable
  --public-url <url>  How the server is reached from outside
  --open              Open the page in the browser
  --allow <cidr>      Also deliver to this private host or network; repeatable
  --timeout <ms>      Deadline of one HTTP request                            (default: 5000)
  -h, --help          Print this

Exit status: 0 when it was interrupted, 2 bad usage.

Example:
  DOLLAR_SEND_TOKENS=$(openssl rand -hex 32) dollar-send serve --data-dir ./.dollar-send
`

const SQL_HELP = `Usage: dollar-send sql <query> [options]

Asks the warehouse that $send.sql fills, and prints a table. The query is one SELECT, WITH, SHOW
TABLES, DESCRIBE or EXPLAIN. A directory can be asked while no other process has it open; a runner that
has it open answers by its server: Engine.open({ dataDir, server }).

Options:
  --data-dir <dir>    The data directory; also DOLLAR_SEND_DATA_DIR  (default: ./.dollar-send)
  --config <file>     Options of Engine.open(), those of the runner  (default: dollar-send.config.mjs)
  --url <url>         Ask this server instead, such as http://127.0.0.1:8787
  --token <token>     What the request authorizes itself with. Better: DOLLAR_SEND_TOKENS in the
                      environment
  --timeout <ms>      Deadline of the query in a directory                    (default: 60000)
  --csv               Print all rows as CSV instead of a table of the first 1,000. Values are as they
                      are stored: import them into a spreadsheet as text, not as formulas
  -h, --help          Print this

Exit status: 0 when it was answered, 2 bad usage, 3 when it was not.

Example:
  dollar-send sql "SELECT event_type, count(*) FROM my_table GROUP BY 1" --data-dir ./.dollar-send
`

const FILTERS = `  --workflow <id>     Only of this workflow
  --execution <id>    Only of this execution
  --step <name>       Only of this step
  --destination <d>   Only to this destination: ${DESTINATIONS}`

const PLACE = `  --data-dir <dir>    The data directory; also DOLLAR_SEND_DATA_DIR  (default: ./.dollar-send)
  --config <file>     Options of Engine.open(), those of the runner  (default: dollar-send.config.mjs)
  --url <url>         Ask this running engine instead, such as http://127.0.0.1:8787
  --token <token>     Authorizes the requests to it. Better: DOLLAR_SEND_TOKENS in the environment`

export const LOG_HELP = `Usage: dollar-send log [options]

Shows deliveries, one line each, the newest last: status, method, URL, HTTP status, time, workflow and
step. Nothing is delivered, and the directory may be in use by another process.
With --follow, a line says how many deliveries the log dropped before they could be shown. Without
--url the directory itself is read: the engine that has it open serves nothing.

Options:
${PLACE}
${FILTERS}
  --status <status>   Only in this status: pending, delivered, failed, discarded
  --limit <n>         At most this many, the newest                           (default: 100)
  --before <id>       Only older than the delivery with this id, or the beginning of one
  -f, --follow        Go on with each delivery that ends, until interrupted
  -v, --verbose       Show requests and responses with headers and bodies
  --json              Print a JSON array instead of text, the newest first
  -h, --help          Print this

Example:
  dollar-send log --status failed
`

const RUNS_HELP = `Usage: dollar-send runs [options]

Shows executions, one line each, the newest last. Dest. is how many of the deliveries arrived.

Options:
${PLACE}
  --workflow <id>     Only of this workflow
  --limit <n>         At most this many, the newest                           (default: 100)
  --before <cursor>   Only older than the execution with this cursor or id
  --json              Print a JSON array instead of text, the newest first
  -h, --help          Print this

Example:
  dollar-send runs --workflow p_abc123
`

const REPLAY_HELP = `Usage: dollar-send replay [id...] [options]

Makes failed calls again, as new deliveries that name the old, and waits for them. Which ones: those
whose ids begin so, or those that the filters find; without either, all that are not resolved. Shows the
engine's plan first, and asks. With a running engine that has a server, that engine replays; otherwise the
command opens the directory, and delivers what else waits there. Ctrl-C cancels: calls that are not handed
over stay failed.

Options:
${PLACE}
${FILTERS}
  --limit <n>         At most this many, the newest                           (default: all)
  --before <id>       Only older than the delivery with this id
  --allow <cidr>      Also deliver to this private host or network; repeatable
  --timeout <ms>      Deadline of one HTTP request                            (default: 5000)
  --wait <seconds>    Wait this long for the deliveries                       (default: 60)
  -y, --yes           Do not ask. Without a terminal nothing is asked
  -v, --verbose       Show requests and responses with headers and bodies
  --json              Print one JSON object instead of text
  -h, --help          Print this

Exit status: 0 all delivered, 2 bad usage, 3 some delivery failed, is not done or could not be replayed,
130 interrupted.

Example:
  dollar-send replay --workflow p_abc123
`

const PAUSE_OPTIONS = `Options:
${PLACE}
  --host <host>       This host, name or name:port
  --destination <d>   This destination: ${DESTINATIONS}
  --workflow <id>     This workflow
  --all               Everything
  --json              Print a JSON array of the pauses instead of text
  -h, --help          Print this

Exit status: 0 done, 2 bad usage, 3 the engine could not be reached or refused.
`

export const PAUSE_HELP = `Usage: dollar-send pause <target> [options]

Pauses a host, a destination, a workflow or everything: nothing of it is attempted before it is resumed,
also across restarts. Attempts in flight go on, and calls are recorded as before. Prints all pauses. A
directory that no engine has open is paused for the next one.

${PAUSE_OPTIONS}
Example:
  dollar-send pause --host api.example.com
`

const RESUME_HELP = `Usage: dollar-send resume <target> [options]

Ends a pause, or every pause with --all. Prints the pauses that are left.

${PAUSE_OPTIONS}
Example:
  dollar-send resume --all
`

const RETRY_HELP = `Usage: dollar-send retry-now [id...] [options]

Attempts deliveries now that wait for their next attempt, and probes hosts that are left alone. Which
ones: those whose ids begin so, or those that the filters find. Paused deliveries stay paused. It needs a
running engine with a server: --url, or the one that has the directory open.

Options:
${PLACE}
${FILTERS}
  --host <host>       Only to this host, name or name:port
  --code <code>       Only after a failure with this code, such as ERR_SEND_TIMEOUT
  --all               Everything that waits
  --json              Print a JSON object instead of text
  -h, --help          Print this

Exit status: 0 done, 2 bad usage, 3 the engine could not be reached or refused.

Example:
  dollar-send retry-now --host api.example.com
`

const MIGRATE_HELP = `Usage: dollar-send migrate --from <dir> --to <url> [options]

Moves a data directory into the journal in PostgreSQL that many machines share: its log, the calls that
wait with their attempts, sealed batches, kept events, subscriptions, webhooks and pauses. Each is moved
once. A command that was ended, however it ended, goes on when it runs again; nothing is delivered before
everything is moved. Stores of steps, the warehouse and written files stay. Stop the runner first:
afterwards no engine opens the directory. Shows the plan first, and asks on a terminal.

Options:
  --from <dir>        The data directory
  --to <url>          The database, as in journal.postgres.url. Better in a --config if it has a password
  --schema <name>     The schema of the journal's tables                      (default: dollar_send)
  --ca <file>         Certificate authorities to trust instead of the machine's, in PEM
  --config <file>     Options of Engine.open(), those of the nodes   (default: dollar-send.config.mjs)
  --plan              Check everything, print the plan, and move nothing
  -y, --yes           Do not ask. Without a terminal nothing is asked
  --json              Print one JSON object instead of text
  -h, --help          Print this

The key that the nodes share is journal.key of the configuration, or DOLLAR_SEND_JOURNAL_KEY in the
environment. A directory without the file journal.key needs its own in DOLLAR_SEND_DATA_DIR_KEY.

Exit status: 0 moved, also by an earlier command, 2 bad usage, 3 it was not moved, 130 interrupted.

Example:
  dollar-send migrate --from ./data --to postgres://runner@db.internal/runner --plan
`

/** The help of each command. */
export const HELP_OF = {
  init: INIT_HELP,
  run: RUN_HELP,
  check: CHECK_HELP,
  serve: SERVE_HELP,
  log: LOG_HELP,
  runs: RUNS_HELP,
  replay: REPLAY_HELP,
  pause: PAUSE_HELP,
  resume: RESUME_HELP,
  'retry-now': RETRY_HELP,
  sql: SQL_HELP,
  migrate: MIGRATE_HELP,
}

/**
 * A help text with its titles, commands and options in colour.
 *
 * @param {string} text
 * @param {import('./paint.mjs').Paint} paint
 */
export function colouredHelp(text, paint) {
  return text
    .replace(/^(Usage|Commands|Options|Exit status|Example):/gm, (title) => paint('bold', title))
    .replace(
      /^ {2}((?:-\w, )?--?[a-z-]+|(?:[a-z]+(?= [<[ ])))/gm,
      (_, name) => `  ${paint('cyan', name)}`,
    )
    .replace(/\(default: [^)]*\)/g, (note) => paint('dim', note))
}
