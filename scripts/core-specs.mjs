// The specs that need nothing beside Node and the addon: what a binary of another system is tested with.

const NAMES = [
  ...[
    'cli',
    'close',
    'consumer-addon',
    'consumer-types',
    'destination',
    'emit',
    'engine',
    'events',
  ],
  ...['exit', 'global', 'http-delivery', 'http-redirects', 'log', 'recording', 'replay', 'rest'],
  ...['retry', 'run-step', 'run-step-component', 'sse', 'values', 'workers'],
  ...['steps-docs', 'steps-finds', 'steps-flow', 'steps-late', 'steps-props', 'steps-rest'],
  ...['steps-result', 'steps-stores', 'testing'],
]

export const CORE_SPECS = NAMES.map((name) => `__test__/${name}.spec.mjs`)
