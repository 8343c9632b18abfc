// A private certificate authority, made with openssl in a directory of its own.

import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

const KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']

/**
 * The certificates of these tests: `ca` is the path of the authority's, for `SSL_CERT_FILE`; the
 * others are `{ key, cert }` for a server.
 *
 * @param {{ after(fn: () => unknown): void }} t
 */
export async function certificates(t) {
  const directory = await mkdtemp(join(tmpdir(), 'dollar-send-tls-'))
  t.after(() => rm(directory, { recursive: true }))
  const openssl = (/** @type {string[]} */ ...args) => run(directory, args)
  const basic = 'basicConstraints=critical,CA:TRUE'
  await openssl(...request('ca', 'Test CA'), '-x509', '-days', '2', '-addext', basic)
  const ip = 'subjectAltName=IP:127.0.0.1,DNS:localhost'
  const [valid, wrongHost, expired, selfSigned] = await Promise.all([
    signed('valid', ip, '2'),
    signed('wrong-host', 'subjectAltName=DNS:other.example', '2'),
    signed('expired', ip, '-1'),
    openssl(...request('self', 'self'), '-x509', '-days', '2', '-addext', ip).then(() =>
      pair('self'),
    ),
  ])
  await writeFile(join(directory, 'empty.pem'), '')
  return {
    ca: join(directory, 'ca.pem'),
    empty: join(directory, 'empty.pem'),
    ...{ valid, wrongHost, expired, selfSigned },
    /** One for these names. */
    named: (/** @type {string[]} */ ...names) =>
      signed('named', `subjectAltName=${names.map((name) => `DNS:${name}`).join(',')}`, '2'),
  }

  /** @param {string} name @param {string} alternative @param {string} days */
  async function signed(name, alternative, days) {
    await openssl(...request(`${name}-request`, name))
    await writeFile(join(directory, `${name}.ext`), alternative)
    const authority = [
      '-CA',
      'ca.pem',
      '-CAkey',
      'ca.key',
      '-CAcreateserial',
      '-CAserial',
      `${name}.srl`,
    ]
    const files = ['-in', `${name}-request.pem`, '-extfile', `${name}.ext`, '-out', `${name}.pem`]
    await openssl('x509', '-req', ...authority, ...files, '-days', days)
    return pair(name, `${name}-request`)
  }

  /** @param {string} cert @param {string} [key] */
  async function pair(cert, key = cert) {
    const read = (/** @type {string} */ file) => readFile(join(directory, file), 'utf8')
    return { cert: await read(`${cert}.pem`), key: await read(`${key}.key`) }
  }
}

/** @param {string} name @param {string} subject */
function request(name, subject) {
  return ['req', ...KEY, '-keyout', `${name}.key`, '-out', `${name}.pem`, '-subj', `/CN=${subject}`]
}

/** @param {string} cwd @param {string[]} args */
async function run(cwd, args) {
  try {
    await promisify(execFile)('openssl', args, { cwd })
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code !== 'ENOENT') throw error
    throw new Error('These tests need openssl: install the package "openssl"', { cause: error })
  }
}
