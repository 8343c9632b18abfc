// Certificates for addresses of this machine that are their own authorities.

import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/**
 * Makes one in a folder of its own.
 *
 * @param {string[]} addresses
 */
export function makeCertificate(addresses) {
  const folder = mkdtempSync(join(tmpdir(), 'dollar-send-bench-'))
  const [key, cert, config] = ['key.pem', 'cert.pem', 'config'].map((name) => join(folder, name))
  const names = addresses.map((address) => `IP:${address}`).join(',')
  writeFileSync(
    config,
    `[req]
distinguished_name = name
x509_extensions = extensions
[name]
[extensions]
subjectAltName = ${names}
basicConstraints = critical,CA:FALSE
`,
  )
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  const files = ['-keyout', key, '-out', cert, '-days', '2', '-subj', `/CN=${addresses[0]}`]
  execFileSync('openssl', ['req', '-x509', '-config', config, ...curve, ...files], {
    stdio: 'pipe',
  })
  const remove = () => rmSync(folder, { recursive: true, force: true })
  return { key, cert, remove }
}

/**
 * Lets the children of this process trust certificates. Ours and hyper read the one variable, Node the
 * other.
 *
 * @param {{ cert: string }[]} certificates the bundle is made beside the first
 */
export function trust(certificates) {
  const bundle = `${certificates[0].cert}.bundle`
  writeFileSync(bundle, certificates.map(({ cert }) => readFileSync(cert, 'utf8')).join('\n'))
  Object.assign(process.env, { SSL_CERT_FILE: bundle, NODE_EXTRA_CA_CERTS: bundle })
}
