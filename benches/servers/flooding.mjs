// Sixteen HTTPS hosts in one process that answer each request with a flood of HTTP/2 frames, as fast as
// they are read. Run as a child with an IPC channel, at the lowest priority: what is measured is the
// work that they make, not the time that they take from other processes.

import { readFileSync } from 'node:fs'
import { setPriority } from 'node:os'

import { certificates } from '../../__test__/support/servers/certificates.mjs'
import { BEFORE, flood, FLOODS_OF_SERVERS } from '../../__test__/support/servers/floods.mjs'
import { framesServer } from '../../__test__/support/servers/frames.mjs'

const HOSTS = 16

setPriority(19)
const ends = []
const t = { after: (end) => ends.push(end) }
const { ca, valid } = await certificates(t)
const floods = Object.entries(FLOODS_OF_SERVERS)

const servers = await Promise.all(
  Array.from({ length: HOSTS }, (_, host) => {
    const [name, bytes] = floods[host % floods.length]
    return framesServer(t, valid, ({ socket }, stream) => {
      socket.write(BEFORE[name]?.(stream) ?? '')
      flood(socket, bytes(stream))
    })
  }),
)

process.on('message', () =>
  process.send(servers.reduce((sum, { state }) => sum + state.requests, 0)),
)
process.send({ urls: servers.map(({ url }) => url), ca: readFileSync(ca, 'utf8') })
process.on('SIGTERM', async () => {
  for (const end of ends) await end()
  process.exit()
})
