export * from './global.cjs'
