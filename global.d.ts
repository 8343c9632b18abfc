// `dollar-send/global` for tools that do not read `exports` in package.json.

export * from './types/global.cjs'
