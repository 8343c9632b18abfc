// One implementation for both module systems: a second copy would have a context of its own.
import globals from './global.cjs'

export const { $end, $respond, $send, defineComponent, runInStep } = globals
