// One round of a peer: posts the documents' example from 64 workers, each response read to its end.

import { Agent } from 'node:http'

import { example } from '../examples.mjs'
import { metered } from './meter.mjs'

const IN_FLIGHT = 64

const HEADERS = { 'content-type': 'application/json' }

/** For each peer a function that makes its client and gives `post(data) => status`. */
const PEERS = {
  undici: undiciPool,
  'undici-h2': undiciHttp2,
  axios: axiosKeepAlive,
  fetch: globalFetch,
}

async function undiciPool(url) {
  const { Pool } = await import('undici')
  const { origin, pathname: path } = new URL(url)
  const pool = new Pool(origin, { connections: IN_FLIGHT })
  return async (data) => {
    const request = { method: 'POST', path, headers: HEADERS, body: JSON.stringify(data) }
    const { statusCode, body } = await pool.request(request)
    await body.text()
    return statusCode
  }
}

async function undiciHttp2(url) {
  const { Pool } = await import('undici')
  const { origin, pathname: path } = new URL(url)
  const pool = new Pool(origin, { connections: 1, pipelining: IN_FLIGHT, allowH2: true })
  return async (data) => {
    const request = { method: 'POST', path, headers: HEADERS, body: JSON.stringify(data) }
    const { statusCode, body } = await pool.request(request)
    await body.text()
    return statusCode
  }
}

async function axiosKeepAlive(url) {
  const { default: axios } = await import('axios')
  const httpAgent = new Agent({ keepAlive: true, maxSockets: IN_FLIGHT })
  const client = axios.create({ httpAgent })
  return async (data) => (await client({ method: 'POST', url, data })).status
}

async function globalFetch(url) {
  return async (data) => {
    const response = await fetch(url, {
      method: 'POST',
      headers: HEADERS,
      body: JSON.stringify(data),
    })
    await response.text()
    return response.status
  }
}

async function postAll(post, data, requests) {
  let taken = 0
  const worker = async () => {
    while (taken++ < requests) {
      const status = await post(data)
      if (status !== 200) throw new Error(`answered ${status}`)
    }
  }
  await Promise.all(Array.from({ length: IN_FLIGHT }, worker))
}

const { peer, url, requests, warmUp } = JSON.parse(process.argv[2])
const post = await PEERS[peer](url)
const { data } = example(url)
await postAll(post, data, warmUp)
const cost = await metered(() => postAll(post, data, requests))
console.log(JSON.stringify({ requests, warmUp, ...cost }))
process.exit(0)
