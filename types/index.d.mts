import { defineComponent, Engine, Execution, loadStep, runStep, runWorkflow } from '../index.js'

export * from '../index.js'

/** The same as the named exports. */
declare const dollarSend: {
  Engine: typeof Engine
  Execution: typeof Execution
  defineComponent: typeof defineComponent
  loadStep: typeof loadStep
  runStep: typeof runStep
  runWorkflow: typeof runWorkflow
}
export default dollarSend
