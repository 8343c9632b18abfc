import root from './index.cjs'

export const { Engine, Execution, defineComponent, loadStep, runStep, runWorkflow } = root
export default root
