// A process whose engine has a server. It tells its port, then its CPU time whenever it is asked.
// `process.argv[2]` has the options of the server.

import { Engine } from '../../js/index.mjs'

const server = { port: 0, ...JSON.parse(process.argv[2] ?? '{}') }
const engine = await Engine.open({ server })
const tell = (/** @type {object} */ what) => process.send?.(what)
process.on('message', () => tell(process.cpuUsage()))
process.on('disconnect', () => process.exit())
tell({ port: engine.address()?.port })
