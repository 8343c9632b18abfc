// The commands, from their help texts.

import { HELP, HELP_OF } from '../../js/cli/help.mjs'
import { COMMANDS } from '../../js/cli/usage.mjs'

/** Returns the help of the program and of each command. */
export function cliSection() {
  const own = COMMANDS.filter((name) => name in HELP_OF)
  const texts = [['All commands', HELP], ...own.map((name) => [`\`${name}\``, HELP_OF[name]])]
  return texts
    .map(([title, text]) => `## ${title}\n\n\`\`\`text\n${text.trimEnd()}\n\`\`\``)
    .join('\n\n')
}
