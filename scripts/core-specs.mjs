// The specs that need nothing beside Node and the addon: what a binary of another system is tested with.

const NAMES = {
  cli: ['cli'],
  delivery: ['engine', 'events', 'log', 'replay', 'retry'],
  destinations: ['destination', 'emit', 'http-delivery', 'http-redirects', 'sse'],
  lifecycle: ['close', 'consumer-addon', 'consumer-types', 'exit', 'workers'],
  recording: ['global', 'recording', 'values', 'testing'],
  server: ['rest'],
  steps: [
    'run-step',
    'run-step-component',
    'steps-docs',
    'steps-finds',
    'steps-flow',
    'steps-late',
    'steps-props',
    'steps-rest',
    'steps-result',
    'steps-stores',
  ],
}

export const CORE_SPECS = Object.entries(NAMES).flatMap(([folder, names]) =>
  names.map((name) => `__test__/${folder}/${name}.spec.mjs`),
)
