import root from './index.cjs'

export const { Engine, Execution, runStep } = root
export default root
