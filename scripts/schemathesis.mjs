// schemathesis, a Python program that sends a server what its OpenAPI document allows and forbids.

import { installFromPyPI, pythonProgram } from './python.mjs'

/** A later version may find more, which is no reason for a test to fail on another day. */
const [NAME, VERSION] = ['schemathesis', '4.32.5']

/** The program. */
export const SCHEMATHESIS = pythonProgram(NAME, VERSION, 'schemathesis')

/** Installs it if it is not there. */
export function installSchemathesis() {
  installFromPyPI(NAME, VERSION)
}
