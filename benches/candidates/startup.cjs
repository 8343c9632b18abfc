// One round of start-up: what `require` of the package takes in a fresh process.

const { entry } = JSON.parse(process.argv[2])
const start = process.hrtime.bigint()
require(entry)
const elapsedMs = Number(process.hrtime.bigint() - start) / 1e6
const addons = Object.keys(require.cache).filter((path) => path.endsWith('.node'))
console.log(JSON.stringify({ elapsedMs, addons }))
