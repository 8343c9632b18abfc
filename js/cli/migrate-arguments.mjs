// The command line of `migrate`. Pure, touches no file.

import { UsageError } from './usage.mjs'

/**
 * @typedef {object} MigrateSettings
 * @property {string} from the data directory
 * @property {string} [to] the URL of the database
 * @property {string} [schema]
 * @property {string} [ca] a file
 * @property {string} [config]
 * @property {boolean} plan whether to move nothing
 * @property {boolean} yes
 * @property {boolean} json
 */

/**
 * @param {string[]} others
 * @param {{ from?: string, to?: string, schema?: string, ca?: string, config?: string, plan?: boolean,
 *   yes?: boolean, json?: boolean }} values
 * @returns {MigrateSettings}
 */
export function migrateSettings(others, values) {
  const { from, to, schema, ca, config, plan = false, yes = false, json = false } = values
  if (others.length > 0) throw new UsageError('migrate takes no arguments, only options.')
  // An unset variable of the shell must not choose another place.
  for (const [name, value] of Object.entries({ from, to, schema, ca, config }))
    if (value?.trim() === '') throw new UsageError(`--${name} must not be empty.`)
  if (from === undefined)
    throw new UsageError(
      'migrate needs a data directory: dollar-send migrate --from DIR --to postgres://…',
    )
  return { from, to, schema, ca, config, plan, yes, json }
}
