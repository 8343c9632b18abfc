// `dollar-send/testing` for tools that do not read `exports` in package.json.

export * from './types/testing.cjs'
