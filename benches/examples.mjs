// The calls that are measured.

/** The documents' example. */
export function example(url = 'https://example.com/hook') {
  return { method: 'POST', url, data: { name: 'Luke Skywalker' } }
}

/** Ten calls whose payloads have different keys: what stands at one place of a real step's calls. */
export function exampleOfTenShapes(url = 'https://example.com/hook') {
  return Array.from({ length: 10 }, (_, shape) => {
    const members = Array.from({ length: (shape % 5) + 1 }, (_, place) => [
      `key_${shape}_${place}`,
      place % 2 === 0 ? `value ${place}` : place,
    ])
    return { method: 'POST', url, data: Object.fromEntries(members) }
  })
}

const KIB = 1024

/** The same call with an order as payload, whose JSON is exactly 1 KiB: nested, as webhooks are. */
export function exampleOfOneKib(url = 'https://example.com/hook') {
  const data = { ...order(), note: '' }
  data.note = 'n'.repeat(KIB - JSON.stringify(data).length)
  return { method: 'POST', url, data }
}

/** The same call with one string of 1 KiB in its payload: the shape that costs least to snapshot. */
export function exampleOfOneString(url = 'https://example.com/hook') {
  const data = { text: '' }
  data.text = 't'.repeat(KIB - JSON.stringify(data).length)
  return { method: 'POST', url, data }
}

/** Events that are made before they are measured: more than any compressor remembers. */
export const DISTINCT = 20_000

/** An event as a page view is one; its JSON has about 200 bytes, and no two are the same. */
export function event(number) {
  return {
    id: `evt_${(number * 2654435761) % 4294967296}`,
    type: number % 3 === 0 ? 'page_view' : 'click',
    at: new Date(1_795_000_000_000 + number * 37).toISOString(),
    user: { id: number % 5000, name: 'Luke Skywalker', plan: 'free' },
    path: `/products/${number % 997}?ref=newsletter&v=2`,
    session: `s_${(number * 40503) % 1e9}`,
    ms: (number * 7919) % 1000,
  }
}

function order() {
  const items = Array.from({ length: 8 }, (_, index) => ({
    sku: `SKU-${1000 + index}`,
    title: `Lightsaber, model ${index}`,
    quantity: index + 1,
    price: 19.5 * (index + 1),
    inStock: index % 2 === 0,
  }))
  return { id: 'ord_8f3a', customer: { name: 'Luke Skywalker', email: 'luke@example.com' }, items }
}
