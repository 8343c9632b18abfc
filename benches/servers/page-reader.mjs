// Asks a server for what an open page asks for: the stream of changes, and after changes the first page of
// the list of calls, at most once in 700 ms. The browser itself is on the machine of its user.

const BREATH_MS = 700

const address = process.argv[2]
const { body } = await fetch(`${address}/log/stream`)
let isWanted = true
let isBusy = false

async function read() {
  if (isBusy || !isWanted) return
  isBusy = true
  isWanted = false
  await fetch(`${address}/v1/deliveries?limit=50`).then((response) => response.arrayBuffer())
  setTimeout(() => {
    isBusy = false
    void read()
  }, BREATH_MS)
}

await read()
process.send('reads')
for await (const chunk of body) {
  isWanted ||= chunk.length > 0
  void read()
}
