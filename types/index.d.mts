import { Engine, Execution, runStep } from '../index.js'

export * from '../index.js'

/** The same as the named exports. */
declare const dollarSend: {
  Engine: typeof Engine
  Execution: typeof Execution
  runStep: typeof runStep
}
export default dollarSend
