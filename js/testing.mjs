import testing from './testing.cjs'

export const { recordSends, recordStep } = testing
